"""Whether the sealed secrets of a PostgreSQL database open. See `store.sealed`."""

from ringback.config import Settings
from ringback.sign.sealing import Sealer
from ringback.store.postgres.connection import Connection, connect
from ringback.store.postgres.faults import FAULTS, translated
from ringback.store.postgres.sql import query
from ringback.store.sealed import SEALED_MAX, check_main_secret


async def check_secrets(connection: Connection, sealer: Sealer) -> None:
    """Raises MainSecretNeeded."""
    async with connection.transaction():  # for PgBouncer, as every statement of ours
        rows = await connection.fetch(query("list_sealed_endpoints"), SEALED_MAX)
    check_main_secret(rows, sealer)


async def check_database(settings: Settings) -> None:
    """The same over a connection of its own."""
    connection = await connect(settings)
    try:
        await check_secrets(connection, Sealer(settings.main_secret))
    except FAULTS as error:
        raise translated(error) from error
    finally:
        await connection.close()
