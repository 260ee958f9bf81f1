"""One step of an `endpoint.recover` task: failed deliveries wait again, and the task moves on."""

import sqlite3
from collections.abc import Sequence

import msgspec
from msgspec import Struct

from ringback.clock import first_id_at
from ringback.errors import NotFound
from ringback.model import Delivery, Task, TaskStatus
from ringback.store.port import Waiting
from ringback.store.sqlite import waiting
from ringback.store.sqlite.rows import one, task_of
from ringback.store.sqlite.sql import as_json, query


class Range(Struct, frozen=True):
    """The arguments of the task. Messages of `since_ms` are in the range, of `until_ms` not."""

    endpoint_id: str
    since_ms: int
    until_ms: int


def step(db: sqlite3.Connection, task: Task, *, now_ms: int, limit: int) -> Task:
    """See `Tending.recover_step`. Raises NotFound when there is no such task."""
    stored = _stored(db, task.id)
    if stored.status is not TaskStatus.RUNNING or stored.cursor != task.cursor:
        return stored
    span = msgspec.convert(dict(stored.arguments), Range, strict=False)
    seen = [] if _is_gone(db, span.endpoint_id) else _look(db, stored, span, limit=limit)
    again = [msg_id for msg_id, is_recoverable in seen if is_recoverable]
    if again:
        waiting.put(db, [_waiting(stored, span, msg_id, now_ms=now_ms) for msg_id in again])
    moved = msgspec.structs.replace(
        stored,
        status=TaskStatus.RUNNING if len(seen) == limit else TaskStatus.FINISHED,
        cursor=seen[-1][0] if seen else stored.cursor,
        done_count=stored.done_count + len(again),
        updated_at_ms=now_ms,
    )
    values = (moved.status.value, moved.cursor, moved.done_count, now_ms, moved.id)
    db.execute(query("update_task"), values)
    return moved


def _look(
    db: sqlite3.Connection, task: Task, span: Range, *, limit: int
) -> Sequence[tuple[str, int]]:
    """The next messages with a failed attempt, and whether each is to be sent again."""
    values = {
        "app_id": task.app_id,
        "endpoint_id": span.endpoint_id,
        "cursor": task.cursor or "",
        "low": first_id_at("msg", span.since_ms),
        "high": first_id_at("msg", span.until_ms),
        "limit": limit,
    }
    return db.execute(query("list_recoverable"), values).fetchall()


def _waiting(task: Task, span: Range, msg_id: str, *, now_ms: int) -> Waiting:
    return Waiting(Delivery(task.app_id, msg_id, span.endpoint_id), now_ms)


def _stored(db: sqlite3.Connection, task_id: str) -> Task:
    row = one(db, query("read_task_by_id"), (task_id,))
    if row is None:
        raise NotFound
    return task_of(row)


def _is_gone(db: sqlite3.Connection, endpoint_id: str) -> bool:
    ids = as_json([endpoint_id])
    return one(db, query("find_deleted_endpoints"), (ids,)) is not None
