"""What all parts of the store share: write in a transaction, read at an instant.

`read` and `snapshot` have connections of their own, so that a slow page of history never holds up
the path.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, TypeVar

from ringback.clock import Clock
from ringback.store.postgres.connection import Connection
from ringback.store.postgres.faults import FAULTS, is_lost, is_worth_repeating, translated
from ringback.store.postgres.pool import Pool
from ringback.store.postgres.rows import EndpointRows

T = TypeVar("T")

TRIES_MAX: Final = 5
CLOSE_WITHIN_S: Final = 2.0


class Database:
    """An open database. `endpoints` turns endpoint rows, with their secrets, into nouns."""

    def __init__(
        self,
        writers: Pool,
        readers: Pool,
        *,
        endpoints: EndpointRows,
        clock: Clock,
        is_pooled: bool,
    ) -> None:
        self._writers = writers
        self._readers = readers
        self._is_pooled = is_pooled
        self.endpoints = endpoints
        self.clock = clock

    async def write(self, run: Callable[[Connection], Awaitable[T]]) -> T:
        """Run in a transaction (read committed) and return after its commit.

        `run` may be called more than once, after deadlocks; what it did before was undone.
        """
        for left in range(TRIES_MAX - 1, -1, -1):
            try:
                async with self._writers.use() as connection, connection.transaction():
                    return await run(connection)
            except FAULTS as error:
                if not (left and is_worth_repeating(error)):
                    raise self._fault(error, self._writers) from error
        raise AssertionError  # the last try returns or raises

    async def call(self, text: str, *values: Any) -> list[Sequence[Any]]:
        """One statement on a connection of the path, a transaction by itself."""
        for left in range(TRIES_MAX - 1, -1, -1):
            try:
                async with self._writers.use() as connection:
                    return await self._fetch(connection, text, values)
            except FAULTS as error:
                if not (left and is_worth_repeating(error)):
                    raise self._fault(error, self._writers) from error
        raise AssertionError  # the last try returns or raises

    async def read(self, run: Callable[[Connection], Awaitable[T]]) -> T:
        """One statement or several, each of which sees what is committed when it begins.

        `run` may be called again on a new connection, when the first one turns out to be broken.
        """
        return await self._read(run, isolation=None)

    async def snapshot(self, run: Callable[[Connection], Awaitable[T]]) -> T:
        """Several statements that see the database at one instant. Otherwise as `read`."""
        return await self._read(run, isolation="repeatable_read")

    async def close(self) -> None:
        await asyncio.gather(
            self._readers.close(within_s=CLOSE_WITHIN_S),
            self._writers.close(within_s=CLOSE_WITHIN_S),
        )

    async def _read(self, run: Callable[[Connection], Awaitable[T]], *, isolation: str | None) -> T:
        try:
            return await self._read_once(run, isolation=isolation)
        except FAULTS as error:
            fault = self._fault(error, self._readers)
            if not is_lost(error):
                raise fault from error
        try:
            return await self._read_once(run, isolation=isolation)
        except FAULTS as error:
            raise self._fault(error, self._readers) from error

    async def _read_once(
        self, run: Callable[[Connection], Awaitable[T]], *, isolation: str | None
    ) -> T:
        async with self._readers.use() as connection:
            if isolation is None and not self._is_pooled:
                return await run(connection)
            async with connection.transaction(isolation=isolation, readonly=True):
                return await run(connection)

    async def _fetch(
        self, connection: Connection, text: str, values: Sequence[Any]
    ) -> list[Sequence[Any]]:
        if not self._is_pooled:
            return await connection.fetch(text, *values)
        # Behind PgBouncer only a transaction keeps one server for preparing and for running.
        async with connection.transaction():
            return await connection.fetch(text, *values)

    def _fault(self, error: BaseException, pool: Pool) -> BaseException:
        if is_lost(error):
            pool.forget_idle()
        return translated(error)
