"""Reading a Svix server's database: everything as it was at one instant, and nothing written."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from importlib.resources import files
from typing import Any, Final

import asyncpg  # type: ignore[import-untyped]

from ringback.errors import ConfigError, SchemaMismatch, StoreError
from ringback.store.postgres.faults import FAULTS, translated, unreachable

TABLES: Final = ("application", "applicationmetadata", "endpoint", "endpointmetadata", "eventtype")
CONNECT_S_MAX: Final = 10.0
FETCHED_ROWS: Final = 500
NAME: Final = "ringback transfer"


class SvixSource:
    """Rows as texts; see `rows`."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    async def applications(self) -> AsyncIterator[tuple[Any, ...]]:
        """(row, metadata)"""
        async for row in self._rows("list_applications"):
            yield row

    async def endpoints(self) -> AsyncIterator[tuple[Any, ...]]:
        """(org id, row, metadata), those of one application together."""
        async for row in self._rows("list_endpoints"):
            yield row

    async def event_types(self) -> AsyncIterator[tuple[Any, ...]]:
        """(row,)"""
        async for row in self._rows("list_event_types"):
            yield row

    async def _rows(self, name: str) -> AsyncIterator[tuple[Any, ...]]:
        async for record in self._connection.cursor(_query(name), prefetch=FETCHED_ROWS):
            yield tuple(record)


@asynccontextmanager
async def open_svix(url: str) -> AsyncIterator[SvixSource]:
    """Raises ConfigError, StoreUnavailable, or SchemaMismatch when there is no Svix."""
    try:
        connection = await asyncpg.connect(
            url, timeout=CONNECT_S_MAX, server_settings={"application_name": NAME}
        )
    except (*FAULTS, ValueError, asyncio.IncompleteReadError) as error:
        raise _said_of_svix(unreachable(error, url)) from error
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            missing = await connection.fetch(_query("find_tables"), TABLES)
            if missing:
                raise SchemaMismatch(
                    f"there is no table {missing[0][0]}: is this the database of a Svix server, of"
                    " 2023 or later?"
                )
            yield SvixSource(connection)
    except FAULTS as error:
        raise translated(error) from error
    finally:
        connection.terminate()


def _said_of_svix(error: StoreError | ConfigError) -> StoreError | ConfigError:
    return type(error)(str(error).replace("database:", "--from-svix:", 1))


@cache
def _query(name: str) -> str:
    return (files(__package__) / "queries" / f"{name}.sql").read_text()
