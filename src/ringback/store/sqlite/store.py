"""The store on SQLite, put together."""

import sqlite3
from pathlib import Path
from typing import Final

from ringback.clock import Clock
from ringback.config import Settings
from ringback.sign.sealing import Sealer
from ringback.store import port
from ringback.store.sqlite.commit import Transaction, commit_together
from ringback.store.sqlite.database import Database
from ringback.store.sqlite.file import (
    Ownership,
    connect,
    open_for_reading,
    open_for_writing,
    own,
    prepare,
)
from ringback.store.sqlite.history import SqliteHistory
from ringback.store.sqlite.migrate import migrate
from ringback.store.sqlite.nodes import SqliteNodes
from ringback.store.sqlite.path import SqlitePath
from ringback.store.sqlite.readers import InlineReaders, Readers
from ringback.store.sqlite.resources import SqliteResources
from ringback.store.sqlite.rows import EndpointRows
from ringback.store.sqlite.sql import query
from ringback.store.sqlite.tending import SqliteTending
from ringback.store.sqlite.writer import InlineWriter, Writer

MEMORY: Final = ":memory:"


class SqliteStore:
    """One open database; a `port.Store`. Built by `open_store`."""

    def __init__(self, database: Database, ownership: Ownership | None) -> None:
        self._database = database
        self._ownership = ownership
        self.path: port.Path = SqlitePath(database)
        self.nodes: port.Nodes = SqliteNodes(database)
        self.resources: port.Resources = SqliteResources(database)
        self.history: port.History = SqliteHistory(database)
        self.tending: port.Tending = SqliteTending(database)

    async def close(self) -> None:
        """Finish what was handed in, then close. Safe to call twice."""
        await self._database.close()
        if self._ownership is not None:
            self._ownership.release()


async def open_store(
    path: str | Path,
    settings: Settings,
    clock: Clock,
    *,
    inline: bool = False,
    connection: sqlite3.Connection | None = None,
) -> SqliteStore:
    """Open a database file, create it if needed, and bring its schema up to date.

    `inline` runs every transaction on the calling thread. `:memory:` is always inline; there
    `connection` (made by `open_memory`) is used instead of a new database, and stays open, so that
    a simulated crash can drop the store and keep what was committed.

    Raises ConfigError, StoreOwned, StoreCorrupt, StoreUnavailable or SchemaMismatch.
    """
    if str(path) == MEMORY:
        return _open_inline(connection or open_memory(settings), settings, clock, ownership=None)
    return _open_file(Path(path), settings, clock, inline=inline)


def open_memory(settings: Settings) -> sqlite3.Connection:
    """An empty database in memory, for `open_store`."""
    connection = connect(MEMORY)
    prepare(connection, cache_bytes=settings.sqlite_cache_bytes)
    return connection


def _open_file(path: Path, settings: Settings, clock: Clock, *, inline: bool) -> SqliteStore:
    file = path.absolute()
    ownership = own(file)
    connection: sqlite3.Connection | None = None
    try:
        connection = open_for_writing(file, settings)
        if inline:
            return _open_inline(connection, settings, clock, ownership=ownership)
        return _open_threaded(connection, file, settings, clock=clock, ownership=ownership)
    except BaseException:
        if connection is not None:
            connection.close()
        ownership.release()
        raise


def _open_inline(
    connection: sqlite3.Connection,
    settings: Settings,
    clock: Clock,
    *,
    ownership: Ownership | None,
) -> SqliteStore:
    _take_over(connection, clock)
    database = Database(
        InlineWriter(connection, closes=ownership is not None),
        InlineReaders(connection),
        endpoints=EndpointRows(Sealer(settings.main_secret), clock),
        clock=clock,
    )
    return SqliteStore(database, ownership)


def _open_threaded(
    connection: sqlite3.Connection,
    file: Path,
    settings: Settings,
    *,
    clock: Clock,
    ownership: Ownership,
) -> SqliteStore:
    _take_over(connection, clock)
    database = Database(
        Writer(connection),
        Readers(lambda: open_for_reading(file), count=settings.sqlite_readers, clock=clock),
        endpoints=EndpointRows(Sealer(settings.main_secret), clock),
        clock=clock,
    )
    return SqliteStore(database, ownership)


def _take_over(connection: sqlite3.Connection, clock: Clock) -> None:
    """Migrate, and fence whoever wrote before: the owner is the only one that may."""
    migrate(connection, now_ms=clock.now_ms())
    [outcome] = commit_together(
        connection, [Transaction(lambda db: db.execute(query("fence_all_nodes")).rowcount)]
    )
    if outcome.error is not None:
        raise outcome.error
