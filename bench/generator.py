"""The sender of the benchmarks, a process of its own: precomputed requests on kept connections.

Closed loop (`rate` 0): each connection sends its next message when the last one was answered.
Open loop: messages are due at even distances, whatever the server does; one that finds no free
connection waits, and its latency counts from when it was due, so a stall is not omitted.

The plan is the first line of stdin; the end of stdin ends the process. Events on stdout, one JSON
line each: {"event": "window"}, {"event": "end"}, then the whole `Sent`.
"""

import asyncio
import math
import sys
import time
from array import array
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from itertools import cycle
from pathlib import Path
from typing import Final, cast

import httptools
import msgspec
import uvloop

from bench.figures import latency
from bench.lines import cpu_s, read_lines, write_line
from bench.plan import Plan, Sent, template
from bench.sink import open_counter, raise_file_limit
from bench.timer import Ticker

REFUSED_MAX: Final = 100_000
CONNECTS_FAILED_MAX: Final = 1_000
RECONNECT_S: Final = 0.05
REFUSED_PAUSE_S: Final = 0.01
UNPARK_EVERY_S: Final = 0.001


class Load:
    """One phase of load: what is due, what is out, what came back."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.sent = self.outstanding = self.broken = self.connects_failed = 0
        self.statuses: Counter[int] = Counter()
        self.refused: list[int] = []
        self.is_stopped = False
        self.changed = asyncio.Event()
        self.start_ns = 0
        self._loop = asyncio.get_running_loop()
        self._connections: set[Connection] = set()
        self._counter = open_counter(Path(plan.counter)) if plan.counter else None
        self._templates = cycle([template(plan, path) for path in plan.paths])
        self._ports = cycle(plan.ports or (plan.port,))
        self._due_ns = array("q")
        self._answered_ns = array("q")
        self._late_ns = array("q")
        self._free: deque[Connection] = deque()
        self._parked: deque[Connection] = deque()
        self._waiting: deque[int] = deque()
        self._scheduled = 0

    async def run(self, say: Callable[[str], None]) -> Sent:
        """The whole phase: warm-up, window, and the wait for what is still out."""
        plan = self.plan
        await asyncio.gather(*(self.connect() for _ in range(plan.connections)))
        cpu_start_s = cpu_s()
        self.start_ns = time.monotonic_ns()
        stop = self._start()
        await self._until(self.start_ns + int(plan.warmup_s * 1e9))
        window_ns = time.monotonic_ns() if plan.warmup_s else self.start_ns
        say("window")
        await self._until(window_ns + int(plan.window_s * 1e9))
        stop()
        end_ns = time.monotonic_ns()
        say("end")
        await self._settle()
        sent = self._report(window_ns, end_ns, cpu_s() - cpu_start_s)
        await self._leave()
        return sent

    async def connect(self) -> None:
        """Opens one connection; tries again a bounded number of times."""
        while self.connects_failed < CONNECTS_FAILED_MAX:
            try:
                await self._loop.create_connection(
                    lambda: Connection(self), self.plan.host, next(self._ports)
                )
                return
            except OSError:
                self.connects_failed += 1
                await asyncio.sleep(RECONNECT_S)
        raise ConnectionError(f"no connection to {self.plan.host}:{self.plan.port}")

    def joined(self, connection: "Connection") -> None:
        """A connection is open: it works at once, or waits for the start."""
        self._connections.add(connection)
        if self.start_ns:
            self.next(connection)
        else:
            self._free.append(connection)

    def left(self, connection: "Connection") -> None:
        """A connection is gone; its outstanding message got no answer. Another takes its place."""
        self._connections.discard(connection)
        for queue in (self._free, self._parked):
            if connection in queue:
                queue.remove(connection)
        if connection.sequence >= 0:
            self.broken += 1
            self.outstanding -= 1
        self.changed.set()
        if not self.is_stopped:
            reconnecting = self._loop.create_task(self.connect())
            reconnecting.add_done_callback(self._reconnected)

    def next(self, connection: "Connection") -> None:
        """Gives a free connection something to do."""
        if not connection.is_open:
            return
        if self.plan.rate:
            if self._waiting:
                connection.send(self._waiting.popleft())
            else:
                self._free.append(connection)
        elif not self.is_stopped:
            if self._is_ahead():
                self._park(connection)
            else:
                connection.send(0)

    def request(self, due_ns: int) -> tuple[int, int, bytes]:
        """The next message: its sequence number, when it was due, its bytes."""
        now_ns = time.monotonic_ns()
        if due_ns:
            self._late_ns.append(now_ns - due_ns)
        else:
            due_ns = now_ns
        sequence, run = self.sent, self.plan.run
        self.sent += 1
        self.outstanding += 1
        pattern, has_key = next(self._templates)
        if has_key:
            return sequence, due_ns, pattern % (run, sequence, run, sequence, due_ns)
        return sequence, due_ns, pattern % (run, sequence, due_ns)

    def answered(self, connection: "Connection", sequence: int, *, status: int) -> None:
        """The answer to message `sequence` came; the connection is free."""
        self.outstanding -= 1
        self.statuses[status] += 1
        if self.is_stopped and not self.outstanding:
            self.changed.set()
        if status == self.plan.status:
            self._due_ns.append(connection.due_ns)
            self._answered_ns.append(time.monotonic_ns())
            self.next(connection)
            return
        if len(self.refused) < REFUSED_MAX:
            self.refused.append(sequence)
        # A server that refuses at once is not to be hammered.
        self._loop.call_later(REFUSED_PAUSE_S, self.next, connection)

    def _start(self) -> Callable[[], None]:
        """Starts sending; what it returns stops it."""
        if not self.plan.rate:
            while self._free:
                self.next(self._free.popleft())
            return self._stop
        interval_ns = int(1e9 / self.plan.rate)
        ticker = Ticker(self._tick, start_ns=self.start_ns + interval_ns, interval_ns=interval_ns)

        def stop() -> None:
            ticker.stop()
            self._stop()

        return stop

    def _stop(self) -> None:
        self.is_stopped = True

    def _tick(self) -> None:
        """Sends everything that is due by now."""
        now_ns = time.monotonic_ns()
        interval_ns = 1e9 / self.plan.rate
        limit = self.plan.messages_max or math.inf
        while self._scheduled < limit:
            due_ns = self.start_ns + int((self._scheduled + 1) * interval_ns)
            if due_ns > now_ns:
                return
            self._scheduled += 1
            if self._free:
                self._free.popleft().send(due_ns)
            else:
                self._waiting.append(due_ns)

    def _is_ahead(self) -> bool:
        plan = self.plan
        if plan.messages_max and self.sent >= plan.messages_max:
            return True
        if not plan.backlog_max or self._counter is None:
            return False
        return bool(self.sent * plan.fan - self._counter[0] > plan.backlog_max)

    def _park(self, connection: "Connection") -> None:
        self._parked.append(connection)
        if len(self._parked) == 1:
            self._loop.call_later(UNPARK_EVERY_S, self._unpark)

    def _unpark(self) -> None:
        while self._parked and not self._is_ahead():
            self.next(self._parked.popleft())
        if self._parked and not self.is_stopped:
            self._loop.call_later(UNPARK_EVERY_S, self._unpark)

    def _reconnected(self, task: "asyncio.Task[None]") -> None:
        if not task.cancelled() and (error := task.exception()):
            print(f"generator: {error}", file=sys.stderr)

    async def _until(self, time_ns: int) -> None:
        """Waits for a time, or for the last message where their number is limited."""
        while (left_ns := time_ns - time.monotonic_ns()) > 0:
            limit = self.plan.messages_max
            if limit and self.sent >= limit and not self.outstanding:
                return
            await asyncio.sleep(min(left_ns / 1e9, 0.05 if limit else 60.0))

    async def _settle(self) -> None:
        """Waits for the answers that are still out, up to the grace time."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self.plan.grace_s):
                while self.outstanding or self._waiting:
                    self.changed.clear()
                    await self.changed.wait()

    async def _leave(self) -> None:
        """Closes all connections and sees them gone."""
        for connection in list(self._connections):
            connection.abort()
        while self._connections:
            self.changed.clear()
            await self.changed.wait()

    def _report(self, window_ns: int, end_ns: int, used_s: float) -> Sent:
        pairs = list(zip(self._due_ns, self._answered_ns, strict=True))
        return Sent(
            sent=self.sent,
            accepted=len(pairs),
            statuses=dict(self.statuses),
            refused=self.refused,
            broken=self.broken,
            unanswered=self.outstanding + len(self._waiting),
            start_ns=self.start_ns,
            window_ns=window_ns,
            end_ns=end_ns,
            cpu_s=used_s,
            accepted_in_window=sum(window_ns <= done < end_ns for _, done in pairs),
            accept=latency(done - due for due, done in pairs if window_ns <= due < end_ns),
            late=latency(self._late_ns),
            connects_failed=self.connects_failed,
        )


class Connection(asyncio.Protocol):
    """One kept connection with at most one message out."""

    __slots__ = ("_load", "_parser", "_transport", "due_ns", "is_open", "sequence")

    def __init__(self, load: Load) -> None:
        self._load = load
        self._parser = httptools.HttpResponseParser(self)
        self.sequence = -1
        self.due_ns = 0
        self.is_open = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self.is_open = True
        self._load.joined(self)

    def send(self, due_ns: int) -> None:
        """Sends the next message; `due_ns` 0 is now."""
        self.sequence, self.due_ns, request = self._load.request(due_ns)
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            print(f"generator: the answer is not HTTP: {error}", file=sys.stderr)
            self._transport.abort()

    def on_message_complete(self) -> None:
        sequence, self.sequence = self.sequence, -1
        if not self._parser.should_keep_alive():
            self._transport.close()
            self.is_open = False
        self._load.answered(self, sequence, status=self._parser.get_status_code())

    def connection_lost(self, error: Exception | None) -> None:
        self.is_open = False
        self._load.left(self)

    def abort(self) -> None:
        self._transport.abort()


async def main() -> None:
    lines = read_lines()
    plan = msgspec.json.decode(await anext(lines), type=Plan)
    working = asyncio.ensure_future(_work(plan))
    watching = asyncio.ensure_future(_ended(lines))
    await asyncio.wait({working, watching}, return_when=asyncio.FIRST_COMPLETED)
    if working.done():
        working.result()
    working.cancel()


async def _work(plan: Plan) -> None:
    write_line(await Load(plan).run(lambda event: write_line({"event": event})))


async def _ended(lines: AsyncIterator[bytes]) -> None:
    async for _ in lines:
        pass  # Nothing is expected after the plan; only the end matters.


if __name__ == "__main__":
    raise_file_limit()
    uvloop.run(main())
