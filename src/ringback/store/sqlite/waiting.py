"""Waiting rows and the lanes that say when the earliest of them is due.

Invariant: an endpoint with waiting rows has a lane. Its due time is never later than that of its
earliest row, unless it was postponed or parked. It may be earlier, after rows were deleted: a claim
that finds nothing corrects it.
"""

import sqlite3
from collections.abc import Iterable, Sequence

import msgspec

from ringback.store.port import Waiting
from ringback.store.sqlite.sql import Row, as_json, insert, query


def put(connection: sqlite3.Connection, waiting: Sequence[Waiting]) -> None:
    """Let deliveries wait. Those whose endpoint was deleted are dropped."""
    deleted = _deleted(connection, {one.delivery.endpoint_id for one in waiting})
    kept = [one for one in waiting if one.delivery.endpoint_id not in deleted]
    insert(connection, "insert_waiting", [_row(one) for one in kept])
    insert(connection, "lower_lanes", list(_lanes(kept).values()))


def correct_lanes(connection: sqlite3.Connection, endpoint_ids: Iterable[str]) -> None:
    """Make lanes say again when their earliest row is due."""
    ids = as_json(list(endpoint_ids))
    connection.execute(query("delete_empty_lanes"), (ids,))
    connection.execute(query("update_lanes"), (ids,))


def park(connection: sqlite3.Connection, app_id: str, endpoint_id: str) -> None:
    """Nothing of the endpoint is due until `unpark`."""
    connection.execute(query("park_lane"), (endpoint_id, app_id))


def unpark(connection: sqlite3.Connection, endpoint_id: str) -> None:
    connection.execute(query("unpark_lane"), (endpoint_id,))
    connection.execute(query("delete_empty_lanes"), (as_json([endpoint_id]),))


def _deleted(connection: sqlite3.Connection, endpoint_ids: set[str]) -> set[str]:
    found = connection.execute(query("find_deleted_endpoints"), (as_json(endpoint_ids),))
    return msgspec.convert({endpoint_id for (endpoint_id,) in found}, set[str])


def _row(waiting: Waiting) -> Row:
    delivery = waiting.delivery
    return (
        delivery.endpoint_id,
        waiting.due_at_ms,
        delivery.app_id,
        delivery.msg_id,
        delivery.attempts_made,
        int(delivery.trigger),
    )


def _lanes(waiting: Sequence[Waiting]) -> dict[str, Row]:
    """The lane row of each endpoint: its earliest due time."""
    earliest: dict[str, int] = {}
    apps: dict[str, str] = {}
    for one in waiting:
        endpoint_id = one.delivery.endpoint_id
        apps[endpoint_id] = one.delivery.app_id
        earliest[endpoint_id] = min(one.due_at_ms, earliest.get(endpoint_id, one.due_at_ms))
    return {
        endpoint_id: (endpoint_id, apps[endpoint_id], due_at_ms)
        for endpoint_id, due_at_ms in earliest.items()
    }
