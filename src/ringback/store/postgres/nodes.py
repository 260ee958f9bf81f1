"""The lease of this process among those of other nodes: the `Nodes` of the port."""

from ringback.store.port import Lease
from ringback.store.postgres.connection import Connection
from ringback.store.postgres.database import Database
from ringback.store.postgres.faults import fenced
from ringback.store.postgres.sql import query


class PostgresNodes:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def join(self, *, host: str, now_ms: int, until_ms: int) -> Lease:
        node_id = self._database.clock.new_id("node")
        [(epoch,)] = await self._database.call(query("insert_node"), node_id, host, until_ms)
        return Lease(node_id, epoch)

    async def renew(self, lease: Lease, *, until_ms: int) -> None:
        values = (until_ms, lease.epoch, lease.node_id)
        if not await self._database.call(query("renew_node"), *values):
            raise fenced()

    async def leave(self, lease: Lease) -> None:
        async def run(connection: Connection) -> None:
            await connection.execute(query("own_lease"), lease.epoch)
            await connection.execute(query("leave_node"), lease.epoch, lease.node_id)

        await self._database.write(run)
