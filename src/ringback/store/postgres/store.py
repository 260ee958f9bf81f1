"""The store on PostgreSQL, put together."""

import asyncio
from typing import Final

from ringback.clock import Clock
from ringback.config import Settings
from ringback.errors import StoreError
from ringback.sign.sealing import Sealer
from ringback.store import port
from ringback.store.doubt import Doubts
from ringback.store.nodes import Nodes, Notices
from ringback.store.postgres.connection import Connection, Servers
from ringback.store.postgres.database import Database
from ringback.store.postgres.faults import (
    FAULTS,
    is_forbidden,
    is_locked,
    may_be_committed,
    translated,
)
from ringback.store.postgres.history import PostgresHistory
from ringback.store.postgres.migrate import migrate
from ringback.store.postgres.nodes import PostgresNodes
from ringback.store.postgres.notices import PostgresNotices
from ringback.store.postgres.partitions import make_partitions
from ringback.store.postgres.path import PostgresPath
from ringback.store.postgres.pool import Pool, Slots
from ringback.store.postgres.resources import PostgresResources
from ringback.store.postgres.rows import EndpointRows
from ringback.store.postgres.sealed import check_secrets
from ringback.store.postgres.sql import query
from ringback.store.postgres.tending import PostgresTending
from ringback.store.tending import Tending
from ringback.store.transfer.mark import check_no_transfer
from ringback.store.trouble import Trouble

CHANGES_OF_POOL: Final = 2  # the API's changes have one of so many connections of the pool
LEASE_CONNECTIONS: Final = 1


class PostgresStore:
    """One open database; a `port.Store`. Built by `open_store`.

    `leases` is the same one by a connection of its own: whatever keeps the others busy, a node
    prolongs its lease.
    """

    def __init__(self, database: Database, leases: Database, settings: Settings) -> None:
        self._database = database
        self._leases = leases
        doubts = Doubts(database.clock, may_be_committed)
        self.path: port.Path = PostgresPath(database, doubts)
        self.nodes: Nodes = PostgresNodes(database, leases)
        self.notices: Notices = PostgresNotices(database, settings)
        self.resources: port.Resources = PostgresResources(database)
        self.history: port.History = PostgresHistory(database)
        self.tending: Tending = PostgresTending(database, settings)

    @property
    def fault(self) -> StoreError | None:
        return self._database.trouble.fault

    @property
    def hindrance(self) -> StoreError | None:
        return self._database.trouble.hindrance

    async def close(self) -> None:
        """Close every connection; what is under way is cut off. Safe to call twice."""
        await asyncio.gather(self._database.close(), self._leases.close())


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

    def pool(size: int) -> Pool:
        return Pool(servers.connect, size, wait_s=wait_s, clock=clock)

    readers = pool(settings.postgres_readers)
    changes = Slots(max(1, settings.postgres_pool // CHANGES_OF_POOL), wait_s=wait_s)
    endpoints = EndpointRows(sealer, clock)
    trouble = Trouble(clock)

    def over(writers: Pool) -> Database:
        return Database(
            writers,
            readers,
            changes=changes,
            endpoints=endpoints,
            clock=clock,
            trouble=trouble,
            is_pooled=settings.postgres_pgbouncer,
        )

    writers = pool(settings.postgres_pool)
    writers.add(connection)
    return PostgresStore(over(writers), over(pool(LEASE_CONNECTIONS)), settings)


async def _make_partitions(connection: Connection, settings: Settings, clock: Clock) -> None:
    try:
        async with connection.transaction():
            await connection.execute(query("wait_briefly"))
            await make_partitions(connection, now_ms=clock.now_ms(), span_h=settings.partition_h)
    except FAULTS as error:
        # Without partitions everything goes to the default ones: slower to delete, and complete.
        # The leader tries again at its next round.
        if not (is_forbidden(error) or is_locked(error)):
            raise
