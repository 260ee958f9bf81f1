"""The statement that accepts messages, see `accept_messages` in the schema.

Whether a message is accepted is decided there, beside what other nodes are committing. Here its
parameters are put together.
"""

from collections.abc import Sequence
from itertools import chain

from ringback.model import Delivery
from ringback.store.port import AcceptOutcome, AcceptResult, Lease, NewMessage
from ringback.store.postgres.connection import Connection
from ringback.store.postgres.database import Database
from ringback.store.postgres.rows import batch_text, message_row, waiting_row
from ringback.store.postgres.sql import query


async def accept(
    database: Database, lease: Lease, batch_id: int, messages: Sequence[NewMessage]
) -> list[AcceptResult]:
    """See `port.Path.accept`."""
    results = [AcceptResult(AcceptOutcome.ACCEPTED, new.message.id) for new in messages]
    if not messages:
        return results
    routed = {(new.message.app_id, new.routing_version) for new in messages}
    refused = await database.call(
        query("accept_messages"),
        lease.epoch,
        lease.node_id,
        batch_id,
        [message_row(new) for new in messages],
        batch_text(list(chain.from_iterable(new.now for new in messages))),
        [waiting_row(late, place) for place, new in enumerate(messages, 1) for late in new.waiting],
        [app_id for app_id, _ in routed],
        [version for _, version in routed],
        any(new.message.event_id for new in messages),
        any(new.idempotency for new in messages),
    )
    for place, outcome, message_id in refused:
        results[place - 1] = AcceptResult(AcceptOutcome(outcome), message_id)
    return results


async def write_batch(
    connection: Connection, lease: Lease, batch_id: int, deliveries: Sequence[Delivery]
) -> None:
    """Note what the node has in flight, if that is anything."""
    if deliveries:
        values = (lease.epoch, batch_id, batch_text(deliveries))
        await connection.execute(query("insert_batch"), *values)
