"""What all parts of the store share: write in a transaction, read at an instant.

`read` and `snapshot` have connections of their own, so that a slow page of history never holds up
the path, which has `write`, `call` and `look_up`.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, TypeVar

from ringback.clock import Clock
from ringback.errors import StoreCorrupt, StoreUnavailable
from ringback.store.postgres.connection import Connection
from ringback.store.postgres.faults import (
    FAULTS,
    is_lost,
    is_on_standby,
    is_worth_repeating,
    translated,
)
from ringback.store.postgres.pool import Pool, Slots
from ringback.store.postgres.rows import EndpointRows
from ringback.store.trouble import Trouble

T = TypeVar("T")

TRIES_MAX: Final = 5
CLOSE_WITHIN_S: Final = 2.0


class Database:
    """An open database. `endpoints` turns endpoint rows, with their secrets, into nouns.

    `changes` are the connections that may be busy with `change` at a time.
    """

    def __init__(
        self,
        writers: Pool,
        readers: Pool,
        *,
        changes: Slots,
        endpoints: EndpointRows,
        clock: Clock,
        trouble: Trouble,
        is_pooled: bool,
    ) -> None:
        self._writers = writers
        self._readers = readers
        self._changes = changes
        self._is_pooled = is_pooled
        self.endpoints = endpoints
        self.trouble = trouble
        self.clock = clock

    async def write(self, run: Callable[[Connection], Awaitable[T]]) -> T:
        """Run in a transaction (read committed) and return after its commit.

        `run` may be called more than once, after deadlocks; what it did before was undone.
        """

        async def transaction(connection: Connection) -> T:
            async with connection.transaction():
                return await run(connection)

        return await self._write(transaction)

    async def change(self, run: Callable[[Connection], Awaitable[T]]) -> T:
        """As `write`, for what the API's callers change. Those who change the same thing wait for
        one another, so they never have every connection of the path."""
        async with self._changes:
            return await self.write(run)

    async def call(self, text: str, *values: Any) -> list[Sequence[Any]]:
        """One statement on a connection of the path, a transaction by itself."""

        async def fetch(connection: Connection) -> list[Sequence[Any]]:
            return await connection.fetch(text, *values)

        # Behind PgBouncer only a transaction keeps one server for preparing and for running.
        return await (self.write(fetch) if self._is_pooled else self._write(fetch))

    async def look_up(self, run: Callable[[Connection], Awaitable[T]]) -> T:
        """As `snapshot`, on a connection of the path."""
        return await self._read(run, self._writers, isolation="repeatable_read")

    async def read(self, run: Callable[[Connection], Awaitable[T]]) -> T:
        """One statement or several, each of which sees what is committed when it begins.

        `run` may be called again on a new connection, when the first one turns out to be broken.
        """
        return await self._read(run, self._readers, isolation=None)

    async def snapshot(self, run: Callable[[Connection], Awaitable[T]]) -> T:
        """Several statements that see the database at one instant. Otherwise as `read`."""
        return await self._read(run, self._readers, isolation="repeatable_read")

    async def close(self) -> None:
        await asyncio.gather(
            self._readers.close(within_s=CLOSE_WITHIN_S),
            self._writers.close(within_s=CLOSE_WITHIN_S),
        )

    async def _read(
        self, run: Callable[[Connection], Awaitable[T]], pool: Pool, *, isolation: str | None
    ) -> T:
        try:
            return await self._read_once(run, pool, isolation=isolation)
        except FAULTS as error:
            fault = self._fault(error, pool, is_writing=False)
            if not is_lost(error):
                raise fault from error
        try:
            return await self._read_once(run, pool, isolation=isolation)
        except FAULTS as error:
            raise self._fault(error, pool, is_writing=False) from error

    async def _read_once(
        self, run: Callable[[Connection], Awaitable[T]], pool: Pool, *, isolation: str | None
    ) -> T:
        async with pool.use() as connection:
            if isolation is None and not self._is_pooled:
                return await run(connection)
            async with connection.transaction(isolation=isolation, readonly=True):
                return await run(connection)

    async def _write(self, run: Callable[[Connection], Awaitable[T]]) -> T:
        if refusal := self.trouble.refusal():
            raise refusal
        for left in range(TRIES_MAX - 1, -1, -1):
            try:
                async with self._writers.use() as connection:
                    result = await run(connection)
            except FAULTS as error:
                if not (left and is_worth_repeating(error)):
                    raise self._fault(error, self._writers, is_writing=True) from error
            except StoreUnavailable as error:
                self.trouble.met(error, is_writing=True)
                raise
            else:
                if self.trouble.hindrance is not None:
                    self.trouble.over()
                return result
        raise AssertionError  # the last try returns or raises

    def _fault(self, error: BaseException, pool: Pool, *, is_writing: bool) -> BaseException:
        """The error of ours, remembered if it is about the database."""
        if is_lost(error) or is_on_standby(error):
            pool.forget_idle()
        in_our_words = translated(error)
        if isinstance(in_our_words, StoreCorrupt) and is_writing:
            self.trouble.condemn(in_our_words)
        elif isinstance(in_our_words, StoreUnavailable):
            self.trouble.met(in_our_words, is_writing=is_writing)
        return in_our_words
