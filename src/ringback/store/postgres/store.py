"""The store on PostgreSQL, put together."""

from ringback.clock import Clock
from ringback.config import Settings
from ringback.errors import StoreError
from ringback.sign.sealing import Sealer
from ringback.store import port
from ringback.store.nodes import Nodes, Notices
from ringback.store.postgres.connection import Connection, Servers
from ringback.store.postgres.database import Database
from ringback.store.postgres.doubt import Doubts
from ringback.store.postgres.faults import FAULTS, is_forbidden, translated
from ringback.store.postgres.history import PostgresHistory
from ringback.store.postgres.migrate import migrate
from ringback.store.postgres.nodes import PostgresNodes
from ringback.store.postgres.notices import PostgresNotices
from ringback.store.postgres.partitions import make_partitions
from ringback.store.postgres.path import PostgresPath
from ringback.store.postgres.pool import Pool
from ringback.store.postgres.resources import PostgresResources
from ringback.store.postgres.rows import EndpointRows
from ringback.store.postgres.sealed import check_secrets
from ringback.store.postgres.tending import PostgresTending
from ringback.store.transfer.mark import check_no_transfer
from ringback.store.trouble import Trouble


class PostgresStore:
    """One open database; a `port.Store`. Built by `open_store`."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        doubts = Doubts(database.clock, keep_s=2 * settings.postgres_statement_timeout_s)
        self.path: port.Path = PostgresPath(database, doubts)
        self.nodes: Nodes = PostgresNodes(database)
        self.notices: Notices = PostgresNotices(database, settings)
        self.resources: port.Resources = PostgresResources(database)
        self.history: port.History = PostgresHistory(database)
        self.tending: port.Tending = PostgresTending(database, settings)

    @property
    def fault(self) -> StoreError | None:
        return self._database.trouble.fault

    async def close(self) -> None:
        """Close every connection; what is under way is cut off. Safe to call twice."""
        await self._database.close()


async def open_store(settings: Settings, clock: Clock) -> PostgresStore:
    """Connect to the database that the settings name, and bring its schema up to date.

    Raises ConfigError, MainSecretNeeded, StoreUnavailable, StoreCorrupt or SchemaMismatch.
    """
    servers = Servers(settings)
    sealer = Sealer(settings.main_secret)
    connection = await servers.connect()
    try:
        await migrate(connection, now_ms=clock.now_ms())
        await check_no_transfer(connection)
        await check_secrets(connection, sealer)
        await _make_partitions(connection, settings, clock)
    except FAULTS as error:
        connection.terminate()
        raise translated(error) from error
    except BaseException:
        connection.terminate()
        raise
    wait_s = settings.postgres_statement_timeout_s
    writers = Pool(servers.connect, settings.postgres_pool, wait_s=wait_s, clock=clock)
    writers.add(connection)
    database = Database(
        writers,
        Pool(servers.connect, settings.postgres_readers, wait_s=wait_s, clock=clock),
        endpoints=EndpointRows(sealer, clock),
        clock=clock,
        trouble=Trouble(clock),
        is_pooled=settings.postgres_pgbouncer,
    )
    return PostgresStore(database, settings)


async def _make_partitions(connection: Connection, settings: Settings, clock: Clock) -> None:
    try:
        async with connection.transaction():
            await make_partitions(connection, now_ms=clock.now_ms(), span_h=settings.partition_h)
    except FAULTS as error:
        # Without partitions everything goes to the default ones: slower to delete, and complete.
        if not is_forbidden(error):
            raise
