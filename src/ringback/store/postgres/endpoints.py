"""Endpoints, as transactions. Each write raises the application's version.

That comes first, and holds the application's row: so writes to its endpoints go one after the
other, and nothing is accepted by the old version from then on. Then the endpoint, then its lane.
"""

from collections.abc import Callable

import msgspec

from ringback.errors import BadRequest, Conflict, NotFound
from ringback.model import Endpoint
from ringback.store.page import Page, Slice
from ringback.store.postgres import waiting
from ringback.store.postgres.connection import Connection
from ringback.store.postgres.faults import FAULTS, is_taken
from ringback.store.postgres.paging import cut, walk
from ringback.store.postgres.rows import EndpointRows, one
from ringback.store.postgres.sql import Row, directed, query


async def list_endpoints(
    connection: Connection, rows: EndpointRows, app_id: str, page: Page
) -> Slice[Endpoint]:
    steps = walk(page)
    text = directed("list_endpoints", steps.is_descending)
    found = await connection.fetch(text, app_id, *steps.bounds())
    return cut(found, steps, rows.endpoint)


async def get_endpoint(
    connection: Connection, rows: EndpointRows, app_id: str, ref: str
) -> Endpoint | None:
    row = await one(connection, query("read_endpoint"), app_id, ref)
    return None if row is None else rows.endpoint(row)


async def create_endpoint(
    connection: Connection, rows: EndpointRows, endpoint: Endpoint, *, endpoints_max: int
) -> Endpoint:
    created = msgspec.structs.replace(endpoint, version=1)
    await _raise_version(connection, created.app_id)
    await _check_count(connection, created.app_id, endpoints_max)
    await _write(connection, query("insert_endpoint"), rows.row(created))
    if created.is_disabled:
        await waiting.park(connection, created.app_id, created.id)
    return created


async def update_endpoint(
    connection: Connection,
    rows: EndpointRows,
    app_id: str,
    ref: str,
    *,
    change: Callable[[Endpoint], Endpoint],
) -> Endpoint:
    await _raise_version(connection, app_id)
    old = await _locked(connection, rows, app_id, ref)
    new = msgspec.structs.replace(change(old), id=old.id, app_id=app_id, version=old.version + 1)
    values = (*rows.row(new)[2:16], new.updated_at_ms, new.id)
    await _write(connection, query("update_endpoint"), values)
    if new.is_disabled and not old.is_disabled:
        await waiting.park(connection, app_id, new.id)
    if old.is_disabled and not new.is_disabled:
        await waiting.unpark(connection, new.id)
    return new


async def delete_endpoint(
    connection: Connection, rows: EndpointRows, app_id: str, ref: str, *, at_ms: int
) -> Endpoint:
    await _raise_version(connection, app_id)
    endpoint = await _locked(connection, rows, app_id, ref)
    await connection.execute(query("delete_endpoint"), at_ms, endpoint.id)
    await waiting.drop(connection, app_id, endpoint.id)
    return msgspec.structs.replace(endpoint, version=endpoint.version + 1, updated_at_ms=at_ms)


async def _raise_version(connection: Connection, app_id: str) -> None:
    if await one(connection, query("raise_version"), app_id) is None:
        raise NotFound


async def _locked(connection: Connection, rows: EndpointRows, app_id: str, ref: str) -> Endpoint:
    row = await one(connection, query("lock_endpoint"), app_id, ref)
    if row is None:
        raise NotFound
    return rows.endpoint(row)


async def _check_count(connection: Connection, app_id: str, endpoints_max: int) -> None:
    count = await connection.fetchval(query("count_endpoints"), app_id)
    if count >= endpoints_max:
        raise BadRequest(
            f"The application has {count} endpoints, which is the limit; delete one first",
            code="limit_reached",
        )


async def _write(connection: Connection, text: str, values: Row) -> None:
    try:
        await connection.execute(text, *values)
    except FAULTS as error:
        if is_taken(error):
            raise Conflict("An endpoint with that uid already exists; choose another uid") from None
        raise
