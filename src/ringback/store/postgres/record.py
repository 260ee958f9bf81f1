"""The transaction that records what became of deliveries in flight.

Nearly always it is one statement, see `record_attempts` in the schema. What follows an attempt is
left out of its batch by the attempt itself, which names the batch. A delivery that goes back to
waiting without an attempt is taken out of the batch row: the waiting row may have been claimed and
be gone by the time somebody adopts the batch.

Recording the same again changes nothing, so a caller whose connection broke may just repeat it:
attempts are known by their ids, what went back without one by the batch that has it no longer.
"""

from collections.abc import Sequence
from typing import Any

from ringback.clock import first_id_at
from ringback.model import Attempt, Delivery
from ringback.store.port import Disable, Lease, Record, Waiting
from ringback.store.postgres import waiting
from ringback.store.postgres.connection import Connection
from ringback.store.postgres.database import Database
from ringback.store.postgres.rows import attempt_row, batch_text, deliveries_of, waiting_row
from ringback.store.postgres.sql import query

Fulfilment = tuple[int, str, str, int]  # batch, message, endpoint, trigger


async def record(database: Database, lease: Lease, what: Record) -> None:
    """See `port.Path.record`."""
    returned = _returned(what)
    if not returned and not what.disable:
        await database.call(query("record_attempts"), *_parameters(lease, what, what.waiting))
        return

    async def run(connection: Connection) -> None:
        await _record_all(connection, lease, what, returned=returned)

    await database.write(run)


async def hold_lease(connection: Connection, lease: Lease) -> None:
    """Raises Fenced if it does not stand; if it does, it stands until the transaction ends."""
    await connection.execute(query("hold_lease"), lease.epoch, lease.node_id)


def fulfilment(batch_id: int, one: Delivery | Attempt) -> Fulfilment:
    """Tells the deliveries of a batch apart: it may hold a message by schedule and by hand."""
    return batch_id, one.msg_id, one.endpoint_id, int(one.trigger)


async def _record_all(
    connection: Connection, lease: Lease, what: Record, *, returned: set[Fulfilment]
) -> None:
    await hold_lease(connection, lease)
    if what.disable:
        await _lock(connection, what)
    held = await _shorten_batches(connection, lease, returned)
    is_new = await connection.fetchval(query("record_attempts"), *_parameters(lease, what, ()))
    if not is_new:
        return
    for disable in what.disable:
        await _disable(connection, disable)
    await waiting.put(
        connection,
        [one for one in what.waiting if _of(one) not in returned or _of(one) in held],
    )


async def _lock(connection: Connection, what: Record) -> None:
    """Applications before endpoints, and each in their order, as whoever changes them does."""
    endpoint_ids = [disable.endpoint_id for disable in what.disable]
    endpoint_ids += [health.endpoint_id for health in what.health]
    await connection.execute(query("lock_apps_of_endpoints"), endpoint_ids)
    await connection.execute(query("lock_endpoints"), endpoint_ids)


async def _shorten_batches(
    connection: Connection, lease: Lease, returned: set[Fulfilment]
) -> set[Fulfilment]:
    """Take returned deliveries out of their batches; those that were still there."""
    held: set[Fulfilment] = set()
    batch_ids = sorted({batch_id for batch_id, *_ in returned})
    if not batch_ids:
        return held
    for batch_id, text in await connection.fetch(query("read_batches"), lease.epoch, batch_ids):
        deliveries = deliveries_of(text)
        rest = [one for one in deliveries if fulfilment(batch_id, one) not in returned]
        held |= {fulfilment(batch_id, one) for one in deliveries} & returned
        if len(rest) < len(deliveries):
            values = (batch_text(rest), lease.epoch, batch_id)
            await connection.execute(query("update_batch"), *values)
    return held


def _returned(what: Record) -> set[Fulfilment]:
    """Which deliveries wait again without an attempt, in this record, for their batch."""
    if not what.waiting:
        return set()
    returned = {_of(one) for one in what.waiting if one.batch_id}
    return returned - {fulfilment(one.batch_id, one) for one in what.attempts}


def _of(one: Waiting) -> Fulfilment:
    return fulfilment(one.batch_id, one.delivery)


async def _disable(connection: Connection, disable: Disable) -> None:
    since_ms = disable.failing_since_ms
    row = await connection.fetchrow(
        query("disable_endpoint"),
        disable.endpoint_id,
        disable.version,
        disable.at_ms,
        # Without an instant no attempt counts: "~" sorts after every id.
        "~" if since_ms is None else first_id_at("atmpt", since_ms),
    )
    if row is not None:
        await connection.execute(query("raise_version"), row[0])
        await waiting.park(connection, row[0], disable.endpoint_id)


def _parameters(lease: Lease, what: Record, late: Sequence[Waiting]) -> Sequence[Any]:
    return (
        lease.epoch,
        lease.node_id,
        [attempt_row(attempt) for attempt in what.attempts],
        what.finished_batches,
        [health.endpoint_id for health in what.health],
        [health.failing_since_ms for health in what.health],
        [waiting_row(one) for one in late],
    )
