"""Waiting rows and the lanes that say when the earliest of them is due.

Invariant: an endpoint with waiting rows has a lane. Its due time is never later than that of its
earliest row, unless it was postponed or parked. It may be earlier, after rows were taken: a claim
corrects it.

Several nodes keep it so by an advisory lock a lane (`lane_lock` in the schema): who puts rows
shares it until they are committed; who raises a lane's due time or takes the lane away owns it, and
so has seen every row. Putting never waits for putting. Parking needs no lock: it leaves a lane
behind, which is why deleting an endpoint parks its lane too, even if nothing waits.
"""

from collections.abc import Sequence

from ringback.store.port import Waiting
from ringback.store.postgres.connection import Connection
from ringback.store.postgres.rows import waiting_row
from ringback.store.postgres.sql import query


async def put(connection: Connection, waiting: Sequence[Waiting]) -> None:
    """Let deliveries wait. Those whose endpoint was deleted are dropped.

    Lock nothing of an application or an endpoint after this, in the same transaction.
    """
    if waiting:
        await connection.execute(query("insert_waiting"), [waiting_row(one) for one in waiting])


async def park(connection: Connection, app_id: str, endpoint_id: str) -> None:
    """Nothing of the endpoint is due until `unpark`."""
    await connection.execute(query("park_lane"), endpoint_id, app_id)


async def unpark(connection: Connection, endpoint_id: str) -> None:
    """What waits for the endpoint is due again."""
    await own(connection, [endpoint_id])
    await connection.execute(query("unpark_lane"), endpoint_id)
    await connection.execute(query("delete_empty_lanes"), [endpoint_id])


async def drop(connection: Connection, app_id: str, endpoint_id: str) -> None:
    """What waits for a deleted endpoint is to be purged, also what a node is just adding."""
    await connection.execute(query("drop_lane"), endpoint_id, app_id)


async def drop_all(connection: Connection, app_id: str) -> None:
    """The same for all endpoints of an application; before they are marked as deleted."""
    await connection.execute(query("drop_lanes_of_app"), app_id)


async def own(connection: Connection, endpoint_ids: Sequence[str]) -> None:
    """Nothing starts to wait for these endpoints until the end of the transaction.

    Needed before their lanes are raised or taken away.
    """
    await connection.execute(query("own_lanes"), endpoint_ids)
