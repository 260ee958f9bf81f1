"""What every message goes through: the `Path` of the port."""

import sqlite3
from collections.abc import Collection, Mapping, Sequence

from ringback.model import Delivery, Message
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
from ringback.store.sqlite import claim as claims
from ringback.store.sqlite import waiting as lanes
from ringback.store.sqlite.accept import accept, write_batch
from ringback.store.sqlite.database import Database
from ringback.store.sqlite.record import check_lease, record
from ringback.store.sqlite.rows import app_of, message_of, one
from ringback.store.sqlite.sql import as_json, query


class SqlitePath:
    """Hot: few statements a call, decisions before writes, so that no savepoint is needed."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def accept(
        self, lease: Lease, batch_id: int, messages: Sequence[NewMessage]
    ) -> list[AcceptResult]:
        return await self._database.write(
            lambda connection: accept(connection, lease, batch_id, messages),
            is_checked=True,
            rows=sum(1 + len(new.waiting) for new in messages),
        )

    async def hand_off(self, lease: Lease, batch_id: int, deliveries: Sequence[Delivery]) -> None:
        def run(connection: sqlite3.Connection) -> None:
            check_lease(connection, lease)
            write_batch(connection, lease, batch_id, deliveries)

        await self._database.write(run, is_checked=True)

    async def park(self, waiting: Sequence[Waiting]) -> None:
        await self._database.write(lambda connection: lanes.put(connection, waiting))

    async def record(self, lease: Lease, record_: Record) -> None:
        await self._database.write(
            lambda connection: record(connection, lease, record_),
            is_checked=True,
            rows=1 + len(record_.attempts) + len(record_.waiting),
        )

    async def due_lanes(self, now_ms: int, *, after: DueLane | None, limit: int) -> list[DueLane]:
        values = {
            "now_ms": now_ms,
            "after_ms": -1 if after is None else after.due_at_ms,
            "after_id": "" if after is None else after.endpoint_id,
            "limit": limit,
        }
        return await self._database.look_up(
            lambda connection: [
                DueLane(*row) for row in connection.execute(query("list_due_lanes"), values)
            ]
        )

    async def next_due_at_ms(self) -> int | None:
        def run(connection: sqlite3.Connection) -> int | None:
            [(due_at_ms,)] = connection.execute(query("read_next_due")).fetchall()
            return due_at_ms  # type: ignore[no-any-return]

        return await self._database.look_up(run)

    async def claim(
        self, lease: Lease, batch_id: int, takes: Sequence[Take], *, now_ms: int
    ) -> list[Claimed]:
        return await self._database.write(
            lambda connection: claims.claim(connection, lease, batch_id, takes, now_ms=now_ms),
            is_checked=True,
        )

    async def postpone(self, due_at_ms: Mapping[str, int]) -> None:
        await self._database.write(lambda connection: claims.postpone(connection, due_at_ms))

    async def hasten(self, endpoint_ids: Sequence[str]) -> None:
        await self._database.write(lambda connection: lanes.correct_lanes(connection, endpoint_ids))

    async def adopt(self, lease: Lease, *, now_ms: int, limit: int) -> int:
        return len(await self.adopt_batches(lease, now_ms=now_ms, limit=limit, lost=()))

    async def adopt_batches(
        self, lease: Lease, *, now_ms: int, limit: int, lost: Collection[int]
    ) -> list[int]:
        """The ids of what was adopted. No answer of a file is `lost`, but in simulations that let
        it stand for a database far away."""
        return await self._database.write(
            lambda connection: claims.adopt(
                connection,
                lease,
                now_ms=now_ms,
                at_ms=self._database.clock.now_ms(),
                limit=limit,
                lost=lost,
            )
        )

    async def routing(self, org_id: str, app_ref: str) -> Routing | None:
        values = {"org_id": org_id, "ref": app_ref}
        return await self._routing("read_app", values)

    async def routing_of(self, app_id: str) -> Routing | None:
        return await self._routing("read_app_by_id", (app_id,))

    async def versions(self, app_ids: Sequence[str]) -> dict[str, int]:
        values = (as_json(app_ids),)
        return await self._database.look_up(
            lambda connection: dict(connection.execute(query("read_versions"), values).fetchall())
        )

    async def messages(self, ids: Sequence[tuple[str, str]]) -> dict[str, Message]:
        def run(connection: sqlite3.Connection) -> dict[str, Message]:
            rows = connection.execute(query("read_messages"), (as_json(ids),))
            return {message.id: message for message in map(message_of, rows)}

        return await self._database.look_up(run)

    async def _routing(
        self, name: str, values: Mapping[str, str] | Sequence[str]
    ) -> Routing | None:
        def run(connection: sqlite3.Connection) -> Routing | None:
            row = one(connection, query(name), values)
            if row is None:
                return None
            app = app_of(row)
            rows = connection.execute(query("read_endpoints_of_app"), (app.id,)).fetchall()
            return Routing(app, tuple(self._database.endpoints.endpoint(row) for row in rows))

        return await self._database.look_up(run)
