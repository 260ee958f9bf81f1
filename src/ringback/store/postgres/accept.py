"""The statement that accepts messages, see `accept_messages` in the schema.

Whether a message is accepted is decided there, beside what other nodes are committing. Here its
parameters are put together: an array a column, and none for what no message has.
"""

from collections.abc import Sequence
from itertools import chain
from typing import Any, Final

from ringback.model import Delivery
from ringback.store.port import AcceptOutcome, AcceptResult, Lease, NewMessage
from ringback.store.postgres.connection import Connection
from ringback.store.postgres.database import Database
from ringback.store.postgres.rows import batch_text, columns, message_row
from ringback.store.postgres.sql import query
from ringback.store.postgres.waiting import WAITING_COLUMNS, waiting_columns

MESSAGE_COLUMNS: Final = 10
# Event ids, channels, expiries, raw bodies and content types: columns that are usually empty.
_RARE: Final = (4, 5, 6, 8, 9)
_EMPTY: Final = frozenset({None, "", 0})
_NONE: Final = (None,) * (WAITING_COLUMNS + 1)


async def accept(
    database: Database, lease: Lease, batch_id: int, messages: Sequence[NewMessage]
) -> list[AcceptResult]:
    """See `port.Path.accept`."""
    results = [AcceptResult(AcceptOutcome.ACCEPTED, new.message.id) for new in messages]
    if not messages:
        return results
    refused = await database.call(
        query("accept_messages"),
        lease.epoch,
        lease.node_id,
        batch_id,
        *_message_columns(messages),
        *_key_columns(messages),
        *_late_columns(messages),
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


def _message_columns(messages: Sequence[NewMessage]) -> list[Sequence[Any] | None]:
    found: list[Sequence[Any] | None] = list(
        columns([message_row(new.message) for new in messages], MESSAGE_COLUMNS)
    )
    for place in _RARE:
        if _EMPTY.issuperset(found[place] or ()):
            found[place] = None
    # What is handed over at once: the inside of a JSON array, to be put together with the others.
    now = [batch_text(new.now)[1:-1] if new.now else "" for new in messages]
    return [*found, [new.routing_version for new in messages], now]


def _key_columns(messages: Sequence[NewMessage]) -> tuple[Sequence[Any] | None, ...]:
    keys = [new.idempotency for new in messages]
    if not any(keys):
        return (None, None)
    return (
        [None if key is None else key.digest for key in keys],
        [None if key is None else key.expires_at_ms for key in keys],
    )


def _late_columns(messages: Sequence[NewMessage]) -> tuple[Sequence[Any] | None, ...]:
    late = list(chain.from_iterable(new.waiting for new in messages))
    if not late:
        return _NONE
    places = [place for place, new in enumerate(messages, 1) for _ in new.waiting]
    return (places, *waiting_columns(late))
