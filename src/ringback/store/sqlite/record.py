"""The transaction that records what became of deliveries in flight.

What follows an attempt is left out of its batch by the attempt itself, which names the batch. A
delivery that goes back to waiting without an attempt is taken out of the batch row: the waiting row
may have been claimed and be gone by the time somebody adopts the batch.

Recording the same again changes nothing, so a caller who missed the answer may just repeat it:
attempts are known by their ids, what went back without one by the batch that has it no longer.
"""

import sqlite3
from collections.abc import Sequence

from ringback.clock import first_id_at
from ringback.model import Attempt, Delivery
from ringback.store.port import Disable, Lease, Record, Waiting
from ringback.store.sqlite import waiting
from ringback.store.sqlite.accept import fenced
from ringback.store.sqlite.rows import attempt_row, batch_text, deliveries_of
from ringback.store.sqlite.sql import as_json, insert, query

Fulfilment = tuple[int, str, str, int]  # batch, message, endpoint, trigger


def record(connection: sqlite3.Connection, lease: Lease, what: Record) -> None:
    """See `port.Path.record`. Raises before its first write or not at all."""
    check_lease(connection, lease)
    if not _insert(connection, what.attempts):
        return
    if what.waiting:
        waiting.put(connection, _still_to_wait(connection, what))
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


def _insert(connection: sqlite3.Connection, attempts: Sequence[Attempt]) -> bool:
    """False if they are there: they were written together with all that follows from them."""
    try:
        insert(connection, "insert_attempts", [attempt_row(attempt) for attempt in attempts])
    except sqlite3.IntegrityError as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_CONSTRAINT_UNIQUE:
            raise
        return False
    return True


def _still_to_wait(connection: sqlite3.Connection, what: Record) -> Sequence[Waiting]:
    """What follows an attempt, and what goes back without one if its batch still has it."""
    returned = _returned(what)
    if not returned:
        return what.waiting
    held = _shorten_batches(connection, returned)
    return [one for one in what.waiting if _of(one) not in returned or _of(one) in held]


def _shorten_batches(connection: sqlite3.Connection, returned: set[Fulfilment]) -> set[Fulfilment]:
    """Take returned deliveries out of their batches; those that were still there."""
    held: set[Fulfilment] = set()
    batch_ids = as_json({batch_id for batch_id, *_ in returned})
    for batch_id, text in connection.execute(query("read_batches"), (batch_ids,)).fetchall():
        deliveries = deliveries_of(text)
        rest = [one for one in deliveries if fulfilment(batch_id, one) not in returned]
        held |= {fulfilment(batch_id, one) for one in deliveries} & returned
        if len(rest) < len(deliveries):
            connection.execute(query("update_batch"), (batch_text(rest), batch_id))
    return held


def _returned(what: Record) -> set[Fulfilment]:
    """Which deliveries wait again without an attempt, in this record, for their batch."""
    returned = {_of(one) for one in what.waiting if one.batch_id}
    return returned - {fulfilment(one.batch_id, one) for one in what.attempts}


def _of(one: Waiting) -> Fulfilment:
    return fulfilment(one.batch_id, one.delivery)


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
