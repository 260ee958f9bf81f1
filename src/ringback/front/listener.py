"""The listener: takes an address, hands connections to the app, and stops in order.

Owns connections from accept to close. Never looks into a request.

    bind ─► open ─► close        bound: others cannot take the address, nobody is answered yet
    feed ─┘   └─► wind_down ┘    fed: another process listens, and passes connections on (`take`)
                                 open: requests reach the app
                                 winding down: each request is the last one of its connection
                                 closed: requests in progress have ended, by themselves or by us

Invariants: a connection on which no request is served for IDLE_S is closed, whether it waits
between requests or dribbles one. Whoever does not take an answer within WRITE_S is cut off, so no
answer stays in memory for longer.
"""

import asyncio
import socket
from contextlib import suppress
from email.utils import formatdate
from typing import Final

from ringback.clock import Clock
from ringback.front.address import cannot_listen, url_of
from ringback.front.connection import App, Connection, Receive, Scope, Send

BACKLOG: Final = 2_048
CONNECTIONS_MAX: Final = 8_192
BODY_BYTES_MAX: Final = 2 * 1024 * 1024
BODIES_BYTES_MAX: Final = 64 * 1024 * 1024
# Longer than the 60 s after which common load balancers give up an idle connection of theirs.
IDLE_S: Final = 75.0
WRITE_S: Final = 60.0
TICK_S: Final = 1.0


class Front:
    """One listener."""

    def __init__(
        self,
        clock: Clock,
        *,
        body_bytes_max: int = BODY_BYTES_MAX,
        bodies_bytes_max: int = BODIES_BYTES_MAX,
    ) -> None:
        self._clock = clock
        self._listener: asyncio.Server | None = None
        self._ticking: asyncio.Task[None] | None = None
        self._connections: set[Connection] = set()
        self._one_closed = asyncio.Event()
        self._arriving: set[asyncio.Task[None]] = set()
        self._is_fed = False
        self._is_closing = False
        self.app: App = _not_open
        self.body_bytes_max = body_bytes_max
        self.bodies_bytes_max = bodies_bytes_max
        self.held_bytes = 0
        self.is_leaving = False
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
            raise cannot_listen(host, port, error) from None
        return url_of(host, self._listener.sockets[0].getsockname()[1])

    def feed(self) -> None:
        """Listen to nothing: connections come by `take`."""
        self._is_fed = True

    def take(self, accepted: socket.socket) -> None:
        """Serve a connection that another process has accepted. It is ours from now on."""
        if self._is_closing or self._ticking is None:
            accepted.close()
            return
        task = asyncio.create_task(self._attach(accepted))
        self._arriving.add(task)
        task.add_done_callback(self._arrived)

    async def open(self, app: App) -> None:
        """Answer requests with an ASGI app.

        Raises CannotListen, and RuntimeError before `bind` or `feed`.
        """
        if self._listener is None and not self._is_fed:
            raise RuntimeError("bind an address before opening the front")
        self.app = app
        self._stamp()
        if self._listener is not None:
            await self._listen(self._listener)
        self._ticking = asyncio.create_task(self._tick())

    async def wind_down(self, timeout_s: float) -> None:
        """Answer as before, but make each answer the last one of its connection.

        Returns when no connection is left, or after the time. For when others serve on.
        """
        self.is_leaving = True
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._all_closed()

    async def close(self, timeout_s: float) -> int:
        """Stop listening, let requests in progress end; how many had to be cut off."""
        self._is_closing = True
        if self._listener is not None:
            self._listener.close()
        if self._ticking is not None:
            self._ticking.cancel()
        await asyncio.gather(*self._arriving, return_exceptions=True)
        for connection in list(self._connections):
            connection.finish()
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._all_closed()
        return await self._cut_off()

    @property
    def connection_count(self) -> int:
        return len(self._connections) + len(self._arriving)

    async def _listen(self, listener: asyncio.Server) -> None:
        try:
            await listener.start_serving()
        except OSError as error:
            host, port = listener.sockets[0].getsockname()[:2]
            raise cannot_listen(host, port, error) from None

    async def _attach(self, accepted: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        try:
            accepted.setblocking(False)
            await loop.connect_accepted_socket(lambda: Connection(self, loop), accepted)
        except OSError:
            accepted.close()  # whoever it was has gone

    def _arrived(self, task: asyncio.Task[None]) -> None:
        self._arriving.discard(task)
        self._one_closed.set()

    async def _all_closed(self) -> None:
        while self._connections or self._arriving:
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
            since_s, blocked_s = connection.idle_since_s, connection.blocked_since_s
            if blocked_s is not None and now_s - blocked_s >= WRITE_S:
                connection.transport.abort()
            elif since_s is not None and now_s - since_s >= IDLE_S:
                _hang_up(connection.transport)


def _hang_up(transport: asyncio.Transport) -> None:
    """At once if the other side does not read: a transport that closes sends all it has first."""
    if transport.get_write_buffer_size():
        transport.abort()
    else:
        transport.close()


async def _not_open(_scope: Scope, _receive: Receive, _send: Send) -> None:
    raise RuntimeError("nobody is served before `open`")
