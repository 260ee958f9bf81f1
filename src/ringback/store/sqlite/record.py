"""The transaction that records what became of deliveries in flight.

What follows an attempt is left out of its batch by the attempt itself, which names the batch. A
delivery that goes back to waiting without an attempt is taken out of the batch row: the waiting row
may have been claimed and be gone by the time somebody adopts the batch.
"""

import sqlite3

from ringback.clock import first_id_at
from ringback.model import Attempt, Delivery
from ringback.store.port import Disable, Lease, Record
from ringback.store.sqlite import waiting
from ringback.store.sqlite.accept import fenced
from ringback.store.sqlite.rows import attempt_row, batch_text, deliveries_of
from ringback.store.sqlite.sql import as_json, insert, query

Fulfilment = tuple[int, str, str, int]  # batch, message, endpoint, trigger


def record(connection: sqlite3.Connection, lease: Lease, what: Record) -> None:
    """See `port.Path.record`. Raises before its first write or not at all."""
    check_lease(connection, lease)
    insert(connection, "insert_attempts", [attempt_row(attempt) for attempt in what.attempts])
    if what.waiting:
        _shorten_batches(connection, what)
        waiting.put(connection, what.waiting)
    if what.finished_batches:
        connection.execute(query("delete_batches"), (as_json(what.finished_batches),))
    if what.health:
        changes = [(health.failing_since_ms, health.endpoint_id) for health in what.health]
        connection.executemany(query("update_health"), changes)
    for disable in what.disable:
        _disable(connection, disable)


def check_lease(connection: sqlite3.Connection, lease: Lease) -> None:
    [(is_good,)] = connection.execute(query("read_lease"), (lease.epoch, lease.node_id)).fetchall()
    if not is_good:
        raise fenced()


def fulfilment(batch_id: int, one: Delivery | Attempt) -> Fulfilment:
    """Tells the deliveries of a batch apart: it may hold a message by schedule and by hand."""
    return batch_id, one.msg_id, one.endpoint_id, int(one.trigger)


def _shorten_batches(connection: sqlite3.Connection, what: Record) -> None:
    """Take returned deliveries out of batches that go on."""
    returned = _returned(what)
    if not returned:
        return
    batch_ids = as_json({batch_id for batch_id, *_ in returned})
    for batch_id, text in connection.execute(query("read_batches"), (batch_ids,)).fetchall():
        deliveries = deliveries_of(text)
        rest = [one for one in deliveries if fulfilment(batch_id, one) not in returned]
        if len(rest) < len(deliveries):
            connection.execute(query("update_batch"), (batch_text(rest), batch_id))


def _returned(what: Record) -> set[Fulfilment]:
    """Which deliveries wait again without an attempt, in this record, for their batch."""
    finished = {0, *what.finished_batches}
    returned = {
        fulfilment(one.batch_id, one.delivery)
        for one in what.waiting
        if one.batch_id not in finished
    }
    return returned - {fulfilment(one.batch_id, one) for one in what.attempts}


def _disable(connection: sqlite3.Connection, disable: Disable) -> None:
    since_ms = disable.failing_since_ms
    row = connection.execute(
        query("disable_endpoint"),
        {
            "endpoint_id": disable.endpoint_id,
            "version": disable.version,
            "at_ms": disable.at_ms,
            # Without an instant no attempt counts: "~" sorts after every id.
            "since_id": "~" if since_ms is None else first_id_at("atmpt", since_ms),
        },
    ).fetchone()
    if row is not None:
        connection.execute(query("raise_version"), row)
        waiting.park(connection, row[0], disable.endpoint_id)
