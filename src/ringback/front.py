"""The HTTP front: uvicorn's protocol on our own listener, in our own event loop.

Uvicorn's `Server` brings its own loop, signals and clock ticks; of it we use the parser and the
ASGI cycle only. So the address is taken before the database is opened, a stop takes no longer than
the requests in progress, and who handles signals is decided in one place (`serve`).

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
from typing import Any, Final

from msgspec import Struct
from uvicorn import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from ringback.clock import Clock
from ringback.errors import RingbackError

BACKLOG: Final = 2_048
CONNECTIONS_MAX: Final = 8_192
# Longer than the 60 s after which common load balancers give up an idle connection of theirs.
IDLE_S: Final = 75.0
TICK_S: Final = 1.0


class CannotListen(RingbackError):
    """The address to listen on is taken, not ours or not an address."""


class _Idle(Struct):
    """Since when a connection serves nothing; `cycle` tells one idle stretch from the next."""

    cycle: object
    since_s: float


class Front:
    """One listener."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._state = ServerState()
        self._config: Config | None = None
        self._listener: asyncio.Server | None = None
        self._ticking: asyncio.Task[None] | None = None
        self._idle: dict[Any, _Idle] = {}

    async def bind(self, host: str, port: int) -> str:
        """Take the address; its URL, with the real port. Raises CannotListen."""
        loop = asyncio.get_running_loop()
        try:
            self._listener = await loop.create_server(
                self._connection, host, port, backlog=BACKLOG, start_serving=False
            )
        except (OSError, UnicodeError) as error:
            raise CannotListen(_why(host, port, error)) from None
        return _url(host, self._listener.sockets[0].getsockname()[1])

    async def open(self, app: Any) -> None:
        """Answer requests with an ASGI app. Raises CannotListen, RuntimeError before `bind`."""
        if self._listener is None:
            raise RuntimeError("bind an address before opening the front")
        self._config = _config(_cancellable(app))
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
        for connection in list(self._state.connections):
            connection.shutdown()
        if self._state.tasks:
            await asyncio.wait(self._state.tasks, timeout=timeout_s)
        return await self._cut_off()

    async def _cut_off(self) -> int:
        for connection in list(self._state.connections):
            connection.transport.abort()
        late = list(self._state.tasks)
        # The app hears of the lost connection first, so that nothing is answered half.
        await asyncio.sleep(0)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)
        return len(late)

    def _connection(self) -> HttpToolsProtocol:
        assert self._config is not None  # noqa: S101  nobody is accepted before `open`
        return HttpToolsProtocol(self._config, self._state, {})

    async def _tick(self) -> None:
        while True:
            await self._clock.sleep(TICK_S)
            self._stamp()
            self._close_idle()

    def _stamp(self) -> None:
        """The Date header of the next second's responses (RFC 9110, 6.6.1)."""
        date = formatdate(self._clock.now_ms() / 1000, usegmt=True)
        self._state.default_headers = [(b"date", date.encode())]

    def _close_idle(self) -> None:
        now_s = self._clock.monotonic()
        before, self._idle = self._idle, {}
        connections: list[Any] = list(self._state.connections)
        for connection in connections:
            cycle = connection.cycle
            if cycle is not None and not cycle.response_complete:
                continue
            seen = before.get(connection)
            if seen is None or seen.cycle is not cycle:
                seen = _Idle(cycle=cycle, since_s=now_s)
            if now_s - seen.since_s >= IDLE_S:
                connection.transport.close()
            else:
                self._idle[connection] = seen


def _cancellable(app: Any) -> Any:
    """The app, for whom being cut off is an end and not an error worth a traceback."""

    async def cancellable(scope: Any, receive: Any, send: Any) -> None:
        with suppress(asyncio.CancelledError):
            await app(scope, receive, send)

    return cancellable


def _config(app: Any) -> Config:
    config = Config(
        app,
        http="httptools",
        ws="none",
        lifespan="off",
        interface="asgi3",
        access_log=False,
        log_config=None,
        proxy_headers=False,
        server_header=False,
        limit_concurrency=CONNECTIONS_MAX,
        timeout_keep_alive=int(IDLE_S),
    )
    config.load()
    return config


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
