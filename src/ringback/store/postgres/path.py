"""What every message goes through: the `Path` of the port.

Hot: accepting, recording and claiming are one round trip each. When the answer to one of them is
lost, see `store.doubt`.
"""

from collections.abc import Mapping, Sequence

from ringback.model import Delivery, Message
from ringback.store.doubt import Doubts
from ringback.store.port import (
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
from ringback.store.postgres.record import hold_lease, record
from ringback.store.postgres.rows import app_of, message_of, one
from ringback.store.postgres.sql import query


class PostgresPath:
    def __init__(self, database: Database, doubts: Doubts) -> None:
        self._database = database
        self._doubts = doubts

    async def accept(
        self, lease: Lease, batch_id: int, messages: Sequence[NewMessage]
    ) -> list[AcceptResult]:
        return await self._doubts.accept(
            batch_id,
            messages,
            write=lambda: accept(self._database, lease, batch_id, messages),
            find=lambda: self._find(messages),
        )

    async def hand_off(self, lease: Lease, batch_id: int, deliveries: Sequence[Delivery]) -> None:
        async def run(connection: Connection) -> None:
            await hold_lease(connection, lease)
            await write_batch(connection, lease, batch_id, deliveries)

        await self._doubts.write(batch_id, lambda: self._database.write(run))

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
        return await self._doubts.write(
            batch_id, lambda: claims.claim(self._database, lease, batch_id, takes, now_ms=now_ms)
        )

    async def postpone(self, due_at_ms: Mapping[str, int]) -> None:
        await claims.postpone(self._database, due_at_ms)

    async def hasten(self, endpoint_ids: Sequence[str]) -> None:
        await self._database.call(query("update_lanes"), list(endpoint_ids))

    async def adopt(self, lease: Lease, *, now_ms: int, limit: int) -> int:
        return await self._doubts.adopt(
            lambda lost: self._database.write(
                lambda connection: claims.adopt(
                    connection, lease, now_ms=now_ms, limit=limit, lost=lost
                )
            )
        )

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

    async def _find(self, messages: Sequence[NewMessage]) -> set[str]:
        """Which of the messages are there."""
        refs = [(new.message.app_id, new.message.id) for new in messages]
        rows = await self._database.call(query("find_messages"), *_wanted(refs))
        return {message_id for (message_id,) in rows}


def _wanted(refs: Sequence[tuple[str, str]]) -> tuple[object, ...]:
    """The columns of (application, id) pairs, and between which ids they are."""
    app_ids, ids = zip(*refs, strict=True)
    return app_ids, ids, min(ids), max(ids)
