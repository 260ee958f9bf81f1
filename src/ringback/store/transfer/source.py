"""The SQLite file that is moved: read in order, while nobody else can use it."""

import socket
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from msgspec import Struct

from ringback.clock import Clock, id_time_ms
from ringback.config import Settings
from ringback.errors import ConfigError, SchemaMismatch
from ringback.store.nodes import NodeAbout
from ringback.store.sqlite.faults import translated
from ringback.store.sqlite.file import open_for_reading, own
from ringback.store.sqlite.migrate import status
from ringback.store.sqlite.sql import Row
from ringback.store.sqlite.store import open_store
from ringback.store.transfer.mark import Identity
from ringback.store.transfer.sql import query
from ringback.store.transfer.tables import Table

BATCH_BYTES_MAX: Final = 8 * 1024 * 1024
ADOPT_BATCHES_MAX: Final = 100
LEASE_MS: Final = 60_000

Key = str | int


class Batch(Struct, frozen=True):
    rows: list[Row]
    last_key: Key


class Source:
    """Built by `open_source`; `close` it."""

    def __init__(self, path: Path) -> None:
        """Become the file's owner. Raises StoreOwned while a service runs."""
        self._ownership = own(path)
        try:
            self._connection = open_for_reading(path)
        except BaseException:
            self._ownership.release()
            raise

    def close(self) -> None:
        self._connection.close()
        self._ownership.release()

    @property
    def identity(self) -> Identity:
        return Identity(*self._one(query("read_identity")))

    @property
    def last_waiting(self) -> int:
        return int(self._one(query("read_last_waiting"))[0] or 0)

    def count(self, table: Table) -> int:
        return int(self._one(query("count_rows", table=table.source))[0])

    def span_ms(self, table: str) -> tuple[int, int] | None:
        """When the first and the last id of a table were made; None when there is none."""
        first, last = self._one(query("read_bounds", table=table))
        try:
            return id_time_ms(first), id_time_ms(last)
        except (AttributeError, ValueError):
            return None

    def rows(self, table: Table) -> Iterator[Row]:
        """All of a table."""
        for row in self._stream(table, after=None):
            yield row[1:]

    def batches(self, table: Table, *, after: Key | None, rows_max: int) -> Iterator[Batch]:
        """What comes after a key, by rows and by bytes."""
        large = [1 + table.columns.index(name) for name in table.large]
        rows: list[Row] = []
        size = 0
        for row in self._stream(table, after=after):
            rows.append(row[1:])
            for place in large:
                size += len(row[place] or b"")
            if len(rows) >= rows_max or size >= BATCH_BYTES_MAX:
                yield Batch(rows, row[0])
                rows, size = [], 0
        if rows:
            yield Batch(rows, row[0])

    def _stream(self, table: Table, *, after: Key | None) -> Iterator[tuple[Any, ...]]:
        """Rows with their key first."""
        marks = {"table": table.source, "columns": ", ".join(table.columns), "key": table.key}
        name = "read_rows" if after is None else "read_rows_after"
        values = () if after is None else (after,)
        try:
            yield from self._connection.execute(query(name, **marks), values)
        except sqlite3.Error as error:
            raise translated(error) from error

    def _one(self, text: str) -> tuple[Any, ...]:
        try:
            row: tuple[Any, ...] = self._connection.execute(text).fetchone()
        except sqlite3.Error as error:
            raise translated(error) from error
        return row


async def open_source(path: Path, settings: Settings, clock: Clock) -> Source:
    """The file as it is to be moved: what was in flight when its service died waits again.

    Raises ConfigError, SchemaMismatch, StoreOwned, StoreCorrupt or StoreUnavailable.
    """
    path = _checked(path)
    await _settle(path, settings, clock)
    return Source(path)


def _checked(path: Path) -> Path:
    if not path.is_file():
        raise ConfigError(f"there is no database {path}; give the path of the SQLite file")
    path = path.absolute()
    if any(state.applied_at_ms is None for state in status(path)):
        raise SchemaMismatch(
            f"{path} is of an older version; bring it up first:"
            f" ringback migrate up --database sqlite:///{path}"
        )
    return path


async def _settle(path: Path, settings: Settings, clock: Clock) -> None:
    """As a start of the service does: only if a run has ended without a drain."""
    connection = open_for_reading(path)
    try:
        (count,) = connection.execute(query("count_rows", table="in_flight")).fetchone()
    finally:
        connection.close()
    if not count:
        return
    store = await open_store(path, settings, clock, inline=True)
    try:
        lease = await store.nodes.join(NodeAbout(socket.gethostname()), lease_ms=LEASE_MS)
        while await store.path.adopt(lease, now_ms=clock.now_ms(), limit=ADOPT_BATCHES_MAX):
            pass
        await store.nodes.leave(lease)
    finally:
        await store.close()
