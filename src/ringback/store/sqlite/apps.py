"""Applications, as transactions."""

import sqlite3
from collections.abc import Callable

import msgspec

from ringback.errors import Conflict, NotFound
from ringback.model import Application
from ringback.store.page import Page, Slice
from ringback.store.sqlite.paging import cut, walk
from ringback.store.sqlite.rows import app_of, app_row, one
from ringback.store.sqlite.sql import directed, query


def list_apps(connection: sqlite3.Connection, org_id: str, page: Page) -> Slice[Application]:
    steps = walk(page)
    rows = connection.execute(
        directed("list_apps", steps.is_descending), {"org_id": org_id, **steps.bounds()}
    )
    return cut(rows, steps, app_of)


def get_app(connection: sqlite3.Connection, org_id: str, ref: str) -> Application | None:
    row = one(connection, query("read_app"), {"org_id": org_id, "ref": ref})
    return None if row is None else app_of(row)


def create_app(connection: sqlite3.Connection, app: Application) -> Application:
    created = msgspec.structs.replace(app, version=1)
    _check_uid(connection, created)
    connection.execute(query("insert_app"), app_row(created))
    return created


def update_app(
    connection: sqlite3.Connection,
    org_id: str,
    ref: str,
    change: Callable[[Application], Application],
) -> Application:
    old = existing_app(connection, org_id, ref)
    new = msgspec.structs.replace(change(old), id=old.id, org_id=org_id, version=old.version + 1)
    if new.uid != old.uid:
        _check_uid(connection, new)
    _, _, name, uid, rate, metadata, version, _, updated_at_ms = app_row(new)
    values = (name, uid, rate, metadata, version, updated_at_ms, new.id)
    connection.execute(query("update_app"), values)
    return new


def delete_app(connection: sqlite3.Connection, org_id: str, ref: str, *, at_ms: int) -> Application:
    app = existing_app(connection, org_id, ref)
    connection.execute(query("drop_lanes_of_app"), (app.id,))
    connection.execute(query("delete_endpoints_of_app"), (at_ms, app.id))
    connection.execute(query("delete_app"), (at_ms, app.id))
    return msgspec.structs.replace(app, version=app.version + 1, updated_at_ms=at_ms)


def existing_app(connection: sqlite3.Connection, org_id: str, ref: str) -> Application:
    app = get_app(connection, org_id, ref)
    if app is None:
        raise NotFound
    return app


def _check_uid(connection: sqlite3.Connection, app: Application) -> None:
    if app.uid is None:
        return
    other = get_app(connection, app.org_id, app.uid)
    if other is not None and other.uid == app.uid and other.id != app.id:
        raise Conflict("An application with that uid already exists; choose another uid")
