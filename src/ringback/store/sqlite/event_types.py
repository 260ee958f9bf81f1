"""Event types, as transactions."""

import sqlite3
from collections.abc import Callable, Sequence

import msgspec

from ringback.errors import Conflict, NotFound
from ringback.model import EventType
from ringback.store.page import Page, Slice
from ringback.store.sqlite.paging import cut, walk
from ringback.store.sqlite.rows import event_type_of, event_type_row, one
from ringback.store.sqlite.sql import as_json, directed, query


def list_event_types(
    connection: sqlite3.Connection,
    org_id: str,
    page: Page,
    *,
    include_archived: bool,
    flags: Sequence[str] | None,
) -> Slice[EventType]:
    steps = walk(page)
    values = {
        "org_id": org_id,
        "include_archived": int(include_archived),
        "flags": None if flags is None else as_json(flags),
        **steps.bounds(),
    }
    rows = connection.execute(directed("list_event_types", steps.is_descending), values)
    return cut(rows, steps, event_type_of)


def get_event_type(connection: sqlite3.Connection, org_id: str, name: str) -> EventType | None:
    row = one(connection, query("read_event_type"), (org_id, name))
    return None if row is None else event_type_of(row)


def create_event_type(connection: sqlite3.Connection, event_type: EventType) -> EventType:
    old = get_event_type(connection, event_type.org_id, event_type.name)
    if old is not None and not old.is_archived:
        raise Conflict(
            f"The event type {event_type.name} already exists; update it instead",
            code="event_type_exists",
        )
    connection.execute(query("upsert_event_type"), event_type_row(event_type))
    return event_type


def update_event_type(
    connection: sqlite3.Connection,
    org_id: str,
    name: str,
    change: Callable[[EventType], EventType],
) -> EventType:
    old = _existing(connection, org_id, name)
    new = msgspec.structs.replace(change(old), org_id=org_id, name=name)
    connection.execute(query("upsert_event_type"), event_type_row(new))
    return new


def delete_event_type(
    connection: sqlite3.Connection, org_id: str, name: str, *, expunge: bool, at_ms: int
) -> None:
    _existing(connection, org_id, name)
    if expunge:
        connection.execute(query("delete_event_type"), (org_id, name))
    else:
        connection.execute(query("archive_event_type"), (at_ms, org_id, name))


def unknown_event_types(
    connection: sqlite3.Connection, org_id: str, names: Sequence[str]
) -> list[str]:
    found = connection.execute(query("find_event_types"), (org_id, as_json(names)))
    known = {name for (name,) in found}
    return [name for name in names if name not in known]


def _existing(connection: sqlite3.Connection, org_id: str, name: str) -> EventType:
    event_type = get_event_type(connection, org_id, name)
    if event_type is None:
        raise NotFound
    return event_type
