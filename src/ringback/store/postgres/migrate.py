"""Applying migrations to a PostgreSQL database: all that are pending in one transaction.

Several nodes may start at once: one migrates, the others wait for it. The book of migrations
is made in the same transaction, so what fails leaves nothing behind.
"""

from collections.abc import Sequence
from typing import Final

from ringback.clock import Clock
from ringback.config import Settings
from ringback.errors import SchemaMismatch
from ringback.store.migrate import (
    Applied,
    Migration,
    State,
    breaking,
    known,
    pending,
    states,
)
from ringback.store.postgres.connection import Connection, connect
from ringback.store.postgres.faults import (
    FAULTS,
    in_the_way,
    is_forbidden,
    is_other_table,
    translated,
)
from ringback.store.postgres.sql import query

MIGRATION_S_MAX: Final = 3_600.0


async def up(settings: Settings, clock: Clock) -> list[State]:
    """Bring a database up to date; returns what it then has.

    Raises SchemaMismatch, ConfigError or StoreUnavailable.
    """
    connection = await connect(settings)
    try:
        await migrate(connection, now_ms=clock.now_ms())
        return states(known(__package__), await _applied(connection))
    except FAULTS as error:
        raise translated(error) from error
    finally:
        await connection.close()


async def status(settings: Settings) -> list[State]:
    """What a database has and lacks. Works while services run."""
    connection = await connect(settings)
    try:
        return states(known(__package__), await _applied(connection))
    except FAULTS as error:
        raise translated(error) from error
    finally:
        await connection.close()


def script(migration: Migration, *, now_ms: int) -> str:
    """A migration as a database administrator applies it by hand: all of it or nothing."""
    entry = (
        f"({migration.number}, '{migration.name}', '{migration.checksum}', {now_ms},"
        f" {migration.works_with})"
    )
    steps = (
        "BEGIN",
        query("lock_migrations"),
        query("create_migration_table"),
        query("wait_briefly_to_migrate"),
        migration.text,
        query("insert_migration").replace("($1, $2, $3, $4, $5)", entry),
        "COMMIT",
    )
    head = f"-- Stop nodes that do not know migration {migration.works_with:04} before this.\n"
    return head + ";\n\n".join(step.strip().rstrip(";") for step in steps) + ";\n"


async def migrate(connection: Connection, *, now_ms: int) -> None:
    """Apply what is missing. What fails leaves the database as it was.

    Raises SchemaMismatch, also when nodes run that what is missing would break.
    """
    if not pending(known(__package__), await _applied(connection)):
        return
    try:
        async with connection.transaction():
            await _lock(connection)
            await connection.execute(query("create_migration_table"))
            applied = await _applied(connection)
            missing = pending(known(__package__), applied)
            await _check_nodes(connection, breaking(missing, applied))
            for migration in missing:
                await _apply(connection, migration, now_ms=now_ms)
    except FAULTS as error:
        if is_forbidden(error):
            raise SchemaMismatch(
                f"the schema is not up to date, and this user may not change it ({error}); let its"
                " owner run `ringback migrate up`, or what `ringback migrate --sql` prints"
            ) from error
        raise


async def _lock(connection: Connection) -> None:
    """Whoever migrates may take his time, and others wait for him; but what he waits for himself
    stops everybody behind him, so that is given up soon."""
    await connection.execute(query("take_time_to_migrate"))
    await connection.execute(query("lock_migrations"), timeout=MIGRATION_S_MAX)
    await connection.execute(query("wait_briefly_to_migrate"))


async def _check_nodes(connection: Connection, steps: Sequence[Migration]) -> None:
    """Raises SchemaMismatch while nodes run that the steps would break."""
    if not steps:
        return
    alive = await connection.fetchval(query("count_live_nodes"))
    if alive:
        raise SchemaMismatch(
            f"migration {steps[0].number:04}_{steps[0].name} does not work with the version of"
            f" nodes that run on this database ({alive} of them); stop those, then start this one:"
            " `ringback nodes` shows them, and one that was killed counts until its lease ends"
        )


async def _apply(connection: Connection, migration: Migration, *, now_ms: int) -> None:
    await connection.execute(migration.text, timeout=MIGRATION_S_MAX)
    values = (migration.number, migration.name, migration.checksum, now_ms, migration.works_with)
    await connection.execute(query("insert_migration"), *values)


async def _applied(connection: Connection) -> list[Applied]:
    """Raises SchemaMismatch when the table of that name is another program's."""
    async with connection.transaction():  # for PgBouncer, as every statement of ours
        if not await connection.fetchval(query("find_migration_table")):
            return []
        try:
            return [Applied(*row) for row in await connection.fetch(query("read_migrations"))]
        except FAULTS as error:
            if is_other_table(error):
                raise in_the_way(error) from error
            raise
