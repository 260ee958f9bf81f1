"""Endpoints, as transactions. Each write raises the application's version."""

import sqlite3
from collections.abc import Callable

import msgspec

from ringback.errors import BadRequest, Conflict, NotFound
from ringback.model import Endpoint
from ringback.store.page import Page, Slice
from ringback.store.sqlite import waiting
from ringback.store.sqlite.paging import cut, walk
from ringback.store.sqlite.rows import EndpointRows, one
from ringback.store.sqlite.sql import directed, query


def list_endpoints(
    connection: sqlite3.Connection, rows: EndpointRows, app_id: str, page: Page
) -> Slice[Endpoint]:
    steps = walk(page)
    found = connection.execute(
        directed("list_endpoints", steps.is_descending), {"app_id": app_id, **steps.bounds()}
    )
    return cut(found, steps, rows.endpoint)


def get_endpoint(
    connection: sqlite3.Connection, rows: EndpointRows, app_id: str, ref: str
) -> Endpoint | None:
    row = one(connection, query("read_endpoint"), {"app_id": app_id, "ref": ref})
    return None if row is None else rows.endpoint(row)


def create_endpoint(
    connection: sqlite3.Connection, rows: EndpointRows, endpoint: Endpoint, *, endpoints_max: int
) -> Endpoint:
    created = msgspec.structs.replace(endpoint, version=1)
    if one(connection, query("read_app_by_id"), (endpoint.app_id,)) is None:
        raise NotFound
    _check_count(connection, endpoint.app_id, endpoints_max)
    _check_uid(connection, created)
    connection.execute(query("insert_endpoint"), rows.row(created))
    connection.execute(query("raise_version"), (created.app_id,))
    if created.is_disabled:
        waiting.park(connection, created.app_id, created.id)
    return created


def update_endpoint(
    connection: sqlite3.Connection,
    rows: EndpointRows,
    app_id: str,
    ref: str,
    *,
    change: Callable[[Endpoint], Endpoint],
) -> Endpoint:
    old = existing_endpoint(connection, rows, app_id, ref)
    new = msgspec.structs.replace(change(old), id=old.id, app_id=app_id, version=old.version + 1)
    if new.uid != old.uid:
        _check_uid(connection, new)
    columns = rows.row(new)
    values = (*columns[2:16], new.updated_at_ms, new.id)
    connection.execute(query("update_endpoint"), values)
    connection.execute(query("raise_version"), (app_id,))
    if new.is_disabled and not old.is_disabled:
        waiting.park(connection, app_id, new.id)
    if old.is_disabled and not new.is_disabled:
        waiting.unpark(connection, new.id)
    return new


def delete_endpoint(
    connection: sqlite3.Connection, rows: EndpointRows, app_id: str, ref: str, *, at_ms: int
) -> Endpoint:
    endpoint = existing_endpoint(connection, rows, app_id, ref)
    connection.execute(query("delete_endpoint"), (at_ms, endpoint.id))
    connection.execute(query("raise_version"), (app_id,))
    connection.execute(query("drop_lane"), (endpoint.id,))
    return msgspec.structs.replace(endpoint, version=endpoint.version + 1, updated_at_ms=at_ms)


def existing_endpoint(
    connection: sqlite3.Connection, rows: EndpointRows, app_id: str, ref: str
) -> Endpoint:
    endpoint = get_endpoint(connection, rows, app_id, ref)
    if endpoint is None:
        raise NotFound
    return endpoint


def _check_count(connection: sqlite3.Connection, app_id: str, endpoints_max: int) -> None:
    [(count,)] = connection.execute(query("count_endpoints"), (app_id,)).fetchall()
    if count >= endpoints_max:
        raise BadRequest(
            f"The application has {count} endpoints, which is the limit; delete one first",
            code="limit_reached",
        )


def _check_uid(connection: sqlite3.Connection, endpoint: Endpoint) -> None:
    if endpoint.uid is None:
        return
    values = {"app_id": endpoint.app_id, "ref": endpoint.uid}
    row = one(connection, query("read_endpoint"), values)
    if row is not None and row[2] == endpoint.uid and row[0] != endpoint.id:
        raise Conflict("An endpoint with that uid already exists; choose another uid")
