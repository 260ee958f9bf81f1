"""What all parts of the store share: write in a transaction, read at an instant.

`look_up` has a connection of its own, so that slow pages of history never hold up the path.
"""

import sqlite3
from collections.abc import Callable
from typing import TypeVar

from ringback.clock import Clock
from ringback.store.sqlite.readers import InlineReaders, Readers
from ringback.store.sqlite.rows import EndpointRows
from ringback.store.sqlite.writer import InlineWriter, Writer

T = TypeVar("T")


class Database:
    """An open database. `endpoints` turns endpoint rows, with their secrets, into nouns."""

    def __init__(
        self,
        writer: Writer | InlineWriter,
        readers: Readers | InlineReaders,
        path_readers: Readers | InlineReaders,
        *,
        endpoints: EndpointRows,
        clock: Clock,
    ) -> None:
        self._writer = writer
        self._readers = readers
        self._path_readers = path_readers
        self.endpoints = endpoints
        self.clock = clock

    async def write(
        self, run: Callable[[sqlite3.Connection], T], *, is_checked: bool = False, rows: int = 0
    ) -> T:
        """Returns after the commit. See `commit.Transaction` for `is_checked` and `rows`."""
        return await self._writer.run(run, is_checked=is_checked, rows=rows)

    async def read(self, run: Callable[[sqlite3.Connection], T]) -> T:
        """For who looks at things; it may take long."""
        return await self._readers.run(run)

    async def look_up(self, run: Callable[[sqlite3.Connection], T]) -> T:
        """For what the path needs to go on: few rows, by their keys."""
        return await self._path_readers.run(run)

    async def close(self) -> None:
        """Readers first: the last connection to close tidies up the log."""
        await self._readers.close()
        await self._path_readers.close()
        await self._writer.close()
