"""A lean receiver for many requests: it remembers what arrived, and answers at once.

    async with Collector() as receiver:
        await post(receiver.url("/steady"))
        await receiver.until(lambda: len(receiver.arrivals) == 1_000)

`answer` chooses the status of each arrival; None holds the answer back until `release`. For
receivers that break the rules of HTTP see `chaos`.
"""

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self, cast

from msgspec import Struct

WAIT_S_MAX: Final = 60.0
_HEAD_END: Final = b"\r\n\r\n"


class Arrival(Struct, frozen=True):
    """One request. `head` is the raw head, `at_s` on the event loop's clock."""

    path: str
    msg_id: str
    head: bytes
    body: bytes
    at_s: float

    @property
    def headers(self) -> dict[str, str]:
        """By lower-case name."""
        lines = self.head.decode("latin-1").split("\r\n")[1:]
        pairs = (line.partition(":") for line in lines)
        return {name.lower(): value.strip() for name, _, value in pairs}


Answer = Callable[[Arrival], int | None]


class Collector:
    """Serves on a free loopback port. `unanswered` counts requests that wait for their answer."""

    def __init__(self, answer: Answer = lambda _: 200, *, id_header: str = "webhook-id") -> None:
        self.answer = answer
        self.arrivals: list[Arrival] = []
        self.port = 0
        self._id_header = id_header.encode().lower() + b":"
        self._server: asyncio.Server | None = None
        self._connections: set[_Connection] = set()
        self._held: list[_Connection] = []
        self._waiters: list[tuple[Callable[[], bool], asyncio.Future[None]]] = []

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Connection(self), "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._server is not None:
            self._server.close()
        for connection in list(self._connections):
            connection.abort()
        for _ in range(3):  # Transports are gone a few turns of the loop later.
            await asyncio.sleep(0)

    def url(self, path: str = "/") -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    @property
    def unanswered(self) -> int:
        return len(self._held)

    async def until(self, is_so: Callable[[], bool], timeout_s: float = WAIT_S_MAX) -> None:
        """Wait for an arrival after which `is_so` holds. Raises TimeoutError."""
        if is_so():
            return
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiter = (is_so, done)
        self._waiters.append(waiter)
        try:
            async with asyncio.timeout(timeout_s):
                await done
        finally:
            self._waiters.remove(waiter)

    async def received(self, count: int) -> list[Arrival]:
        """Wait until that many have arrived; all of them."""
        await self.until(lambda: len(self.arrivals) >= count)
        return self.arrivals

    def release(self, status: int = 200) -> None:
        """Answer everything that was held back."""
        held, self._held = self._held, []
        for connection in held:
            connection.say(status)

    # ---- what connections report ----------------------------------------------------------------

    def opened(self, connection: "_Connection") -> None:
        self._connections.add(connection)

    def closed(self, connection: "_Connection") -> None:
        self._connections.discard(connection)
        self._held = [held for held in self._held if held is not connection]

    def arrived(self, connection: "_Connection", head: bytes, body: bytes) -> None:
        now_s = asyncio.get_running_loop().time()
        path = head[: head.index(b"\r\n")].split(b" ")[1].decode("latin-1")
        arrival = Arrival(path, self._id_of(head), head, body, now_s)
        self.arrivals.append(arrival)
        status = self.answer(arrival)
        if status is None:
            self._held.append(connection)
        else:
            connection.say(status)
        for is_so, done in self._waiters:
            if not done.done() and is_so():
                done.set_result(None)

    def _id_of(self, head: bytes) -> str:
        start = head.lower().find(b"\r\n" + self._id_header)
        if start < 0:
            return ""
        start += 2 + len(self._id_header)
        return head[start : head.find(b"\r\n", start)].strip().decode("latin-1")


class _Connection(asyncio.Protocol):
    """Reads requests with a Content-Length, one after the other."""

    def __init__(self, collector: Collector) -> None:
        self._collector = collector
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Not every event loop's transports are asyncio's own class.
        self._transport = cast(asyncio.Transport, transport)
        self._collector.opened(self)

    def connection_lost(self, error: Exception | None) -> None:
        self._collector.closed(self)

    def data_received(self, received: bytes) -> None:
        self._buffer += received
        while (end := self._buffer.find(_HEAD_END)) >= 0:
            head = bytes(self._buffer[:end])
            whole = end + len(_HEAD_END) + _content_length(head)
            if len(self._buffer) < whole:
                return
            body = bytes(self._buffer[end + len(_HEAD_END) : whole])
            del self._buffer[:whole]
            self._collector.arrived(self, head, body)

    def say(self, status: int) -> None:
        if self._transport is not None and not self._transport.is_closing():
            text = f"HTTP/1.1 {status} Said So\r\nContent-Length: 2\r\n\r\nok"
            self._transport.write(text.encode())

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()


def _content_length(head: bytes) -> int:
    start = head.lower().find(b"\r\ncontent-length:")
    if start < 0:
        return 0
    start += len(b"\r\ncontent-length:")
    end = head.find(b"\r\n", start)
    return int(head[start : end if end >= 0 else len(head)])
