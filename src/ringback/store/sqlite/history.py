"""Messages and attempts, as people look at them: the `History` of the port."""

import sqlite3
from collections.abc import Sequence
from typing import Any, Final

from ringback.clock import first_id_at, id_time_ms
from ringback.errors import NotFound
from ringback.model import Attempt, AttemptStatus, Endpoint, Message
from ringback.store.page import Page, Slice
from ringback.store.port import (
    AttemptFilter,
    EndpointStats,
    MessageFilter,
)
from ringback.store.sqlite.database import Database
from ringback.store.sqlite.paging import cut, walk
from ringback.store.sqlite.rows import attempt_of, message_of, one
from ringback.store.sqlite.sql import as_json, directed, query

EXPUNGED: Final = b"EXPUNGED"
FEW_ATTEMPTS: Final = 10_000  # an endpoint with fewer is searched from its attempts
_MESSAGE_COLUMNS: Final = 10
_ENDPOINT_COLUMNS: Final = 18


class SqliteHistory:
    """Every list is a walk along an index, and ends with the page."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # ---- messages

    async def list_messages(self, app_id: str, page: Page, where: MessageFilter) -> Slice[Message]:
        steps = walk(page, prefix="msg", after_ms=where.after_ms, before_ms=where.before_ms)
        text = directed("list_messages", steps.is_descending)
        values = {"app_id": app_id, **_message_values(where), **steps.bounds()}
        return await self._database.read(
            lambda db: cut(db.execute(text, values), steps, message_of)
        )

    async def get_message(self, app_id: str, ref: str) -> Message | None:
        def run(db: sqlite3.Connection) -> Message | None:
            row = one(db, query("read_message"), {"app_id": app_id, "ref": ref})
            return None if row is None else message_of(row)

        return await self._database.read(run)

    async def expunge_message(self, app_id: str, ref: str) -> None:
        def run(db: sqlite3.Connection) -> None:
            row = one(db, query("read_message"), {"app_id": app_id, "ref": ref})
            if row is None:
                raise NotFound
            db.execute(query("expunge_message"), (app_id, row[0]))

        await self._database.write(run)

    # ---- attempts

    async def list_attempts_of_endpoint(
        self, endpoint_id: str, page: Page, where: AttemptFilter
    ) -> Slice[Attempt]:
        return await self._attempts("list_attempts_of_endpoint", endpoint_id, page, where=where)

    async def list_attempts_of_message(
        self, msg_id: str, page: Page, where: AttemptFilter
    ) -> Slice[Attempt]:
        return await self._attempts("list_attempts_of_message", msg_id, page, where=where)

    async def get_attempt(self, msg_id: str, attempt_id: str) -> Attempt | None:
        def run(db: sqlite3.Connection) -> Attempt | None:
            row = one(db, query("read_attempt"), (msg_id, attempt_id))
            return None if row is None else attempt_of(row)

        return await self._database.read(run)

    async def expunge_attempt(self, msg_id: str, attempt_id: str) -> None:
        def run(db: sqlite3.Connection) -> None:
            values = (EXPUNGED, msg_id, attempt_id)
            if db.execute(query("expunge_attempt"), values).rowcount == 0:
                raise NotFound

        await self._database.write(run)

    async def _attempts(
        self, name: str, of: str, page: Page, *, where: AttemptFilter
    ) -> Slice[Attempt]:
        steps = walk(page, prefix="atmpt", after_ms=where.after_ms, before_ms=where.before_ms)
        text = directed(name, steps.is_descending)
        values = {**_attempt_values(where), **steps.bounds()}
        values["endpoint_id" if name == "list_attempts_of_endpoint" else "msg_id"] = of
        return await self._database.read(
            lambda db: cut(db.execute(text, values), steps, attempt_of)
        )

    # ---- messages at endpoints

    async def list_messages_of_endpoint(
        self,
        endpoint_id: str,
        page: Page,
        where: MessageFilter,
        *,
        status: AttemptStatus | None,
    ) -> Slice[tuple[Message, Attempt]]:
        if status in (AttemptStatus.PENDING, AttemptStatus.CANCELED):
            return Slice([], has_more=False)
        steps = walk(page, prefix="msg", after_ms=where.after_ms, before_ms=where.before_ms)

        def run(db: sqlite3.Connection) -> Slice[tuple[Message, Attempt]]:
            row = one(db, query("read_app_of_endpoint"), (endpoint_id,))
            if row is None:
                return Slice([], has_more=False)
            attempt_low = _first_attempt_id(steps.low)
            values = {
                "app_id": row[0],
                "endpoint_id": endpoint_id,
                "attempt_low": attempt_low,
                "only_delivered": int(status is AttemptStatus.SUCCESS),
                "is_final": int(status is AttemptStatus.FAIL),
                **_message_values(where),
                **steps.bounds(),
            }
            name = _tried_query(db, endpoint_id, attempt_low, status=status)
            found = db.execute(directed(name, steps.is_descending), values)
            return cut(found, steps, _pair)

        return await self._database.read(run)

    async def list_endpoints_of_message(
        self, msg_id: str, page: Page
    ) -> Slice[tuple[Endpoint, Attempt]]:
        steps = walk(page)
        text = directed("list_endpoints_of_message", steps.is_descending)
        values = {"msg_id": msg_id, **steps.bounds()}
        to_endpoint = self._database.endpoints.endpoint

        def tried(row: Sequence[Any]) -> tuple[Endpoint, Attempt]:
            return to_endpoint(row[:_ENDPOINT_COLUMNS]), attempt_of(row[_ENDPOINT_COLUMNS:])

        return await self._database.read(lambda db: cut(db.execute(text, values), steps, tried))

    async def endpoint_stats(
        self, endpoint_id: str, *, since_ms: int, until_ms: int
    ) -> EndpointStats:
        values = (endpoint_id, first_id_at("atmpt", since_ms), first_id_at("atmpt", until_ms))

        def run(db: sqlite3.Connection) -> EndpointStats:
            [(success, fail, canceled)] = db.execute(
                query("read_endpoint_stats"), values
            ).fetchall()
            [(waiting,)] = db.execute(query("count_waiting"), (endpoint_id,)).fetchall()
            return EndpointStats(
                success=success,
                pending=0,
                sending=waiting,
                fail=fail,
                canceled=canceled,
            )

        return await self._database.read(run)


def _message_values(where: MessageFilter) -> dict[str, Any]:
    return {
        "with_payload": int(where.with_payload),
        "channel": where.channel,
        "event_types": None if where.event_types is None else as_json(where.event_types),
    }


def _attempt_values(where: AttemptFilter) -> dict[str, Any]:
    """`status_class` 0 is the code 0 alone, any other a hundred of them."""
    lowest = where.status_class
    return {
        "with_response": int(where.with_response),
        "status": None if where.status is None else int(where.status),
        "status_low": lowest,
        "status_high": None if lowest is None else lowest + 99 if lowest else 0,
        "channel": where.channel,
        "event_types": None if where.event_types is None else as_json(where.event_types),
        "endpoint_id": where.endpoint_id,
    }


def _tried_query(
    db: sqlite3.Connection, endpoint_id: str, attempt_low: str, *, status: AttemptStatus | None
) -> str:
    """Which way to search: from failures, from the endpoint's attempts, or from the messages.

    Attempts have to be sorted by message, so that way is for few of them; where an endpoint has
    many, walking the application's messages soon finds some that were tried at it.
    """
    if status in (AttemptStatus.FAIL, AttemptStatus.SENDING):
        return "list_failed"
    values = (endpoint_id, attempt_low, FEW_ATTEMPTS)
    [(count,)] = db.execute(query("count_attempts_up_to"), values).fetchall()
    return "list_tried_few" if count < FEW_ATTEMPTS else "list_tried_many"


def _first_attempt_id(msg_id: str) -> str:
    """No attempt of this message, or of a later one, has an id before this."""
    try:
        return first_id_at("atmpt", id_time_ms(msg_id))
    except ValueError:
        return ""


def _pair(row: Any) -> tuple[Message, Attempt]:
    return message_of(row[:_MESSAGE_COLUMNS]), attempt_of(row[_MESSAGE_COLUMNS:])
