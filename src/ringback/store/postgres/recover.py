"""One step of an `endpoint.recover` task: failed deliveries wait again, and the task moves on.

Two nodes may step a task at once: the task's row is held from the first look to the last write, and
whoever comes second finds that the cursor has moved.
"""

from collections.abc import Sequence

import msgspec
from msgspec import Struct

from ringback.clock import first_id_at
from ringback.errors import NotFound
from ringback.model import Delivery, Task, TaskStatus
from ringback.store.port import Waiting
from ringback.store.postgres import waiting
from ringback.store.postgres.connection import Connection
from ringback.store.postgres.history import first_attempt_id
from ringback.store.postgres.rows import one, task_of
from ringback.store.postgres.sql import query


class Range(Struct, frozen=True):
    """The arguments of the task. Messages of `since_ms` are in the range, of `until_ms` not."""

    endpoint_id: str
    since_ms: int
    until_ms: int


async def step(db: Connection, task: Task, *, now_ms: int, limit: int) -> Task:
    """See `Tending.recover_step`. Raises NotFound when there is no such task."""
    stored = await _locked(db, task.id)
    if stored.status is not TaskStatus.RUNNING or stored.cursor != task.cursor:
        return stored
    await db.execute(query("pin_plans"))
    span = msgspec.convert(dict(stored.arguments), Range, strict=False)
    is_gone = await _is_gone(db, span.endpoint_id)
    seen = [] if is_gone else await _look(db, stored, span, limit=limit)
    again = [msg_id for msg_id, is_recoverable in seen if is_recoverable]
    await waiting.put(db, [_waiting(stored, span, msg_id, now_ms=now_ms) for msg_id in again])
    moved = msgspec.structs.replace(
        stored,
        status=TaskStatus.RUNNING if len(seen) == limit else TaskStatus.FINISHED,
        cursor=seen[-1][0] if seen else stored.cursor,
        done_count=stored.done_count + len(again),
        updated_at_ms=now_ms,
    )
    values = (moved.status.value, moved.cursor, moved.done_count, now_ms, moved.id)
    await db.execute(query("update_task"), *values)
    return moved


async def _look(
    db: Connection, task: Task, span: Range, *, limit: int
) -> Sequence[tuple[str, bool]]:
    """The next messages with a failed attempt, and whether each is to be sent again."""
    low = first_id_at("msg", span.since_ms)
    rows = await db.fetch(
        query("list_recoverable"),
        *(task.app_id, span.endpoint_id),
        *(task.cursor or "", low, first_id_at("msg", span.until_ms)),
        *(limit, first_attempt_id(max(low, task.cursor or ""))),
    )
    return [(msg_id, bool(is_recoverable)) for msg_id, is_recoverable in rows]


def _waiting(task: Task, span: Range, msg_id: str, *, now_ms: int) -> Waiting:
    return Waiting(Delivery(task.app_id, msg_id, span.endpoint_id), now_ms)


async def _locked(db: Connection, task_id: str) -> Task:
    row = await one(db, query("lock_task"), task_id)
    if row is None:
        raise NotFound
    return task_of(row)


async def _is_gone(db: Connection, endpoint_id: str) -> bool:
    return await one(db, query("find_deleted_endpoints"), [endpoint_id]) is not None
