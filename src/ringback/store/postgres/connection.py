"""One connection to the server: how it is made, what it is asked to keep to, and what we use of it.

The only module that imports asyncpg's connecting side. Every connection has an application name, a
limit on how long a statement may run, on how long it may wait for a lock, and on how long a
transaction may stand still. Behind PgBouncer those cannot be set when connecting: there the role
has to have them.

The URL may name several servers, of which one takes writes at a time. No connection is ever to one
that does not: a standby that is asked is left at once, one that was promoted is found.
"""

import asyncio
import socket
from collections.abc import AsyncIterable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Final, Protocol
from urllib.parse import urlsplit, urlunsplit

import asyncpg  # type: ignore[import-untyped]

from ringback.config import Settings
from ringback.errors import ConfigError, SchemaMismatch, StoreError, StoreUnavailable
from ringback.store.postgres.faults import FAULTS, standby, translated, unreachable

OLDEST_SERVER: Final = 130_000  # version number of PostgreSQL 13
STATEMENTS_KEPT: Final = 256  # prepared statements of a connection
NAME: Final = "ringback"
ANSWER_SLACK_S: Final = 5.0  # how much longer than the server we wait for it to give up
# Who stands still in the middle of a transaction has let go of all it holds before its lease ends:
# nobody who adopts from it has to wait.
IDLES_PER_LEASE: Final = 2
SILENCE_S: Final = 10  # a machine that acknowledges nothing for this long is taken for gone


class Connection(Protocol):
    """What the store uses of an `asyncpg.Connection`. Rows are sequences."""

    async def execute(
        self,
        text: str,
        *values: Any,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> str: ...
    async def executemany(self, text: str, rows: Sequence[Sequence[Any]]) -> None: ...
    async def fetch(self, text: str, *values: Any) -> list[Sequence[Any]]: ...
    def cursor(self, text: str, *values: Any, prefetch: int) -> AsyncIterable[Sequence[Any]]: ...
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
    return await Servers(settings).connect()


class Servers:
    """The servers that `database` names. The one that took writes last is asked first."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._urls = _one_by_one(settings.database)

    async def connect(self) -> Connection:
        """As `connect`; each server may take `postgres_connect_timeout_s`."""
        problems: list[str] = []
        for url in list(self._urls):
            try:
                connection = await _connect(url, self._settings)
            except StoreUnavailable as error:
                problems.append(str(error))
                continue
            self._urls = [url, *(other for other in self._urls if other != url)]
            return connection
        raise StoreUnavailable("; ".join(problems))


async def _connect(url: str, settings: Settings) -> Connection:
    limits = {
        # Every query has its index; a plan made while a table was small must not forget it.
        "enable_seqscan": "off",
        "jit": "off",
        "application_name": NAME,
        "statement_timeout": str(round(settings.postgres_statement_timeout_s * 1000)),
        "lock_timeout": str(round(settings.postgres_lock_timeout_s * 1000)),
        "idle_in_transaction_session_timeout": str(
            round(settings.lease_s / IDLES_PER_LEASE * 1000)
        ),
    }
    is_pooled = settings.postgres_pgbouncer
    try:
        connection = await asyncpg.connect(
            url,
            timeout=settings.postgres_connect_timeout_s,
            command_timeout=settings.postgres_statement_timeout_s + ANSWER_SLACK_S,
            statement_cache_size=0 if is_pooled else STATEMENTS_KEPT,
            server_settings={} if is_pooled else limits,
        )
    except asyncpg.TargetServerAttributeNotMatched as error:
        raise standby(url) from error
    except (*FAULTS, ValueError, asyncio.IncompleteReadError) as error:
        raise unreachable(error, url) from error
    _notice_silence(connection)
    return await _checked(connection, url)


async def _checked(connection: Connection, url: str) -> Connection:
    try:
        # In a transaction, because PgBouncer may give every other statement to another server.
        async with connection.transaction():
            version = int(await connection.fetchval("SHOW server_version_num"))
            encoding = await connection.fetchval("SHOW server_encoding")
            is_standby = await connection.fetchval("SHOW transaction_read_only") == "on"
    except FAULTS as error:
        connection.terminate()
        fault = translated(error)
        raise fault if isinstance(fault, StoreError) else error from error
    except BaseException:  # who stops while we are asking must not leave it open
        connection.terminate()
        raise
    if version >= OLDEST_SERVER and encoding == "UTF8" and not is_standby:
        return connection
    connection.terminate()
    if encoding != "UTF8":
        raise ConfigError(
            f"database: its encoding is {encoding}, which cannot hold every text;"
            " create it again: CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0"
        )
    if is_standby:
        raise standby(url)
    raise SchemaMismatch(
        f"the server is PostgreSQL {version // 10_000}; Ringback needs"
        f" {OLDEST_SERVER // 10_000} or later: upgrade the server"
    )


def _notice_silence(connection: Any) -> None:
    """A machine that lost its power, or its network, says nothing: let the system find out."""
    link = connection._transport.get_extra_info("socket")
    if link is None or link.family not in (socket.AF_INET, socket.AF_INET6):
        return
    link.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (
        ("TCP_KEEPIDLE", SILENCE_S // 2),
        ("TCP_KEEPINTVL", 1),
        ("TCP_KEEPCNT", SILENCE_S // 2),
        ("TCP_USER_TIMEOUT", SILENCE_S * 1000),
    ):
        if hasattr(socket, name):  # not every system has them all
            link.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def _one_by_one(url: str) -> list[str]:
    """A URL for each of the hosts that `postgresql://user@one,other:5433/name` names."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return [url]  # the driver says what is wrong with it
    user, at, hosts = parts.netloc.rpartition("@")
    return [
        urlunsplit(parts._replace(netloc=f"{user}{at}{host}")) if host else url
        for host in hosts.split(",")
    ]
