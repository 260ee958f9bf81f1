"""The lease of this process among those of other nodes, and rates: the `Nodes` of the port.

What is said of time here is said by the server's clock.
"""

from collections.abc import Sequence

from ringback.config import Settings
from ringback.errors import StoreOwned
from ringback.store.nodes import Grant, NodeAbout, NodeState, Standing, Want
from ringback.store.port import Lease
from ringback.store.postgres.connection import Connection, connect
from ringback.store.postgres.database import Database
from ringback.store.postgres.faults import FAULTS, fenced, translated
from ringback.store.postgres.sql import query
from ringback.store.rates import keys, share_out
from ringback.store.transfer.mark import check_no_transfer


class PostgresNodes:
    """`leases` is the database by a connection that nothing else has."""

    def __init__(self, database: Database, leases: Database) -> None:
        self._database = database
        self._leases = leases

    async def join(self, about: NodeAbout, *, lease_ms: int) -> Lease:
        node_id = self._database.clock.new_id("node")
        values = (node_id, about.host, about.pid, about.role, about.version, lease_ms)
        [(epoch, _)] = await self._leases.call(query("insert_node"), *values)
        lease = Lease(node_id, epoch)
        try:
            # Not before: a transfer that begins just now looks for nodes after it said so.
            await self._leases.write(check_no_transfer)
        except StoreOwned:
            await self.leave(lease)
            raise
        return lease

    async def renew(self, lease: Lease, *, lease_ms: int, skew_ms: int = 0) -> Standing:
        values = (lease.epoch, lease.node_id, lease_ms, skew_ms)
        rows = await self._leases.call(query("renew_node"), *values)
        if not rows:
            raise fenced()
        now_ms, count, workers, is_leader, has_lapsed, lapses_in_ms = rows[0]
        return Standing(now_ms, count, tuple(workers), is_leader, has_lapsed, lapses_in_ms)

    async def leave(self, lease: Lease) -> None:
        async def run(connection: Connection) -> None:
            await connection.execute(query("own_lease"), lease.epoch)
            await connection.execute(query("leave_node"), lease.epoch, lease.node_id)

        await self._leases.write(run)

    async def list_nodes(self) -> list[NodeState]:
        return await self._database.read(list_nodes)

    async def reserve(self, wants: Sequence[Want]) -> list[Grant]:
        async def run(connection: Connection) -> list[Grant]:
            rows = await connection.fetch(query("hold_rates"), keys(wants))
            if not rows:
                return share_out(wants, {}, now_us=0)[0]
            grants, changed = share_out(
                wants, {row[0]: row[1] for row in rows}, now_us=max(row[2] for row in rows)
            )
            values = (list(changed), list(changed.values()))
            await connection.execute(query("update_rates"), *values)
            return grants

        return await self._database.write(run)


async def nodes_of(settings: Settings) -> list[NodeState]:
    """Those of the database that the settings name, looked at from the side."""
    connection = await connect(settings)
    try:
        return await list_nodes(connection)
    except FAULTS as error:
        raise translated(error) from error
    finally:
        await connection.close()


async def list_nodes(connection: Connection) -> list[NodeState]:
    """Every node, the oldest first."""
    return [NodeState(*row) for row in await connection.fetch(query("list_nodes"))]
