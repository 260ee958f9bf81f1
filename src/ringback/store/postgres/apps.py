"""Applications, as transactions. Who changes one holds its row, so versions go up one by one."""

from collections.abc import Callable

import msgspec

from ringback.errors import Conflict, NotFound
from ringback.model import Application
from ringback.store.page import Page, Slice
from ringback.store.postgres import waiting
from ringback.store.postgres.connection import Connection
from ringback.store.postgres.faults import FAULTS, is_taken
from ringback.store.postgres.paging import cut, walk
from ringback.store.postgres.rows import app_of, app_row, one
from ringback.store.postgres.sql import Row, directed, query


async def list_apps(connection: Connection, org_id: str, page: Page) -> Slice[Application]:
    steps = walk(page)
    text = directed("list_apps", steps.is_descending)
    rows = await connection.fetch(text, org_id, *steps.bounds())
    return cut(rows, steps, app_of)


async def get_app(connection: Connection, org_id: str, ref: str) -> Application | None:
    row = await one(connection, query("read_app"), org_id, ref)
    return None if row is None else app_of(row)


async def create_app(connection: Connection, app: Application) -> Application:
    created = msgspec.structs.replace(app, version=1)
    await _write(connection, query("insert_app"), app_row(created))
    return created


async def update_app(
    connection: Connection,
    org_id: str,
    ref: str,
    change: Callable[[Application], Application],
) -> Application:
    old = await _locked(connection, org_id, ref)
    new = msgspec.structs.replace(change(old), id=old.id, org_id=org_id, version=old.version + 1)
    _, _, name, uid, rate, metadata, version, _, updated_at_ms = app_row(new)
    values = (name, uid, rate, metadata, version, updated_at_ms, new.id)
    await _write(connection, query("update_app"), values)
    return new


async def delete_app(connection: Connection, org_id: str, ref: str, *, at_ms: int) -> Application:
    app = await _locked(connection, org_id, ref)
    await connection.fetch(query("lock_endpoints_of_app"), app.id)
    await waiting.drop_all(connection, app.id)
    await connection.execute(query("delete_endpoints_of_app"), at_ms, app.id)
    await connection.execute(query("delete_app"), at_ms, app.id)
    return msgspec.structs.replace(app, version=app.version + 1, updated_at_ms=at_ms)


async def _locked(connection: Connection, org_id: str, ref: str) -> Application:
    row = await one(connection, query("lock_app"), org_id, ref)
    if row is None:
        raise NotFound
    return app_of(row)


async def _write(connection: Connection, text: str, values: Row) -> None:
    try:
        await connection.execute(text, *values)
    except FAULTS as error:
        if is_taken(error):
            raise Conflict(
                "An application with that uid already exists; choose another uid"
            ) from None
        raise
