"""The whole engine on a virtual clock: days pass in milliseconds, and every run can be repeated.

`simulate(seed, story)` runs a coroutine on an event loop whose time jumps to the next timer as soon
as nothing is ready. Randomness comes from the seed, the store is the real one on an in-memory
database written inline, and the network is a `SimulatedWire`. So the same seed gives the same run.

What runs in a context where `NODE` is set belongs to that node. A node can be stopped, as SIGSTOP
stops a process: nothing of it runs until it goes on, and time passes meanwhile.
"""

import asyncio
import contextvars
import random
import re
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeVar

from msgspec import Struct

from ringback.clock import Clock
from ringback.model import Timings
from ringback.wire.port import Failure, Reason, Reply, Request

T = TypeVar("T")

START_MS: Final = 1_780_000_000_000
NODE: Final = contextvars.ContextVar("node", default="")
_ID = re.compile(rb"(?:webhook|svix)-id: ([^\r\n]+)", re.IGNORECASE)


class Deadlock(Exception):
    """Nothing is ready and no timer is set: the story waits for something that never comes."""


class _InstantSelector(selectors.DefaultSelector):
    """Never waits: it moves the loop's time forward instead."""

    loop: "VirtualLoop"

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready:
            return ready
        if timeout is None:
            raise Deadlock
        self.loop.now_s += max(timeout, 0.0)
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock only moves when everybody waits."""

    def __init__(self) -> None:
        selector = _InstantSelector()
        selector.loop = self
        self.now_s = 0.0
        self._stopped: dict[str, list[_Call]] = {}
        super().__init__(selector)

    def time(self) -> float:
        return self.now_s

    def stop_node(self, node: str) -> None:
        """Nothing of it runs from now on."""
        self._stopped.setdefault(node, [])

    def continue_node(self, node: str) -> None:
        """What should have run meanwhile runs now, in its order."""
        for call in self._stopped.pop(node, []):
            super().call_soon(call.run, context=call.context)

    def call_soon(  # type: ignore[override]
        self,
        callback: Callable[..., object],
        *args: Any,
        context: contextvars.Context | None = None,
    ) -> asyncio.Handle:
        call = _Call(self, callback, args, context or contextvars.copy_context())
        call.handle = super().call_soon(call.run, context=call.context)
        return call.handle

    def call_at(  # type: ignore[override]
        self,
        when: float,
        callback: Callable[..., object],
        *args: Any,
        context: contextvars.Context | None = None,
    ) -> asyncio.TimerHandle:
        call = _Call(self, callback, args, context or contextvars.copy_context())
        handle = super().call_at(when, call.run, context=call.context)
        call.handle = handle
        return handle

    def holds_back(self, call: "_Call") -> bool:
        """Whether its node is stopped; then it runs when the node goes on."""
        held = self._stopped.get(call.context.get(NODE, ""))
        if held is None:
            return False
        held.append(call)
        return True


class _Call:
    """Something to be called, unless it was canceled, when its node runs."""

    __slots__ = ("_args", "_callback", "_loop", "context", "handle")

    def __init__(
        self,
        loop: VirtualLoop,
        callback: Callable[..., object],
        args: tuple[Any, ...],
        context: contextvars.Context,
    ) -> None:
        self._loop = loop
        self._callback = callback
        self._args = args
        self.context = context
        self.handle: asyncio.Handle | None = None

    def run(self) -> None:
        is_canceled = self.handle is not None and self.handle.cancelled()
        if not is_canceled and not self._loop.holds_back(self):
            self._callback(*self._args)


class SimulatedClock(Clock):
    """Time of a virtual loop, randomness of a seed."""

    def __init__(self, loop: VirtualLoop, seed: int) -> None:
        self.seeded = random.Random(seed)  # noqa: S311  repeatable on purpose
        super().__init__(self.seeded)
        self._loop = loop

    def now_ms(self) -> int:
        return START_MS + int(self._loop.now_s * 1000)

    def monotonic(self) -> float:
        return self._loop.now_s


def simulate(seed: int, story: Callable[[SimulatedClock], Coroutine[Any, Any, T]]) -> T:
    """Run a story to its end in virtual time."""
    loop = VirtualLoop()
    try:
        return loop.run_until_complete(story(SimulatedClock(loop, seed)))
    finally:
        _cancel_all(loop)
        loop.close()


def _cancel_all(loop: asyncio.AbstractEventLoop) -> None:
    """Again and again: the end of an attempt starts the next one."""
    while tasks := asyncio.all_tasks(loop):
        for task in tasks:
            task.cancel()
        loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))


class Arrival(Struct, frozen=True):
    """A request that a simulated receiver saw, the answer that was heard (0: none), and the node
    that sent it."""

    msg_id: str
    url: str
    at_ms: int
    status: int
    node: str = ""


class Answer(Struct, frozen=True):
    """What a receiver does with a request: after `delay_s` a status, or no answer (0)."""

    status: int
    delay_s: float = 0.01
    headers: tuple[tuple[str, str], ...] = ()


Receiver = Callable[[str, int], Answer]


class SimulatedWire:
    """Receivers by URL. Keeps every arrival, and how many requests were out at once to each.

    To connect takes `connect_s`.
    """

    def __init__(self, clock: SimulatedClock, timeout_s: float = 15.0) -> None:
        self._clock = clock
        self._timeout_s = timeout_s
        self.receivers: dict[str, Receiver] = {}
        self.arrivals: list[Arrival] = []
        self.in_flight: dict[str, int] = {}
        self.in_flight_most: dict[str, int] = {}
        self.on_arrival: Callable[[Arrival], None] = lambda _: None
        self.connect_s = 0.0

    async def post(self, request: Request) -> Reply | Failure:
        if self.connect_s:
            await self._clock.sleep(self.connect_s)
        if not request.may_send():
            return Failure(Reason.CALLED_OFF, "Called off.", Timings())
        url = request.target.url
        found = _ID.search(request.headers)
        msg_id = found.group(1).decode() if found else ""
        answer = self.receivers[url](msg_id, self._clock.now_ms())
        heard = answer.status if answer.delay_s <= self._timeout_s else 0
        arrival = Arrival(msg_id, url, self._clock.now_ms(), heard, NODE.get())
        self.arrivals.append(arrival)
        self.on_arrival(arrival)
        self.in_flight[url] = out = self.in_flight.get(url, 0) + 1
        self.in_flight_most[url] = max(out, self.in_flight_most.get(url, 0))
        try:
            return await self._answer(answer)
        finally:
            self.in_flight[url] -= 1

    async def _answer(self, answer: Answer) -> Reply | Failure:
        delay_s = min(answer.delay_s, self._timeout_s)
        await self._clock.sleep(delay_s)
        timings = Timings(total_ms=delay_s * 1000)
        if answer.delay_s > self._timeout_s:
            return Failure(Reason.TIMEOUT, "No whole answer in time.", timings)
        if not answer.status:
            return Failure(Reason.REFUSED, "Connection refused.", timings)
        return Reply(answer.status, answer.headers, b"", is_truncated=False, timings=timings)

    async def close(self) -> None:
        """Nothing is open."""
