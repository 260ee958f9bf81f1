"""A handler's transaction on PostgreSQL. It takes a connection when it is first used."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from ringback.errors import TransactionEnded
from ringback.receive.inbox.driver import Rows
from ringback.receive.inbox.sql import Statement, text_of

if TYPE_CHECKING:
    from ringback.receive.inbox.postgres import PostgresDriver

ACQUIRE_S_MAX: Final = 5.0
STATEMENT_S_MAX: Final = 10.0


class PostgresTransaction:
    """Fits HandlerTransaction. Its statements run one after the other, whoever asks."""

    def __init__(self, driver: "PostgresDriver", pool: Any) -> None:
        self._driver = driver
        self._pool = pool
        self._one_by_one = asyncio.Lock()
        self._connection: Any = None
        self._transaction: Any = None
        self._why_ended = ""

    async def execute(self, text: str, *values: Any) -> None:
        async with self._one_by_one:
            await (await self._begun()).execute(text, *values)

    async def fetch(self, text: str, *values: Any) -> Rows:
        async with self._one_by_one:
            rows: Rows = await (await self._begun()).fetch(text, *values)
            return rows

    async def fetchrow(self, text: str, *values: Any) -> Sequence[Any] | None:
        async with self._one_by_one:
            row: Sequence[Any] | None = await (await self._begun()).fetchrow(text, *values)
            return row

    async def fetchval(self, text: str, *values: Any) -> Any:
        async with self._one_by_one:
            return await (await self._begun()).fetchval(text, *values)

    async def connection(self) -> Any:
        async with self._one_by_one:
            return await self._begun()

    async def finish(self, statement: Statement) -> bool:
        async with self._one_by_one:
            self._check()
            self._why_ended = "the handler has returned"
            if self._connection is None:
                [rows] = await self._driver.run(statement)
                return bool(rows)
            try:
                return await self._commit_with(statement)
            finally:
                await self._give_back()

    async def undo(self) -> None:
        self._why_ended = self._why_ended or "the attempt is over"
        async with self._one_by_one:
            if self._connection is not None:
                try:
                    # A connection that broke has nothing to roll back.
                    with suppress(Exception):
                        await self._transaction.rollback()
                finally:
                    await self._give_back()

    async def _begun(self) -> Any:
        self._check()
        if self._connection is None:
            self._connection = await self._pool.acquire(timeout=ACQUIRE_S_MAX)
            self._transaction = self._connection.transaction()
            await self._transaction.start()
        elif not self._connection.is_in_transaction():
            raise TransactionEnded(
                "the transaction was ended by the handler: leave COMMIT and ROLLBACK to the inbox"
            )
        return self._connection

    async def _commit_with(self, statement: Statement) -> bool:
        try:
            connection = self._connection
            if not connection.is_in_transaction():
                raise TransactionEnded(
                    "the handler ended its transaction itself: leave COMMIT to the inbox"
                )
            text = text_of("postgres", statement)
            is_mine = await connection.fetch(text, *statement.values, timeout=STATEMENT_S_MAX)
        except BaseException:
            with suppress(Exception):
                await self._transaction.rollback()
            raise
        if is_mine:
            await self._transaction.commit()
        else:
            await self._transaction.rollback()
        return bool(is_mine)

    async def _give_back(self) -> None:
        """What comes back inside a transaction is reset by the pool, or thrown away."""
        connection, self._connection = self._connection, None
        await self._pool.release(connection)

    def _check(self) -> None:
        if self._why_ended:
            raise TransactionEnded(self._why_ended)
