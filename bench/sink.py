"""The receiver of the benchmarks, a process of its own: answers at once and writes down when.

    /ok/LANE             200 at once
    /slow/MS/LANE        200 after MS milliseconds
    /status/CODE/LANE    CODE at once, not counted as a delivery
    /hang/LANE           never answers, not counted as a delivery

It listens on several ports, so that endpoints can be different origins. On one connection answers
keep the order of the requests. Commands come as JSON lines on stdin, each answered by one line on
stdout; the first line on stdout names the ports; the end of stdin ends the process. Its cost is
part of every measurement on a small machine, so a request takes one parse, one clock and one write.
"""

import asyncio
import mmap
import resource
import socket
import sys
import time
from pathlib import Path
from typing import Any, Final, Literal, cast

import httptools
import msgspec
import uvloop
from msgspec import Struct

from bench import mark
from bench.ledger import Account, Ledger, Window
from bench.lines import cpu_s, read_lines, write_line

BACKLOG: Final = 4_096
PATHS_MAX: Final = 100_000
BODY_BYTES_MAX: Final = 4 * 1024 * 1024


class Command(Struct, frozen=True):
    """`begin` takes run and fan; `report` takes messages, refused and the window."""

    do: Literal["begin", "snapshot", "report"]
    run: int = 0
    fan: int = 1
    messages: int = 0
    refused: list[int] = []
    start_ns: int = 0
    end_ns: int = 0


class Snapshot(Struct, frozen=True):
    """Where the run stands."""

    arrived: int
    hung: int
    failed: int
    last_ns: int
    cpu_s: float


class Report(Struct, frozen=True):
    """The whole run. `stray` counts requests without a mark or with an unknown path."""

    arrived: int
    duplicates: int
    stale: int
    stray: int
    account: Account
    window: Window


class Behaviour(Struct, frozen=True):
    """What a path does. `answer` is None for a path that never answers."""

    answer: bytes | None
    lane: int = 0
    delay_s: float = 0.0
    kind: Literal["ok", "hang", "status", "unknown"] = "ok"


def response(status: int) -> bytes:
    return b"HTTP/1.1 %d X\r\nContent-Length: 0\r\n\r\n" % status


OK: Final = response(200)
UNKNOWN: Final = Behaviour(response(404), kind="unknown")


def behaviour(path: bytes) -> Behaviour:
    """What a path asks for; UNKNOWN when it asks for nothing known."""
    words = path.decode("latin-1").partition("?")[0].strip("/").split("/")
    try:
        match words:
            case ["ok", *lane]:
                return Behaviour(OK, _lane(lane))
            case ["slow", ms, *lane]:
                return Behaviour(OK, _lane(lane), int(ms) / 1000)
            case ["hang", *lane]:
                return Behaviour(None, _lane(lane), kind="hang")
            case ["status", code, *lane]:
                return Behaviour(response(int(code)), _lane(lane), kind="status")
    except ValueError:
        return UNKNOWN
    return UNKNOWN


def _lane(words: list[str]) -> int:
    return int(words[0]) if words else 0


class Sink:
    """What all connections share: the ledger, the known paths and the public counter."""

    def __init__(self, counter: memoryview | None = None) -> None:
        self.ledger = Ledger()
        self.behaviours: dict[bytes, Behaviour] = {}
        self.stray = self.hung = self.failed = 0
        self._counter = counter

    def begin(self, run: int, fan: int) -> None:
        self.ledger.begin(run, fan)
        self.stray = self.hung = self.failed = 0
        if self._counter is not None:
            self._counter[0] = 0

    def find(self, path: bytes) -> Behaviour:
        """The behaviour of a path; parsed once."""
        found = self.behaviours.get(path)
        if found is None:
            found = behaviour(path)
            if len(self.behaviours) < PATHS_MAX:
                self.behaviours[path] = found
        return found

    def note(self, how: Behaviour, body: bytes) -> None:
        """Counts one request."""
        if how.kind == "ok":
            found = mark.read(body)
            if found is None:
                self.stray += 1
                return
            self.ledger.note(found, how.lane, time.monotonic_ns())
            if self._counter is not None:
                self._counter[0] = self.ledger.arrived
        elif how.kind == "hang":
            self.hung += 1
        elif how.kind == "status":
            self.failed += 1
        else:
            self.stray += 1

    def obey(self, command: Command) -> Snapshot | Report:
        ledger = self.ledger
        if command.do == "begin":
            self.begin(command.run, command.fan)
        if command.do != "report":
            return Snapshot(ledger.arrived, self.hung, self.failed, ledger.last_ns, cpu_s())
        return Report(
            ledger.arrived,
            ledger.duplicates,
            ledger.stale,
            self.stray,
            ledger.account(command.messages, command.refused),
            ledger.window(command.start_ns, command.end_ns),
        )


class Connection(asyncio.Protocol):
    """One connection: requests whole, split over reads or pipelined, any framing llhttp knows."""

    __slots__ = (
        "_body", "_bytes", "_delayed", "_due", "_hangs",
        "_loop", "_parser", "_sink", "_transport", "_url",
    )  # fmt: skip

    def __init__(self, sink: Sink, loop: asyncio.AbstractEventLoop) -> None:
        self._sink, self._loop = sink, loop
        self._parser = httptools.HttpRequestParser(self)
        self._url = b""
        self._body: list[bytes] = []
        self._bytes = 0
        self._due = 0.0
        self._delayed = 0
        self._hangs = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._transport.close()

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_body(self, body: bytes) -> None:
        self._bytes += len(body)
        if self._bytes > BODY_BYTES_MAX:
            self._transport.abort()
            return
        self._body.append(body)

    def on_message_complete(self) -> None:
        body = self._body[0] if len(self._body) == 1 else b"".join(self._body)
        how = self._sink.find(self._url)
        self._url, self._bytes = b"", 0
        self._body.clear()
        self._sink.note(how, body)
        if how.answer is None:
            self._hangs = True
        if not self._hangs and how.answer is not None:
            self._answer(how.answer, how.delay_s)

    def _answer(self, answer: bytes, delay_s: float) -> None:
        is_last = not self._parser.should_keep_alive()
        if not delay_s and not self._delayed:
            self._write(answer, is_last)
            return
        # No answer may overtake a delayed one; timers of one time fire in the order they were set.
        self._due = max(self._due, self._loop.time() + delay_s)
        self._delayed += 1
        self._loop.call_at(self._due, self._write_delayed, answer, is_last)

    def _write_delayed(self, answer: bytes, is_last: bool) -> None:
        self._delayed -= 1
        self._write(answer, is_last)

    def _write(self, answer: bytes, is_last: bool) -> None:
        if self._transport.is_closing():
            return
        self._transport.write(answer)
        if is_last:
            self._transport.close()


async def serve(ports: int, counter: Path | None) -> None:
    """Listens and obeys until stdin ends."""
    loop = asyncio.get_running_loop()
    sink = Sink(open_counter(counter, create=True) if counter else None)
    servers = [
        await loop.create_server(lambda: Connection(sink, loop), sock=_listener(), backlog=BACKLOG)
        for _ in range(ports)
    ]
    write_line({"ports": [server.sockets[0].getsockname()[1] for server in servers]})
    async for line in read_lines():
        write_line(sink.obey(msgspec.json.decode(line, type=Command)))
    for server in servers:
        server.close()


def open_counter(path: Path, *, create: bool = False) -> Any:
    """The number of arrivals, in memory shared with the generator: a view of one 64-bit cell."""
    if create:
        path.write_bytes(bytes(8))
    with path.open("r+b") as file:
        return memoryview(mmap.mmap(file.fileno(), 8)).cast("Q")


def _listener() -> socket.socket:
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    return listener


def raise_file_limit() -> None:
    """Each connection is a file: take all that the system grants."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


if __name__ == "__main__":
    raise_file_limit()
    uvloop.run(serve(int(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else None))
