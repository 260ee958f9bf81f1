"""Applying migrations to a PostgreSQL database: all that are pending in one transaction.

Several nodes may start at once: one migrates, the others wait for it at the book of migrations.
"""

from ringback.clock import Clock
from ringback.config import Settings
from ringback.errors import SchemaMismatch
from ringback.store.migrate import Applied, Migration, State, known, pending, states
from ringback.store.postgres.connection import Connection, connect
from ringback.store.postgres.faults import FAULTS, is_forbidden, is_taken, translated
from ringback.store.postgres.sql import query


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
    """A migration as a database administrator applies it by hand, with its entry in the book."""
    entry = f"({migration.number}, '{migration.name}', '{migration.checksum}', {now_ms})"
    insert = query("insert_migration").replace("($1, $2, $3, $4)", entry)
    parts = (query("create_migration_table"), migration.text, insert)
    return ";\n\n".join(part.strip().rstrip(";") for part in parts) + ";\n"


async def migrate(connection: Connection, *, now_ms: int) -> None:
    """Apply what is missing. What fails leaves the database as it was."""
    if not pending(known(__package__), await _applied(connection)):
        return
    try:
        await _make_book(connection)
        async with connection.transaction():
            await connection.execute(query("lock_migrations"))
            for migration in pending(known(__package__), await _applied(connection)):
                await _apply(connection, migration, now_ms=now_ms)
    except FAULTS as error:
        if is_forbidden(error):
            raise SchemaMismatch(
                f"the schema is not up to date, and this user may not change it ({error}); let its"
                " owner run `ringback migrate up`, or what `ringback migrate --sql` prints"
            ) from error
        raise


async def _make_book(connection: Connection) -> None:
    """First and by itself: only a lock on a table that is there shows what others have made."""
    try:
        await connection.execute(query("create_migration_table"))
    except FAULTS as error:
        if not is_taken(error):  # another node makes it at this very moment
            raise


async def _apply(connection: Connection, migration: Migration, *, now_ms: int) -> None:
    await connection.execute(migration.text)
    values = (migration.number, migration.name, migration.checksum, now_ms)
    await connection.execute(query("insert_migration"), *values)


async def _applied(connection: Connection) -> list[Applied]:
    async with connection.transaction():  # for PgBouncer, as every statement of ours
        if not await connection.fetchval(query("find_migration_table")):
            return []
        return [Applied(*row) for row in await connection.fetch(query("read_migrations"))]
