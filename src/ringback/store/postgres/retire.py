"""Deleting old messages and attempts: a whole partition, when all of it is old.

So they stay up to a partition's span longer than asked, and nothing has to be vacuumed. Row by row
go only those outside of every partition, and deleted endpoints and applications after them.
Dropping needs the table for itself for a moment, and who waits for that holds up everybody who
comes later: so rather than let accepts queue up behind a long report or a backup, we give up soon
and try again at the next round.
"""

from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import structlog

from ringback.clock import first_id_at
from ringback.store.postgres.connection import Connection
from ringback.store.postgres.database import Database
from ringback.store.postgres.expire import count
from ringback.store.postgres.faults import FAULTS, is_locked
from ringback.store.postgres.partitions import PREFIXES, Partition, list_partitions
from ringback.store.postgres.sql import query

T = TypeVar("T")

_DELETE_OTHERS: Final = {"message": "delete_other_messages", "attempt": "delete_other_attempts"}

log = structlog.get_logger()


async def delete_old(database: Database, parent: str, *, before_ms: int, limit: int) -> int:
    """What was taken of `message` or `attempt`; a partition counts as `limit` rows."""
    partitions = await database.read(lambda db: list_partitions(db, parent))
    if not partitions or partitions[0].high_ms > before_ms:
        return await database.write(
            lambda db: _delete_others(db, parent, before_ms=before_ms, limit=limit)
        )
    oldest = partitions[0]
    if parent == "message":
        taken = await database.write(lambda db: let_go(db, oldest, limit=limit))
        if taken >= limit:
            return taken
    is_dropped = await unless_locked(database, lambda db: _drop(db, oldest), what=oldest.name)
    return limit if is_dropped else 0


async def unless_locked(
    database: Database, run: Callable[[Connection], Awaitable[T]], *, what: str
) -> T | None:
    """Run in a transaction that waits for no lock for long; None if it would have had to."""

    async def briefly(db: Connection) -> T | None:
        try:
            async with db.transaction():
                await db.execute(query("wait_briefly"))
                return await run(db)
        except FAULTS as error:
            if not is_locked(error):
                raise
        log.warning("table_in_use", waits=what, advice="see pg_stat_activity for a long query")
        return None

    return await database.write(briefly)


async def let_go(db: Connection, partition: Partition, *, limit: int) -> int:
    """Delete what refers to the messages of a partition. What a node adds just then is canceled
    when it is claimed and its message is not found."""
    await db.execute(query("pin_plans"))
    low, high = first_id_at("msg", partition.low_ms), first_id_at("msg", partition.high_ms)
    taken = count(await db.execute(query("delete_waiting_of_messages"), low, high, limit))
    rest = limit - taken
    return taken + count(await db.execute(query("delete_event_ids"), low, high, rest))


async def forget_deleted(db: Connection, *, before_ms: int, limit: int) -> int:
    """See `Tending.forget_deleted`."""
    await db.execute(query("pin_plans"))
    endpoints = count(await db.execute(query("forget_endpoints"), before_ms, limit))
    values = (before_ms, limit - endpoints)
    return endpoints + count(await db.execute(query("forget_apps"), *values))


async def _drop(db: Connection, partition: Partition) -> bool:
    await db.execute(query("drop_partition"), partition.name)
    return True


async def _delete_others(db: Connection, parent: str, *, before_ms: int, limit: int) -> int:
    await db.execute(query("pin_plans"))
    bound = first_id_at(PREFIXES[parent], before_ms)
    return count(await db.execute(query(_DELETE_OTHERS[parent]), bound, limit))
