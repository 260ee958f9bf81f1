"""A few connections, lent out one use at a time.

Smaller than asyncpg's own pool, and cheaper: nothing is sent to the server when a connection comes
back, because nothing of ours outlives a transaction. A connection that broke, or comes back inside
a transaction, is thrown away; the next use makes a new one. So a restart of the server needs no
help. Who could not connect is not asked again at once: a server that recovers has enough to do.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final

from ringback.clock import Clock
from ringback.errors import ConfigError, SchemaMismatch, StoreUnavailable
from ringback.store.postgres.connection import Connection

CONNECT_AGAIN_S: Final = 0.1


class Slots:
    """`size` at a time; whoever comes beyond waits, for `wait_s` at most."""

    def __init__(self, size: int, *, wait_s: float) -> None:
        self._free = asyncio.Semaphore(size)
        self._wait_s = wait_s

    async def __aenter__(self) -> None:
        """Raises StoreUnavailable when none comes free in time."""
        if not self._free.locked():
            await self._free.acquire()
            return
        try:
            async with asyncio.timeout(self._wait_s):
                await self._free.acquire()
        except TimeoutError:
            raise StoreUnavailable(
                f"every connection to the database was busy for {self._wait_s:g} s;"
                " raise postgres_pool, or see pg_stat_activity for what holds them"
            ) from None

    async def __aexit__(self, *_error: object) -> None:
        self._free.release()


class Pool:
    """`size` connections at most; the most recently used goes first, so few stay busy."""

    def __init__(
        self,
        connect: Callable[[], Awaitable[Connection]],
        size: int,
        *,
        wait_s: float,
        clock: Clock,
    ) -> None:
        self._connect = connect
        self._slots = Slots(size, wait_s=wait_s)
        self._idle: list[Connection] = []
        self._lent: set[Connection] = set()
        self._is_closed = False
        self._clock = clock
        self._refused_until_s = 0.0
        self._why_refused = ""

    @asynccontextmanager
    async def use(self) -> AsyncIterator[Connection]:
        """Raises StoreUnavailable when there is no connection, or none comes free in time."""
        async with self._slots:
            connection = await self._take()
            self._lent.add(connection)
            try:
                yield connection
            finally:
                self._lent.discard(connection)
                self._give_back(connection)

    def add(self, connection: Connection) -> None:
        """One that was made elsewhere, to be used like the others."""
        self._idle.append(connection)

    def forget_idle(self) -> None:
        """The server went away: what is idle has broken too, even if it does not know yet."""
        while self._idle:
            self._idle.pop().terminate()

    async def close(self, *, within_s: float) -> None:
        """Idle connections say good-bye; those in use are cut off. Safe to call twice."""
        self._is_closed = True
        for connection in list(self._lent):
            connection.terminate()
        try:
            while self._idle:
                connection = self._idle.pop()
                try:
                    await connection.close(timeout=within_s)
                except Exception:
                    connection.terminate()
        finally:
            self.forget_idle()

    async def _take(self) -> Connection:
        while self._idle:
            connection = self._idle.pop()
            if not connection.is_closed():
                return connection
        if self._is_closed:
            raise StoreUnavailable("the store is closed")
        if self._clock.monotonic() < self._refused_until_s:
            raise StoreUnavailable(self._why_refused)
        try:
            return await self._connect()
        except (ConfigError, SchemaMismatch, StoreUnavailable) as error:
            # It worked at the start, so it is the server that changed: wait until it is put right.
            self._why_refused = str(error)
            self._refused_until_s = self._clock.monotonic() + CONNECT_AGAIN_S
            # Without a cause: nothing was sent, so nobody has to ask what became of it.
            raise StoreUnavailable(self._why_refused) from None

    def _give_back(self, connection: Connection) -> None:
        if connection.is_closed():
            return
        if self._is_closed or connection.is_in_transaction():
            connection.terminate()
        else:
            self._idle.append(connection)
