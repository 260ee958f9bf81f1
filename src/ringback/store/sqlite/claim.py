"""The transactions that bring waiting deliveries, and those of dead nodes, back into flight."""

import sqlite3
from collections.abc import Collection, Mapping, Sequence
from typing import Final

import msgspec

from ringback.model import Delivery, Trigger
from ringback.store.port import Claimed, Lease, Take, Waiting
from ringback.store.sqlite import waiting
from ringback.store.sqlite.accept import fenced, write_batch
from ringback.store.sqlite.record import Fulfilment, check_lease, fulfilment
from ringback.store.sqlite.rows import deliveries_of
from ringback.store.sqlite.sql import as_json, query

_decode_versions: Final = msgspec.json.Decoder(dict[str, int]).decode
_decode_picked: Final = msgspec.json.Decoder(list[tuple[int, str, str, str, int, Trigger]]).decode


def claim(
    connection: sqlite3.Connection,
    lease: Lease,
    batch_id: int,
    takes: Sequence[Take],
    *,
    now_ms: int,
) -> list[Claimed]:
    """See `port.Path.claim`. Raises before its first write or not at all."""
    counts: dict[str, int] = {}
    for take in takes:
        counts[take.endpoint_id] = counts.get(take.endpoint_id, 0) + take.count
    [(is_lease_good, versions, picked)] = connection.execute(
        query("pick_waiting"),
        {
            "epoch": lease.epoch,
            "node_id": lease.node_id,
            "now_ms": now_ms,
            "takes": as_json(list(counts.items())),
        },
    ).fetchall()
    if not is_lease_good:
        raise fenced()
    version_of = _decode_versions(versions)
    ids: list[int] = []
    claimed: list[Claimed] = []
    for waiting_id, app_id, msg_id, endpoint_id, attempts_made, trigger in _decode_picked(picked):
        delivery = Delivery(app_id, msg_id, endpoint_id, attempts_made, trigger)
        ids.append(waiting_id)
        claimed.append(Claimed(delivery, version_of[endpoint_id]))
    if ids:
        connection.execute(query("delete_waiting"), (as_json(ids),))
    waiting.correct_lanes(connection, counts)
    write_batch(connection, lease, batch_id, [one.delivery for one in claimed])
    return claimed


def postpone(connection: sqlite3.Connection, due_at_ms: Mapping[str, int]) -> None:
    """See `port.Path.postpone`."""
    rows = [(instant_ms, endpoint_id) for endpoint_id, instant_ms in due_at_ms.items()]
    connection.executemany(query("postpone_lane"), rows)


def adopt(
    connection: sqlite3.Connection,
    lease: Lease,
    *,
    now_ms: int,
    at_ms: int,
    limit: int,
    lost: Collection[int],
) -> list[int]:
    """See `port.Path.adopt`; the ids of the batches that were adopted.

    Whoever is adopted from is fenced before anything else. `at_ms` is the database's clock,
    `now_ms` that of the node. `lost` are batches of this node that it does not know to have been
    written, and sends nothing of.
    """
    check_lease(connection, lease)
    connection.execute(query("fence_nodes"), (at_ms, lease.epoch))
    orphans = [
        (batch_id, deliveries_of(text))
        for batch_id, text in connection.execute(
            query("list_orphans"), (lease.epoch, as_json(lost), limit)
        )
    ]
    if orphans:
        attempted = _attempted(connection, orphans)
        missing = [
            Waiting(delivery, now_ms)
            for batch_id, deliveries in orphans
            for delivery in deliveries
            if fulfilment(batch_id, delivery) not in attempted
        ]
        if missing:
            waiting.put(connection, missing)
        finished = as_json([batch_id for batch_id, _ in orphans])
        connection.execute(query("delete_batches"), (finished,))
    connection.execute(query("delete_nodes"))
    return [batch_id for batch_id, _ in orphans]


def _attempted(
    connection: sqlite3.Connection, orphans: Sequence[tuple[int, Sequence[Delivery]]]
) -> set[Fulfilment]:
    batch_ids = [batch_id for batch_id, _ in orphans]
    msg_ids = {delivery.msg_id for _, deliveries in orphans for delivery in deliveries}
    values = (as_json(msg_ids), as_json(batch_ids))
    return set(connection.execute(query("find_attempts_of_batches"), values))
