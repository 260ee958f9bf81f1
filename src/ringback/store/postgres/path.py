"""What every message goes through: the `Path` of the port.

Hot: accepting, recording and claiming are one round trip each. When the answer to one of them is
lost, see doubt.py.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeVar

from ringback.errors import StoreError, StoreUnavailable
from ringback.model import Delivery, Message
from ringback.store.port import (
    AcceptOutcome,
    AcceptResult,
    Claimed,
    DueLane,
    Lease,
    NewMessage,
    Record,
    Routing,
    Take,
    Waiting,
)
from ringback.store.postgres import claim as claims
from ringback.store.postgres import waiting as lanes
from ringback.store.postgres.accept import accept, write_batch
from ringback.store.postgres.connection import Connection
from ringback.store.postgres.database import Database
from ringback.store.postgres.doubt import Doubts
from ringback.store.postgres.faults import may_be_committed
from ringback.store.postgres.record import hold_lease, record
from ringback.store.postgres.rows import app_of, message_of, one
from ringback.store.postgres.sql import query

T = TypeVar("T")


class PostgresPath:
    def __init__(self, database: Database, doubts: Doubts) -> None:
        self._database = database
        self._doubts = doubts

    async def accept(
        self, lease: Lease, batch_id: int, messages: Sequence[NewMessage]
    ) -> list[AcceptResult]:
        try:
            return await accept(self._database, lease, batch_id, messages)
        except StoreUnavailable as error:
            if not may_be_committed(error):
                raise
            self._doubts.add(batch_id)
            found = await self._found(messages)
            if not found:
                raise
        # It was committed. Who was refused, and why, is not known any more: route again.
        self._doubts.resolve(batch_id)
        return [
            AcceptResult(
                AcceptOutcome.ACCEPTED if new.message.id in found else AcceptOutcome.STALE,
                new.message.id,
            )
            for new in messages
        ]

    async def hand_off(self, lease: Lease, batch_id: int, deliveries: Sequence[Delivery]) -> None:
        async def run(connection: Connection) -> None:
            await hold_lease(connection, lease)
            await write_batch(connection, lease, batch_id, deliveries)

        await self._in_doubt(batch_id, lambda: self._database.write(run))

    async def park(self, waiting: Sequence[Waiting]) -> None:
        await self._database.write(lambda connection: lanes.put(connection, waiting))

    async def record(self, lease: Lease, record_: Record) -> None:
        await record(self._database, lease, record_)

    async def due_lanes(self, now_ms: int, *, after: DueLane | None, limit: int) -> list[DueLane]:
        after_ms, after_id = (-1, "") if after is None else (after.due_at_ms, after.endpoint_id)
        rows = await self._database.call(query("list_due_lanes"), now_ms, after_ms, after_id, limit)
        return [DueLane(*row) for row in rows]

    async def next_due_at_ms(self) -> int | None:
        [(due_at_ms,)] = await self._database.call(query("read_next_due"))
        return due_at_ms  # type: ignore[no-any-return]

    async def claim(
        self, lease: Lease, batch_id: int, takes: Sequence[Take], *, now_ms: int
    ) -> list[Claimed]:
        return await self._in_doubt(
            batch_id, lambda: claims.claim(self._database, lease, batch_id, takes, now_ms=now_ms)
        )

    async def postpone(self, due_at_ms: Mapping[str, int]) -> None:
        await claims.postpone(self._database, due_at_ms)

    async def hasten(self, endpoint_ids: Sequence[str]) -> None:
        await self._database.call(query("update_lanes"), list(endpoint_ids))

    async def adopt(self, lease: Lease, *, now_ms: int, limit: int) -> int:
        lost = self._doubts.current()
        adopted = await self._database.write(
            lambda connection: claims.adopt(
                connection, lease, now_ms=now_ms, limit=limit, lost=lost
            )
        )
        for batch_id in adopted:
            self._doubts.resolve(batch_id)
        return len(adopted)

    async def routing(self, org_id: str, app_ref: str) -> Routing | None:
        return await self._routing("read_app", org_id, app_ref)

    async def routing_of(self, app_id: str) -> Routing | None:
        return await self._routing("read_app_by_id", app_id)

    async def versions(self, app_ids: Sequence[str]) -> dict[str, int]:
        rows = await self._database.call(query("read_versions"), list(app_ids))
        return {row[0]: row[1] for row in rows}

    async def messages(self, refs: Sequence[tuple[str, str]]) -> dict[str, Message]:
        if not refs:
            return {}
        rows = await self._database.call(query("read_messages"), *_wanted(refs))
        return {message.id: message for message in map(message_of, rows)}

    async def _routing(self, name: str, *values: str) -> Routing | None:
        """The application and its endpoints as they were at one instant."""

        async def run(connection: Connection) -> Routing | None:
            row = await one(connection, query(name), *values)
            if row is None:
                return None
            app = app_of(row)
            rows = await connection.fetch(query("read_endpoints_of_app"), app.id)
            return Routing(app, tuple(self._database.endpoints.endpoint(row) for row in rows))

        return await self._database.look_up(run)

    async def _in_doubt(self, batch_id: int, write: Callable[[], Awaitable[T]]) -> T:
        try:
            return await write()
        except StoreUnavailable as error:
            if may_be_committed(error):
                self._doubts.add(batch_id)
            raise

    async def _found(self, messages: Sequence[NewMessage]) -> set[str]:
        """Which of the messages are there; none, if that cannot be said."""
        refs = [(new.message.app_id, new.message.id) for new in messages]
        try:
            rows = await self._database.call(query("find_messages"), *_wanted(refs))
        except StoreError:
            return set()
        return {message_id for (message_id,) in rows}


def _wanted(refs: Sequence[tuple[str, str]]) -> tuple[object, ...]:
    """The columns of (application, id) pairs, and between which ids they are."""
    app_ids, ids = zip(*refs, strict=True)
    return app_ids, ids, min(ids), max(ids)
