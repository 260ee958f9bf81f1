"""Event types, as transactions."""

from collections.abc import Callable, Sequence

import msgspec

from ringback.errors import Conflict, NotFound
from ringback.model import EventType
from ringback.store.page import Page, Slice
from ringback.store.postgres.connection import Connection
from ringback.store.postgres.paging import cut, walk
from ringback.store.postgres.rows import event_type_of, event_type_row, one
from ringback.store.postgres.sql import directed, query


async def list_event_types(
    connection: Connection,
    org_id: str,
    page: Page,
    *,
    include_archived: bool,
    flags: Sequence[str] | None,
) -> Slice[EventType]:
    steps = walk(page)
    text = directed("list_event_types", steps.is_descending)
    rows = await connection.fetch(text, org_id, *steps.bounds(), include_archived, flags)
    return cut(rows, steps, event_type_of)


async def get_event_type(connection: Connection, org_id: str, name: str) -> EventType | None:
    row = await one(connection, query("read_event_type"), org_id, name)
    return None if row is None else event_type_of(row)


async def create_event_type(connection: Connection, event_type: EventType) -> EventType:
    if not await _write(connection, event_type, is_new=True):
        raise Conflict(
            f"The event type {event_type.name} already exists; update it instead",
            code="event_type_exists",
        )
    return event_type


async def update_event_type(
    connection: Connection,
    org_id: str,
    name: str,
    change: Callable[[EventType], EventType],
) -> EventType:
    row = await one(connection, query("lock_event_type"), org_id, name)
    if row is None:
        raise NotFound
    new = msgspec.structs.replace(change(event_type_of(row)), org_id=org_id, name=name)
    await _write(connection, new, is_new=False)
    return new


async def delete_event_type(
    connection: Connection, org_id: str, name: str, *, expunge: bool, at_ms: int
) -> None:
    if expunge:
        row = await one(connection, query("delete_event_type"), org_id, name)
    else:
        row = await one(connection, query("archive_event_type"), at_ms, org_id, name)
    if row is None:
        raise NotFound


async def unknown_event_types(
    connection: Connection, org_id: str, names: Sequence[str]
) -> list[str]:
    known = {row[0] for row in await connection.fetch(query("find_event_types"), org_id, names)}
    return [name for name in names if name not in known]


async def _write(connection: Connection, event_type: EventType, *, is_new: bool) -> bool:
    """False when a new one would replace one that is in use."""
    values = (*event_type_row(event_type), is_new)
    return await one(connection, query("upsert_event_type"), *values) is not None
