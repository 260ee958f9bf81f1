"""The store on SQLite, put together."""

import sqlite3
from pathlib import Path
from typing import Final

from ringback.clock import Clock
from ringback.config import Settings
from ringback.errors import StoreError
from ringback.sign.sealing import Sealer
from ringback.store import port
from ringback.store.nodes import Nodes, Notices
from ringback.store.sqlite.commit import Transaction, commit_together
from ringback.store.sqlite.database import Database
from ringback.store.sqlite.file import (
    connect,
    open_beside,
    open_for_writing,
    own,
    prepare,
)
from ringback.store.sqlite.guard import Guard
from ringback.store.sqlite.history import SqliteHistory
from ringback.store.sqlite.migrate import migrate
from ringback.store.sqlite.nodes import NoNotices, SqliteNodes
from ringback.store.sqlite.path import SqlitePath
from ringback.store.sqlite.place import Place
from ringback.store.sqlite.readers import InlineReaders, Readers
from ringback.store.sqlite.resources import SqliteResources
from ringback.store.sqlite.rows import EndpointRows
from ringback.store.sqlite.sealed import check_secrets
from ringback.store.sqlite.sql import query
from ringback.store.sqlite.tending import SqliteTending
from ringback.store.sqlite.writer import InlineWriter, Writer
from ringback.store.tending import Tending
from ringback.store.trouble import Trouble

MEMORY: Final = ":memory:"


class Holding:
    """What a store holds of a file beside its connections: the right to it, and its place."""

    def __init__(self, file: Path, clock: Clock) -> None:
        self.file = file
        self._clock = clock
        self._ownership = own(file)
        self._place: Place | None = None

    def place(self) -> Place:
        """Noted once the file and its log are there."""
        self._place = Place(self.file, self._clock)
        return self._place

    def release(self) -> None:
        """Safe to call twice."""
        if self._place is not None:
            self._place.close()
        self._ownership.release()


class SqliteStore:
    """One open database; a `port.Store`. Built by `open_store`."""

    def __init__(self, database: Database, trouble: Trouble, holding: Holding | None) -> None:
        self._database = database
        self._trouble = trouble
        self._holding = holding
        self.path: port.Path = SqlitePath(database)
        self.nodes: Nodes = SqliteNodes(database)
        self.notices: Notices = NoNotices()
        self.resources: port.Resources = SqliteResources(database)
        self.history: port.History = SqliteHistory(database)
        self.tending: Tending = SqliteTending(database)

    @property
    def fault(self) -> StoreError | None:
        return self._trouble.fault

    @property
    def hindrance(self) -> StoreError | None:
        return self._trouble.hindrance

    async def close(self) -> None:
        """Finish what was handed in, then close. Safe to call twice."""
        await self._database.close()
        if self._holding is not None:
            self._holding.release()


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

    Raises ConfigError, MainSecretNeeded, StoreOwned, StoreCorrupt, StoreUnavailable or
    SchemaMismatch.
    """
    if str(path) == MEMORY:
        return _open_inline(connection or open_memory(settings), settings, clock, holding=None)
    return _open_file(Path(path), settings, clock, inline=inline)


def open_memory(settings: Settings) -> sqlite3.Connection:
    """An empty database in memory, for `open_store`."""
    connection = connect(MEMORY)
    prepare(connection, cache_bytes=settings.sqlite_cache_bytes)
    return connection


def _open_file(path: Path, settings: Settings, clock: Clock, *, inline: bool) -> SqliteStore:
    holding = Holding(path.absolute(), clock)
    connection: sqlite3.Connection | None = None
    try:
        connection = open_for_writing(holding.file, settings)
        if inline:
            return _open_inline(connection, settings, clock, holding=holding)
        return _open_threaded(connection, settings, clock, holding=holding)
    except BaseException:
        if connection is not None:
            connection.close()
        holding.release()
        raise


def _open_inline(
    connection: sqlite3.Connection,
    settings: Settings,
    clock: Clock,
    *,
    holding: Holding | None,
) -> SqliteStore:
    trouble = Trouble(clock)
    sealer = Sealer(settings.main_secret)
    _take_over(connection, sealer, clock, trouble)
    guard = Guard(trouble, None if holding is None else holding.place())
    readers = InlineReaders(connection, guard)
    database = Database(
        InlineWriter(connection, guard, closes=holding is not None),
        readers,
        readers,
        endpoints=EndpointRows(sealer, clock),
        clock=clock,
    )
    return SqliteStore(database, trouble, holding)


def _open_threaded(
    connection: sqlite3.Connection, settings: Settings, clock: Clock, *, holding: Holding
) -> SqliteStore:
    trouble = Trouble(clock)
    sealer = Sealer(settings.main_secret)
    _take_over(connection, sealer, clock, trouble)
    guard = Guard(trouble, holding.place())

    def readers(count: int) -> Readers:
        return Readers(lambda: open_beside(holding.file), guard, count=count, clock=clock)

    database = Database(
        Writer(connection, guard),
        readers(settings.sqlite_readers),
        readers(settings.sqlite_path_readers),
        endpoints=EndpointRows(sealer, clock),
        clock=clock,
    )
    return SqliteStore(database, trouble, holding)


def _take_over(
    connection: sqlite3.Connection, sealer: Sealer, clock: Clock, trouble: Trouble
) -> None:
    """Migrate, and fence whoever wrote before: the owner is the only one that may."""
    migrate(connection, now_ms=clock.now_ms())
    check_secrets(connection, sealer)
    [outcome] = commit_together(
        connection,
        [Transaction(lambda db: db.execute(query("fence_all_nodes")).rowcount)],
        Guard(trouble),
    )
    if outcome.error is not None:
        raise outcome.error
