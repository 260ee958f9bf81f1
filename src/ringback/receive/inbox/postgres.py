"""PostgreSQL through asyncpg: a pool of our own, or the app's.

Of our own pool, handlers can take all connections but `SPARE`, so that acknowledging never waits
for a handler. With a pool of the app's that is the app's to arrange.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final

import asyncpg  # type: ignore[import-untyped]

from ringback.errors import ConfigError
from ringback.receive.inbox.driver import HandlerTransaction, Rows
from ringback.receive.inbox.postgres_transaction import PostgresTransaction
from ringback.receive.inbox.sql import Dialect, Statement, text_of

SCHEMES: Final = ("postgresql://", "postgres://")
SPARE: Final = 3  # for receipts, claims and ends
CONNECT_S_MAX: Final = 5.0
STATEMENT_S_MAX: Final = 10.0
CLOSE_S_MAX: Final = 5.0


class PostgresDriver:
    """`target` is a URL or an `asyncpg.Pool`, which stays the app's to close."""

    dialect: Dialect = "postgres"
    is_own = True

    def __init__(self, target: Any, *, concurrency: int) -> None:
        self._url = target if isinstance(target, str) else None
        self._pool: Any = None if isinstance(target, str) else target
        self._size = concurrency + SPARE
        self._opening = asyncio.Lock()

    async def open(self) -> None:
        async with self._opening:
            if self._pool is None:
                self._pool = await self._own_pool()

    async def run(self, *statements: Statement, is_durable: bool = True) -> list[Rows]:
        async with self._pool.acquire(timeout=CONNECT_S_MAX) as connection:
            if len(statements) == 1:
                return [await execute(connection, statements[0])]
            async with connection.transaction():
                return [await execute(connection, statement) for statement in statements]

    async def run_script(self, text: str, *, lock: Statement | None) -> None:
        async with (
            self._pool.acquire(timeout=CONNECT_S_MAX) as connection,
            connection.transaction(),
        ):
            if lock is not None:
                await execute(connection, lock)
            await connection.execute(text, timeout=STATEMENT_S_MAX)

    def begin(self) -> HandlerTransaction:
        return PostgresTransaction(self, self._pool)

    async def within(
        self,
        call: Callable[[Any], Any],
        statement: Statement,
        *,
        run: Callable[[Callable[[], bool]], Awaitable[bool]],
    ) -> bool:
        raise ConfigError("this inbox has no connections of the app's to lend")

    async def close(self) -> None:
        if self._url is None or self._pool is None:
            return
        pool, self._pool = self._pool, None
        try:
            async with asyncio.timeout(CLOSE_S_MAX):
                await pool.close()
        except TimeoutError:
            pool.terminate()

    async def _own_pool(self) -> Any:
        try:
            return await asyncpg.create_pool(
                self._url,
                min_size=0,
                max_size=self._size,
                timeout=CONNECT_S_MAX,
                server_settings={"application_name": "ringback-inbox"},
            )
        except (asyncpg.ClientConfigurationError, ValueError) as error:
            # Never shows the URL: it may hold a password.
            raise ConfigError(
                f"the inbox cannot understand its database URL ({type(error).__name__}); write"
                " postgresql://USER:PASSWORD@HOST:5432/NAME"
            ) from None


async def execute(connection: Any, statement: Statement) -> Rows:
    text = text_of("postgres", statement)
    rows: Rows = await connection.fetch(text, *statement.values, timeout=STATEMENT_S_MAX)
    return rows
