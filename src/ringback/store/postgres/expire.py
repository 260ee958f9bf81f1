"""Deleting payloads before their messages: those whose own time came, and those that are old.

Old ones are found partition by partition, each walked once in the order of its key. How far the
walk has come is in `progress`, and its row is held meanwhile, so that one node walks at a time. A
partition is begun when all of it is old; so a payload stays up to a partition's span longer.
"""

from typing import Final

import msgspec
from msgspec import Struct

from ringback.clock import first_id_at
from ringback.store.postgres.connection import Connection
from ringback.store.postgres.partitions import Partition, list_partitions
from ringback.store.postgres.rows import one
from ringback.store.postgres.sql import as_json, query

_WALK: Final = "expire_payloads"  # in `progress`


class Place(Struct, frozen=True, array_like=True):
    """After this message, in the first partition that does not begin before an instant."""

    low_ms: int = 0
    app_id: str = ""
    msg_id: str = ""


async def expire(db: Connection, *, now_ms: int, before_ms: int, limit: int) -> int:
    """See `Tending.expire_payloads`: how many messages were looked at."""
    await db.execute(query("pin_plans"))
    taken = count(await db.execute(query("expire_own_payloads"), now_ms, limit))
    bound = first_id_at("msg", before_ms)
    taken += count(await db.execute(query("expire_other_payloads"), bound, limit - taken))
    if taken < limit:
        taken += await _expire_old(db, before_ms=before_ms, limit=limit - taken)
    return taken


def count(status: str) -> int:
    """How many rows a statement took, by what the server says when it is done."""
    return int(status.rpartition(" ")[2])


async def _expire_old(db: Connection, *, before_ms: int, limit: int) -> int:
    """Go on where the last call stopped, until a partition that is not all old."""
    await db.execute(query("begin_progress"), _WALK, as_json(Place()))
    row = await one(db, query("hold_progress"), _WALK)
    if row is None:
        return 0  # another node is at it
    begin = place = msgspec.json.decode(row[0], type=Place)
    taken = 0
    for partition in await list_partitions(db, "message"):
        if taken == limit or partition.high_ms > before_ms:
            break
        if partition.low_ms >= place.low_ms:
            seen, place = await _expire_some(db, partition, place, limit=limit - taken)
            taken += seen
    if place != begin:
        await db.execute(query("save_progress"), _WALK, as_json(place))
    return taken


async def _expire_some(
    db: Connection, partition: Partition, place: Place, *, limit: int
) -> tuple[int, Place]:
    """The next messages of a partition: how many, and where to go on."""
    if partition.low_ms > place.low_ms:
        place = Place(partition.low_ms)
    span = (first_id_at("msg", partition.low_ms), first_id_at("msg", partition.high_ms))
    after = (place.app_id, place.msg_id)
    rows = await db.fetch(query("list_next_messages"), *span, *after, limit)
    if rows:
        await db.execute(query("expire_payloads"), *span, *after, *rows[-1])
    if len(rows) < limit:
        return len(rows), Place(partition.high_ms)
    return len(rows), Place(partition.low_ms, *rows[-1])
