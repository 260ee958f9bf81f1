"""The PostgreSQL database that everything is moved into, and the mark of how far that has come.

The mark is in the database itself, see `mark`.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Final, Protocol, cast

from msgspec.structs import replace

from ringback.clock import Clock
from ringback.config import Settings
from ringback.errors import ConfigError, StoreOwned
from ringback.store.postgres.connection import Connection, connect
from ringback.store.postgres.faults import FAULTS, is_taken, translated
from ringback.store.postgres.migrate import up
from ringback.store.postgres.nodes import list_nodes
from ringback.store.postgres.partitions import make_partitions, make_partitions_between
from ringback.store.sqlite.sql import Row
from ringback.store.transfer.mark import MARK, Mark, read_mark, text_of
from ringback.store.transfer.sql import query
from ringback.store.transfer.tables import TABLES, Table

STATEMENT_S_MAX: Final = 3_600.0
CLOSE_WITHIN_S: Final = 2.0
FETCHED_ROWS: Final = 1_000
NAMES: Final = tuple(table.name for table in TABLES)
IN_FLIGHT: Final = "in_flight"


class CopyConnection(Connection, Protocol):
    """What a transfer uses of a connection besides."""

    async def copy_records_to_table(
        self, table_name: str, *, records: Sequence[Row], columns: Sequence[str]
    ) -> str: ...


class Target:
    """Built by `open_target`; `close` it. Its methods raise StoreError."""

    def __init__(self, connection: CopyConnection, settings: Settings, clock: Clock) -> None:
        self._connection = connection
        self._settings = settings
        self._clock = clock

    async def close(self) -> None:
        await self._connection.close(timeout=CLOSE_WITHIN_S)

    async def mark(self) -> Mark | None:
        """None when there never was a transfer into this database."""
        return await read_mark(self._connection)

    async def refuse_what_is_not_ours(self) -> None:
        """Raises ConfigError or StoreOwned unless the database is empty and nobody uses it."""
        await self.refuse_services()
        for name in (*NAMES, IN_FLIGHT):
            if await self._connection.fetchval(query("has_rows", table=name)):
                raise ConfigError(
                    f"the target is not empty: it has rows in {name}; create a new database, or"
                    " name another one with --to"
                )

    async def refuse_services(self) -> None:
        """Raises StoreOwned while any runs. One that joins looks for the mark afterwards, so after
        the mark was written none escapes both looks."""
        nodes = [one for one in await list_nodes(self._connection) if one.lease_left_ms > 0]
        alive = [f"{one.host} ({one.pid})" for one in nodes if not one.is_gone]
        if alive:
            raise StoreOwned(
                f"services run on the target: {', '.join(alive)}; stop them until all is there"
            )

    async def begin(self, mark: Mark) -> None:
        """Raises StoreOwned if somebody else has begun, or a service has joined, just now."""
        try:
            await self._connection.execute(query("begin_mark"), MARK, text_of(mark))
        except FAULTS as error:
            raise _in_use() if is_taken(error) else translated(error) from error
        try:
            await self.refuse_services()
        except StoreOwned:
            await self._connection.execute(query("take_back_mark"), MARK, text_of(mark))
            raise

    async def start_over(self, old: Mark, new: Mark) -> None:
        """Take back what an unfinished transfer has written."""
        async with self._transaction():
            await self._connection.execute(query("empty_tables", table=", ".join(NAMES)))
            await self._move(old, new)

    async def prepare(self, spans_ms: dict[str, tuple[int, int]]) -> None:
        """Partitions for what is coming."""
        span_h = self._settings.partition_h
        now_ms = self._clock.now_ms()
        async with self._transaction():
            await make_partitions(self._connection, now_ms=now_ms, span_h=span_h)
        for parent, (low_ms, high_ms) in spans_ms.items():
            await make_partitions_between(
                self._connection, parent, low_ms=low_ms, high_ms=high_ms, span_h=span_h
            )

    async def append(self, table: Table, rows: Sequence[Row], *, old: Mark, new: Mark) -> None:
        """Write rows and move the mark, both or neither."""
        async with self._transaction():
            await self._connection.copy_records_to_table(
                table.name, records=rows, columns=table.columns
            )
            await self._move(old, new)

    async def move(self, old: Mark, new: Mark, *, is_durable: bool = False) -> None:
        """`is_durable`: with everything that was written before, whatever becomes of the server."""
        async with self._transaction():
            if is_durable:
                await self._connection.execute("SET LOCAL synchronous_commit = on")
            await self._move(old, new)

    async def count_on(self, table: str, column: str, number: int) -> None:
        """Go on numbering after what was copied."""
        if number > 0:
            await self._connection.fetchval(query("set_sequence"), table, column, number)

    async def analyze(self) -> None:
        for name in NAMES:
            await self._connection.execute(query("analyze", table=name))

    async def count(self, table: str) -> int:
        return int(await self._connection.fetchval(query("count_rows", table=table)))

    async def rows(self, table: Table) -> AsyncIterator[Row]:
        """All of a table, in any order."""
        text = query("copy_out", table=table.name, columns=", ".join(table.columns))
        async with self._transaction(isolation="repeatable_read", readonly=True):
            async for record in self._connection.cursor(text, prefetch=FETCHED_ROWS):
                yield tuple(record)

    def _transaction(self, **kind: Any) -> AbstractAsyncContextManager[Any]:
        return self._connection.transaction(**kind)

    async def _move(self, old: Mark, new: Mark) -> None:
        values = (MARK, text_of(old), text_of(new))
        if await self._connection.execute(query("move_mark"), *values) != "UPDATE 1":
            raise _in_use()


async def open_target(settings: Settings, clock: Clock) -> Target:
    """Connect, and bring the schema up to date.

    Raises ConfigError, StoreUnavailable or SchemaMismatch.
    """
    if settings.postgres_pgbouncer:
        raise ConfigError(
            "postgres_pgbouncer: a transfer needs PostgreSQL itself; give its address"
        )
    await up(settings, clock)
    patient = replace(settings, postgres_statement_timeout_s=STATEMENT_S_MAX)
    connection = cast(CopyConnection, await connect(patient))
    # Tables are read whole here, and what a crash of the server takes back is copied again.
    await connection.execute("SET enable_seqscan = on")
    await connection.execute("SET synchronous_commit = off")
    # Between two rows of the target those of the source are read, for as long as that takes.
    await connection.execute("SET idle_in_transaction_session_timeout = 0")
    return Target(connection, settings, clock)


def _in_use() -> StoreOwned:
    return StoreOwned("another transfer into this database is under way; wait for it, or end it")
