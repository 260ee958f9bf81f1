"""The transactions that bring waiting deliveries, and those of dead nodes, back into flight."""

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress

from ringback.errors import StoreUnavailable
from ringback.model import Delivery, Trigger
from ringback.store.port import Claimed, Lease, Take, Waiting
from ringback.store.postgres import waiting
from ringback.store.postgres.connection import Connection
from ringback.store.postgres.database import Database
from ringback.store.postgres.history import first_attempt_id
from ringback.store.postgres.record import Fulfilment, fulfilment, hold_lease
from ringback.store.postgres.rows import deliveries_of
from ringback.store.postgres.sql import query

Orphan = tuple[int, int, Sequence[Delivery]]  # epoch, batch, what it held


async def claim(
    database: Database, lease: Lease, batch_id: int, takes: Sequence[Take], *, now_ms: int
) -> list[Claimed]:
    """See `port.Path.claim`."""
    counts: dict[str, int] = {}
    for take in takes:
        counts[take.endpoint_id] = counts.get(take.endpoint_id, 0) + take.count
    endpoint_ids = list(counts)
    rows = await database.call(
        query("pick_waiting"),
        lease.epoch,
        lease.node_id,
        batch_id,
        now_ms,
        endpoint_ids,
        list(counts.values()),
    )
    # What was claimed is in flight by now: it must be sent, whatever becomes of the lanes.
    with suppress(StoreUnavailable):
        await database.call(query("update_lanes"), endpoint_ids)
    return [
        Claimed(Delivery(app_id, msg_id, endpoint_id, attempts_made, Trigger(trigger)), version)
        for app_id, msg_id, endpoint_id, attempts_made, trigger, version in rows
    ]


async def postpone(database: Database, due_at_ms: Mapping[str, int]) -> None:
    """See `port.Path.postpone`."""
    await database.call(query("postpone_lane"), list(due_at_ms), list(due_at_ms.values()))


async def adopt(
    connection: Connection, lease: Lease, *, now_ms: int, limit: int, lost: Collection[int]
) -> list[int]:
    """See `port.Path.adopt`; the ids of the batches that were adopted.

    Whoever is adopted from is fenced before anything else. `lost` are batches of this node that it
    does not know to have been written, and sends nothing of.
    """
    await hold_lease(connection, lease)
    await connection.execute(query("fence_nodes"), lease.epoch)
    orphans: list[Orphan] = [
        (epoch, batch_id, deliveries_of(text))
        for epoch, batch_id, text in await connection.fetch(
            query("list_orphans"), lease.epoch, list(lost), limit
        )
    ]
    if orphans:
        attempted = await attempted_of(connection, orphans)
        missing = [
            Waiting(delivery, now_ms)
            for _, batch_id, deliveries in orphans
            for delivery in deliveries
            if fulfilment(batch_id, delivery) not in attempted
        ]
        await waiting.put(connection, missing)
        epochs, batch_ids, _ = zip(*orphans, strict=True)
        await connection.execute(query("delete_batches"), epochs, batch_ids)
    await connection.execute(query("delete_nodes"))
    return [batch_id for _, batch_id, _ in orphans]


async def attempted_of(connection: Connection, orphans: Sequence[Orphan]) -> set[Fulfilment]:
    """Which deliveries of these batches have an attempt. Partitions from before are not touched."""
    batch_ids = [batch_id for _, batch_id, _ in orphans]
    msg_ids = {delivery.msg_id for *_, deliveries in orphans for delivery in deliveries}
    first_id = first_attempt_id(min(msg_ids, default=""))
    values = (list(msg_ids), batch_ids, first_id)
    rows = await connection.fetch(query("find_attempts_of_batches"), *values)
    return {(row[0], row[1], row[2], row[3]) for row in rows}
