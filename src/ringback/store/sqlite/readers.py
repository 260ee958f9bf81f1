"""Reading beside the writer: a few threads, each with a read-only connection.

Every read is one short snapshot that ends before its result is handed back: a snapshot that stays
open stops checkpoints, and the log would grow without end. So a read that takes too long is ended.
"""

import asyncio
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

from ringback.clock import Clock
from ringback.errors import StoreUnavailable
from ringback.store.sqlite.guard import Guard

T = TypeVar("T")

READ_S_MAX: Final = 30.0  # a longer read is ended
_STEPS_PER_LOOK: Final = 200_000  # virtual machine instructions, some milliseconds


class Readers:
    """`connect` opens one more read-only connection."""

    def __init__(
        self,
        connect: Callable[[], sqlite3.Connection],
        guard: Guard,
        *,
        count: int,
        clock: Clock,
    ) -> None:
        self._connect = connect
        self._guard = guard
        self._clock = clock
        self._local = threading.local()
        self._connections: list[sqlite3.Connection] = []
        self._pool = ThreadPoolExecutor(count, thread_name_prefix="sqlite-reader")
        self._is_closed = False

    async def run(self, read: Callable[[sqlite3.Connection], T]) -> T:
        """What `read` returns, seen at one instant after every commit that was reported."""
        if self._is_closed:
            raise StoreUnavailable("the store is closed")
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._read, read)

    async def close(self) -> None:
        self._is_closed = True
        await asyncio.get_running_loop().run_in_executor(None, self._pool.shutdown)
        while self._connections:
            self._connections.pop().close()

    def _read(self, read: Callable[[sqlite3.Connection], T]) -> T:
        self._guard.before_read()
        try:
            connection = self._connection()
            self._local.ends_at_s = self._clock.monotonic() + READ_S_MAX
            return read_at_once(connection, read)
        except sqlite3.Error as error:
            raise self._guard.noted(error, is_writing=False) from error

    def _connection(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._local.connection = self._connect()
            self._connections.append(connection)
            connection.set_progress_handler(self._is_late, _STEPS_PER_LOOK)
        return connection

    def _is_late(self) -> bool:
        return bool(self._clock.monotonic() > self._local.ends_at_s)


class InlineReaders:
    """The same on the calling thread, with the writer's connection."""

    def __init__(self, connection: sqlite3.Connection, guard: Guard) -> None:
        self._connection = connection
        self._guard = guard
        self._is_closed = False

    async def run(self, read: Callable[[sqlite3.Connection], T]) -> T:
        if self._is_closed:
            raise StoreUnavailable("the store is closed")
        self._guard.before_read()
        try:
            return read_at_once(self._connection, read)
        except sqlite3.Error as error:
            raise self._guard.noted(error, is_writing=False) from error

    async def close(self) -> None:
        self._is_closed = True


def read_at_once(connection: sqlite3.Connection, read: Callable[[sqlite3.Connection], T]) -> T:
    """Several statements, one snapshot."""
    connection.execute("BEGIN")
    try:
        return read(connection)
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
