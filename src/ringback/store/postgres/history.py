"""Messages and attempts, as people look at them: the `History` of the port.

Both are kept in partitions by time, and their ids sort by time: so a bound on an id says which
partitions to look into. An attempt is never older than its message, which bounds the search for the
attempts of a message.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, TypeVar

from ringback.clock import first_id_at, id_time_ms
from ringback.errors import NotFound
from ringback.model import Attempt, AttemptStatus, Endpoint, Message
from ringback.store.page import Page, Slice
from ringback.store.port import (
    AttemptFilter,
    EndpointStats,
    MessageFilter,
)
from ringback.store.postgres.connection import Connection
from ringback.store.postgres.database import Database
from ringback.store.postgres.paging import read_large, walk
from ringback.store.postgres.rows import attempt_of, message_of, one
from ringback.store.postgres.sql import as_json, directed, query

T = TypeVar("T")

EXPUNGED: Final = b"EXPUNGED"
FEW_ATTEMPTS: Final = 10_000  # an endpoint with fewer is searched from its attempts
SKEW_MS: Final = 600_000  # how far the clocks of two nodes may be apart
_MESSAGE_COLUMNS: Final = 10
_ENDPOINT_COLUMNS: Final = 18


class PostgresHistory:
    """Every list is a walk along an index, and ends with the page."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # ---- messages

    async def list_messages(self, app_id: str, page: Page, where: MessageFilter) -> Slice[Message]:
        steps = walk(page, prefix="msg", after_ms=where.after_ms, before_ms=where.before_ms)
        text = directed("list_messages", steps.is_descending)
        values = (app_id, *steps.bounds(), *_message_values(where))

        async def run(db: Connection) -> Slice[Message]:
            return await read_large(db, text, *values, steps=steps, shape=message_of)

        return await self._read(run)

    async def get_message(self, app_id: str, ref: str) -> Message | None:
        async def run(db: Connection) -> Message | None:
            row = await one(db, query("read_message"), app_id, ref)
            return None if row is None else message_of(row)

        return await self._read(run)

    async def expunge_message(self, app_id: str, ref: str) -> None:
        async def run(db: Connection) -> None:
            await db.execute(query("pin_plans"))
            row = await one(db, query("read_message"), app_id, ref)
            if row is None:
                raise NotFound
            await db.execute(query("expunge_message"), app_id, row[0])

        await self._database.change(run)

    # ---- attempts

    async def list_attempts_of_endpoint(
        self, endpoint_id: str, page: Page, where: AttemptFilter
    ) -> Slice[Attempt]:
        steps = walk(page, prefix="atmpt", after_ms=where.after_ms, before_ms=where.before_ms)
        text = directed("list_attempts_of_endpoint", steps.is_descending)
        values = (endpoint_id, *steps.bounds(), *_attempt_values(where))

        async def run(db: Connection) -> Slice[Attempt]:
            return await read_large(db, text, *values, steps=steps, shape=attempt_of)

        return await self._read(run)

    async def list_attempts_of_message(
        self, msg_id: str, page: Page, where: AttemptFilter
    ) -> Slice[Attempt]:
        steps = walk(page, prefix="atmpt", after_ms=where.after_ms, before_ms=where.before_ms)
        text = directed("list_attempts_of_message", steps.is_descending)
        low, high, limit = steps.bounds()
        bounds = (max(low, first_attempt_id(msg_id)), high, limit)
        values = (msg_id, *bounds, *_attempt_values(where), where.endpoint_id)

        async def run(db: Connection) -> Slice[Attempt]:
            return await read_large(db, text, *values, steps=steps, shape=attempt_of)

        return await self._read(run)

    async def get_attempt(self, msg_id: str, attempt_id: str) -> Attempt | None:
        async def run(db: Connection) -> Attempt | None:
            row = await one(db, query("read_attempt"), msg_id, attempt_id)
            return None if row is None else attempt_of(row)

        return await self._read(run)

    async def expunge_attempt(self, msg_id: str, attempt_id: str) -> None:
        async def run(db: Connection) -> None:
            await db.execute(query("pin_plans"))
            if await one(db, query("expunge_attempt"), msg_id, attempt_id, EXPUNGED) is None:
                raise NotFound

        await self._database.change(run)

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

        async def run(db: Connection) -> Slice[tuple[Message, Attempt]]:
            row = await one(db, query("read_app_of_endpoint"), endpoint_id)
            if row is None:
                return Slice([], has_more=False)
            attempt_low = first_attempt_id(steps.low)
            name, flag = await _tried_query(db, endpoint_id, attempt_low, status=status)
            return await read_large(
                db,
                directed(name, steps.is_descending),
                *(endpoint_id, *steps.bounds(), *_message_values(where)),
                *(row[0], attempt_low, flag),
                steps=steps,
                shape=_pair,
            )

        return await self._read(run)

    async def list_endpoints_of_message(
        self, msg_id: str, page: Page
    ) -> Slice[tuple[Endpoint, Attempt]]:
        steps = walk(page)
        text = directed("list_endpoints_of_message", steps.is_descending)
        values = (msg_id, *steps.bounds(), first_attempt_id(msg_id))
        to_endpoint = self._database.endpoints.endpoint

        def tried(row: Sequence[Any]) -> tuple[Endpoint, Attempt]:
            columns = tuple(row)
            return to_endpoint(columns[:_ENDPOINT_COLUMNS]), attempt_of(columns[_ENDPOINT_COLUMNS:])

        async def run(db: Connection) -> Slice[tuple[Endpoint, Attempt]]:
            return await read_large(db, text, *values, steps=steps, shape=tried)

        return await self._read(run)

    async def endpoint_stats(
        self, endpoint_id: str, *, since_ms: int, until_ms: int
    ) -> EndpointStats:
        values = (endpoint_id, first_id_at("atmpt", since_ms), first_id_at("atmpt", until_ms))

        async def run(db: Connection) -> EndpointStats:
            [(success, fail, canceled)] = await db.fetch(query("read_endpoint_stats"), *values)
            waiting = await db.fetchval(query("count_waiting"), endpoint_id)
            return EndpointStats(
                success=success,
                pending=0,
                sending=waiting,
                fail=fail,
                canceled=canceled,
            )

        return await self._read(run)

    async def _read(self, run: Callable[[Connection], Awaitable[T]]) -> T:
        """At one instant, and by index."""

        async def pinned(db: Connection) -> T:
            await db.execute(query("pin_plans"))
            return await run(db)

        return await self._database.snapshot(pinned)


def _message_values(where: MessageFilter) -> tuple[Any, ...]:
    return where.with_payload, where.event_types, _channel(where.channel)


def _attempt_values(where: AttemptFilter) -> tuple[Any, ...]:
    """`status_class` 0 is the code 0 alone, any other a hundred of them."""
    lowest = where.status_class
    return (
        where.with_response,
        None if where.status is None else int(where.status),
        lowest,
        None if lowest is None else lowest + 99 if lowest else 0,
        where.event_types,
        _channel(where.channel),
    )


def _channel(channel: str | None) -> str | None:
    """As a column of channels holds it; the names of channels have nothing to escape."""
    return None if channel is None else as_json(channel)


async def _tried_query(
    db: Connection, endpoint_id: str, attempt_low: str, *, status: AttemptStatus | None
) -> tuple[str, bool]:
    """Which way to search, and whether for what is final or delivered only.

    From failures, from the endpoint's attempts, or from the messages. Attempts have to be sorted by
    message, so that way is for few of them; where an endpoint has many, walking the application's
    messages soon finds some that were tried at it.
    """
    if status in (AttemptStatus.FAIL, AttemptStatus.SENDING):
        return "list_failed", status is AttemptStatus.FAIL
    values = (endpoint_id, attempt_low, FEW_ATTEMPTS)
    count = await db.fetchval(query("count_attempts_up_to"), *values)
    name = "list_tried_few" if count < FEW_ATTEMPTS else "list_tried_many"
    return name, status is AttemptStatus.SUCCESS


def first_attempt_id(msg_id: str) -> str:
    """No attempt of this message, or of a later one, has an id before this."""
    try:
        return first_id_at("atmpt", id_time_ms(msg_id) - SKEW_MS)
    except ValueError:
        return ""


def _pair(row: Sequence[Any]) -> tuple[Message, Attempt]:
    return message_of(row), attempt_of(tuple(row)[_MESSAGE_COLUMNS:])
