"""Verified events and databases for tests of the inbox, without a provider and without a server."""

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final

from ringback.receive.inbox import Inbox, InboxSettings, Record, State
from ringback.sign.event import VerifiedEvent
from ringback.sign.payload import as_json
from ringback.sign.scheme import Part
from ringback.testing.eventually import eventually
from ringback.testing.postgres import shared_server


def an_event(
    id: str, type: str | None = "order.paid", *, provider: str = "stripe", **payload: Any
) -> VerifiedEvent:
    """As `verify` would have returned it."""
    body = as_json({"id": id, **payload})
    return VerifiedEvent(
        provider=provider,
        id=id,
        type=type,
        timestamp_s=1_700_000_000,
        payload={"id": id, **payload},
        body=body,
        is_id_signed=True,
        secret_index=0,
    )


def a_batch(id: str, *events: VerifiedEvent) -> VerifiedEvent:
    """A request that carries several events."""
    parts = tuple(Part(event.id, event.type, event.payload) for event in events)
    payload = [part.payload for part in parts]
    return VerifiedEvent(
        provider=events[0].provider if events else "stripe",
        id=id,
        type=None,
        timestamp_s=None,
        payload=payload,
        body=as_json(payload),
        is_id_signed=True,
        secret_index=0,
        parts=parts,
    )


def quick(**changes: Any) -> InboxSettings:
    """Settings for tests: no long waits, and no receipt refused because the machine is busy."""
    usual: dict[str, Any] = {
        "retry_schedule_s": (0.01, 0.01),
        "poll_s": 0.05,
        "receive_timeout_s": 30.0,
        "sqlite_transaction_s": 20.0,
    }
    return InboxSettings(**{**usual, **changes})


@contextmanager
def inbox_database(kind: str, directory: Path) -> Iterator[str]:
    """The URL of an empty database: `sqlite` or `postgres`."""
    if kind == "sqlite":
        yield f"sqlite:///{directory}/shop.db"
        return
    server = shared_server()
    url = server.create_empty_database()
    try:
        yield url
    finally:
        server.drop_database(url)


class Table:
    """The app's own table `effects`, in the same database, without any constraint.

    So that an effect that happened twice is there twice.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self.insert = _INSERT.replace("?", "?" if self._is_sqlite else "$1")

    @property
    def _is_sqlite(self) -> bool:
        return self._url.startswith("sqlite:")

    async def create(self) -> None:
        await self.query(
            "CREATE TABLE effects (place INTEGER PRIMARY KEY, id TEXT NOT NULL,"
            " at_s REAL DEFAULT ((julianday('now') - 2440587.5) * 86400))"
            if self._is_sqlite
            else "CREATE TABLE effects (place BIGSERIAL PRIMARY KEY, id TEXT NOT NULL,"
            " at_s float DEFAULT extract(epoch FROM clock_timestamp()))"
        )

    async def ids(self) -> list[str]:
        """In the order of writing."""
        return [str(row[0]) for row in await self.query("SELECT id FROM effects ORDER BY place")]

    async def times_s(self) -> dict[str, float]:
        """When each effect was written first, by the wall clock."""
        return dict(await self.query("SELECT id, min(at_s) FROM effects GROUP BY id"))

    async def query(self, text: str) -> list[Any]:
        """On a connection of its own."""
        if self._is_sqlite:
            return await asyncio.to_thread(self._in_sqlite, text)
        return list(await self._in_postgres("fetch", text))

    async def script(self, text: str) -> None:
        """Several statements at once."""
        if not self._is_sqlite:
            await self._in_postgres("execute", text)
            return
        with closing(sqlite3.connect(self._path, timeout=30)) as connection:
            connection.executescript(text)

    def _in_sqlite(self, text: str) -> list[Any]:
        with closing(sqlite3.connect(self._path, timeout=30, isolation_level=None)) as connection:
            return connection.execute(text).fetchall()

    async def _in_postgres(self, verb: str, text: str) -> Any:
        import asyncpg  # type: ignore[import-untyped]

        connection = await asyncpg.connect(self._url)
        try:
            return await getattr(connection, verb)(text)
        finally:
            await connection.close()

    @property
    def _path(self) -> str:
        return self._url.removeprefix("sqlite:///")


_INSERT: Final = "INSERT INTO effects (id) VALUES (?)"


async def all_in(inbox: Inbox, state: State, count: int) -> list[Record]:
    """Wait until that many events have a state; the newest first."""
    return await eventually(
        lambda: inbox.find(state, limit=1_000), lambda found: len(found) == count
    )


async def all_done(inbox: Inbox, timeout_s: float = 300.0) -> None:
    """Wait until nothing waits."""
    await eventually(inbox.health, lambda health: health.waiting == 0, timeout_s)
