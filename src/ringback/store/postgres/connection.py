"""One connection to the server: how it is made, what it is asked to keep to, and what we use of it.

The only module that imports asyncpg's connecting side. Every connection has an application name, a
limit on how long a statement may run and on how long it may wait for a lock. Behind PgBouncer those
cannot be set when connecting: there the role has to have them.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Final, Protocol

import asyncpg  # type: ignore[import-untyped]

from ringback.config import Settings
from ringback.errors import ConfigError, SchemaMismatch, StoreError
from ringback.store.postgres.faults import translated, unreachable

OLDEST_SERVER: Final = 150_000  # version number of PostgreSQL 15
STATEMENTS_KEPT: Final = 256  # prepared statements of a connection
NAME: Final = "ringback"
ANSWER_SLACK_S: Final = 5.0  # how much longer than the server we wait for it to give up


class Connection(Protocol):
    """What the store uses of an `asyncpg.Connection`. Rows are sequences."""

    async def execute(self, text: str, *values: Any) -> str: ...
    async def executemany(self, text: str, rows: Sequence[Sequence[Any]]) -> None: ...
    async def fetch(self, text: str, *values: Any) -> list[Sequence[Any]]: ...
    async def fetchrow(self, text: str, *values: Any) -> Sequence[Any] | None: ...
    async def fetchval(self, text: str, *values: Any) -> Any: ...
    def transaction(
        self, *, isolation: str | None = None, readonly: bool = False
    ) -> AbstractAsyncContextManager[Any]: ...
    def is_in_transaction(self) -> bool: ...
    def is_closed(self) -> bool: ...
    def terminate(self) -> None: ...
    async def add_listener(self, channel: str, callback: Callable[..., None]) -> None: ...
    def add_termination_listener(self, callback: Callable[..., None]) -> None: ...
    async def close(self, *, timeout: float | None = None) -> None: ...  # noqa: ASYNC109


async def connect(settings: Settings) -> Connection:
    """Raises ConfigError (what is set cannot work), StoreUnavailable, or SchemaMismatch."""
    limits = {
        # Every query has its index; a plan made while a table was small must not forget it.
        "enable_seqscan": "off",
        "jit": "off",
        "application_name": NAME,
        "statement_timeout": str(round(settings.postgres_statement_timeout_s * 1000)),
        "lock_timeout": str(round(settings.postgres_lock_timeout_s * 1000)),
        "idle_in_transaction_session_timeout": str(
            round(settings.postgres_statement_timeout_s * 1000)
        ),
    }
    is_pooled = settings.postgres_pgbouncer
    try:
        connection = await asyncpg.connect(
            settings.database,
            timeout=settings.postgres_connect_timeout_s,
            command_timeout=settings.postgres_statement_timeout_s + ANSWER_SLACK_S,
            statement_cache_size=0 if is_pooled else STATEMENTS_KEPT,
            server_settings={} if is_pooled else limits,
        )
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, ValueError) as error:
        raise unreachable(error, settings.database) from error
    except (TimeoutError, asyncio.IncompleteReadError) as error:
        raise unreachable(error, settings.database) from error
    return await _checked(connection)


async def _checked(connection: Connection) -> Connection:
    try:
        version = int(await connection.fetchval("SHOW server_version_num"))
        encoding = await connection.fetchval("SHOW server_encoding")
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError) as error:
        connection.terminate()
        fault = translated(error)
        raise fault if isinstance(fault, StoreError) else error from error
    if version >= OLDEST_SERVER and encoding == "UTF8":
        return connection
    connection.terminate()
    if encoding != "UTF8":
        raise ConfigError(
            f"database: its encoding is {encoding}, which cannot hold every text;"
            " create it again: CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0"
        )
    raise SchemaMismatch(
        f"the server is PostgreSQL {version // 10_000}; Ringback needs"
        f" {OLDEST_SERVER // 10_000} or later: upgrade the server"
    )
