"""Applications, endpoints, event types and remembered answers: the `Resources` of the port."""

import sqlite3
from collections.abc import Callable, Sequence

from ringback.model import Application, Endpoint, EventType
from ringback.store.page import Page, Slice
from ringback.store.port import (
    IdempotencyKey,
)
from ringback.store.sqlite import apps, endpoints, event_types
from ringback.store.sqlite.database import Database
from ringback.store.sqlite.rows import one
from ringback.store.sqlite.sql import query


class SqliteResources:
    """Each method is one transaction of `apps`, `endpoints` or `event_types`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._rows = database.endpoints

    # ---- applications

    async def list_apps(self, org_id: str, page: Page) -> Slice[Application]:
        return await self._database.read(lambda db: apps.list_apps(db, org_id, page))

    async def get_app(self, org_id: str, ref: str) -> Application | None:
        return await self._database.read(lambda db: apps.get_app(db, org_id, ref))

    async def create_app(self, app: Application) -> Application:
        return await self._database.write(lambda db: apps.create_app(db, app))

    async def update_app(
        self, org_id: str, ref: str, change: Callable[[Application], Application]
    ) -> Application:
        return await self._database.write(lambda db: apps.update_app(db, org_id, ref, change))

    async def delete_app(self, org_id: str, ref: str, *, at_ms: int) -> Application:
        return await self._database.write(lambda db: apps.delete_app(db, org_id, ref, at_ms=at_ms))

    # ---- endpoints

    async def list_endpoints(self, app_id: str, page: Page) -> Slice[Endpoint]:
        return await self._database.read(
            lambda db: endpoints.list_endpoints(db, self._rows, app_id, page)
        )

    async def get_endpoint(self, app_id: str, ref: str) -> Endpoint | None:
        return await self._database.read(
            lambda db: endpoints.get_endpoint(db, self._rows, app_id, ref)
        )

    async def create_endpoint(self, endpoint: Endpoint, *, endpoints_max: int) -> Endpoint:
        return await self._database.write(
            lambda db: endpoints.create_endpoint(
                db, self._rows, endpoint, endpoints_max=endpoints_max
            )
        )

    async def update_endpoint(
        self, app_id: str, ref: str, change: Callable[[Endpoint], Endpoint]
    ) -> Endpoint:
        return await self._database.write(
            lambda db: endpoints.update_endpoint(db, self._rows, app_id, ref, change=change)
        )

    async def delete_endpoint(self, app_id: str, ref: str, *, at_ms: int) -> Endpoint:
        return await self._database.write(
            lambda db: endpoints.delete_endpoint(db, self._rows, app_id, ref, at_ms=at_ms)
        )

    async def is_id_taken(self, id_: str) -> bool:
        return await self._database.read(
            lambda db: bool(db.execute(query("is_id_taken"), (id_,)).fetchone()[0])
        )

    # ---- event types

    async def list_event_types(
        self, org_id: str, page: Page, *, include_archived: bool, flags: Sequence[str] | None
    ) -> Slice[EventType]:
        return await self._database.read(
            lambda db: event_types.list_event_types(
                db, org_id, page, include_archived=include_archived, flags=flags
            )
        )

    async def get_event_type(self, org_id: str, name: str) -> EventType | None:
        return await self._database.read(lambda db: event_types.get_event_type(db, org_id, name))

    async def create_event_type(self, event_type: EventType) -> EventType:
        return await self._database.write(lambda db: event_types.create_event_type(db, event_type))

    async def update_event_type(
        self, org_id: str, name: str, change: Callable[[EventType], EventType]
    ) -> EventType:
        return await self._database.write(
            lambda db: event_types.update_event_type(db, org_id, name, change)
        )

    async def delete_event_type(self, org_id: str, name: str, *, expunge: bool, at_ms: int) -> None:
        await self._database.write(
            lambda db: event_types.delete_event_type(db, org_id, name, expunge=expunge, at_ms=at_ms)
        )

    async def unknown_event_types(self, org_id: str, names: Sequence[str]) -> list[str]:
        return await self._database.read(
            lambda db: event_types.unknown_event_types(db, org_id, names)
        )

    # ---- answers

    async def recall(self, digest: bytes, *, now_ms: int) -> bytes | None:
        def run(db: sqlite3.Connection) -> bytes | None:
            row = one(db, query("read_answer"), (digest, now_ms))
            return None if row is None else bytes(row[0])

        return await self._database.read(run)

    async def remember(self, key: IdempotencyKey, answer: bytes) -> None:
        values = {
            "digest": key.digest,
            "expires_at_ms": key.expires_at_ms,
            "answer": answer,
            "now_ms": self._database.clock.now_ms(),
        }
        await self._database.write(lambda db: db.execute(query("remember_answer"), values).rowcount)
