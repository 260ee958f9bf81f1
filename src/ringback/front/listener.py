"""The listener: takes an address, hands connections to the app, and stops in order.

Owns connections from accept to close. Never looks into a request.

    bind ─► open ─► close        bound: others cannot take the address, nobody is answered yet
                                 open: requests reach the app
                                 closed: requests in progress have ended, by themselves or by us

Invariant: a connection on which no request is served for IDLE_S is closed, whether it waits between
requests or dribbles the head of one.
"""

import asyncio
import os
from contextlib import suppress
from email.utils import formatdate
from typing import Final

from ringback.clock import Clock
from ringback.errors import CannotListen
from ringback.front.connection import App, Connection, Receive, Scope, Send

BACKLOG: Final = 2_048
CONNECTIONS_MAX: Final = 8_192
BODY_BYTES_MAX: Final = 2 * 1024 * 1024
# Longer than the 60 s after which common load balancers give up an idle connection of theirs.
IDLE_S: Final = 75.0
TICK_S: Final = 1.0


class Front:
    """One listener."""

    def __init__(self, clock: Clock, *, body_bytes_max: int = BODY_BYTES_MAX) -> None:
        self._clock = clock
        self._listener: asyncio.Server | None = None
        self._ticking: asyncio.Task[None] | None = None
        self._connections: set[Connection] = set()
        self._one_closed = asyncio.Event()
        self.app: App = _not_open
        self.body_bytes_max = body_bytes_max
        self.date = b""
        self.tasks: set[asyncio.Task[None]] = set()

    async def bind(self, host: str, port: int) -> str:
        """Take the address; its URL, with the real port. Raises CannotListen."""
        loop = asyncio.get_running_loop()
        try:
            self._listener = await loop.create_server(
                lambda: Connection(self, loop), host, port, backlog=BACKLOG, start_serving=False
            )
        except (OSError, UnicodeError) as error:
            raise CannotListen(_why(host, port, error)) from None
        return _url(host, self._listener.sockets[0].getsockname()[1])

    async def open(self, app: App) -> None:
        """Answer requests with an ASGI app. Raises CannotListen, RuntimeError before `bind`."""
        if self._listener is None:
            raise RuntimeError("bind an address before opening the front")
        self.app = app
        self._stamp()
        try:
            await self._listener.start_serving()
        except OSError as error:
            host, port = self._listener.sockets[0].getsockname()[:2]
            raise CannotListen(_why(host, port, error)) from None
        self._ticking = asyncio.create_task(self._tick())

    async def close(self, timeout_s: float) -> int:
        """Stop listening, let requests in progress end; how many had to be cut off."""
        if self._listener is not None:
            self._listener.close()
        if self._ticking is not None:
            self._ticking.cancel()
        for connection in list(self._connections):
            connection.finish()
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._all_closed()
        return await self._cut_off()

    async def _all_closed(self) -> None:
        while self._connections:
            self._one_closed.clear()
            await self._one_closed.wait()

    async def _cut_off(self) -> int:
        late = list(self._connections)
        for connection in late:
            connection.transport.abort()
        # The app hears of the lost connection first, so that nothing is answered half.
        await asyncio.sleep(0)
        for task in list(self.tasks):
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        return len(late)

    # What a connection asks of its listener

    def opened(self, connection: Connection) -> bool:
        """Whether there is room for it."""
        self._connections.add(connection)
        return len(self._connections) <= CONNECTIONS_MAX

    def closed(self, connection: Connection) -> None:
        self._connections.discard(connection)
        self._one_closed.set()

    def now_s(self) -> float:
        return self._clock.monotonic()

    async def _tick(self) -> None:
        while True:
            await self._clock.sleep(TICK_S)
            self._stamp()
            self._close_idle()

    def _stamp(self) -> None:
        """The Date header of the next second's responses (RFC 9110, 6.6.1)."""
        self.date = b"date: %b\r\n" % formatdate(self._clock.now_ms() / 1000, usegmt=True).encode()

    def _close_idle(self) -> None:
        now_s = self._clock.monotonic()
        for connection in list(self._connections):
            since_s = connection.idle_since_s
            if since_s is not None and now_s - since_s >= IDLE_S:
                connection.transport.close()


async def _not_open(_scope: Scope, _receive: Receive, _send: Send) -> None:
    raise RuntimeError("nobody is served before `open`")


def _url(host: str, port: int) -> str:
    """Where a program on this machine reaches the listener."""
    shown = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104
    return f"http://[{shown}]:{port}" if ":" in shown else f"http://{shown}:{port}"


def _why(host: str, port: int, error: OSError | UnicodeError) -> str:
    if isinstance(error, UnicodeError):
        reason = "that is no host name"
    else:
        number = error.errno or 0
        reason = os.strerror(number) if number > 0 else error.strerror or str(error)
    return (
        f"cannot listen on {host}:{port}: {reason.lower()};"
        " stop what runs there, or choose another address with --listen HOST:PORT"
    )
