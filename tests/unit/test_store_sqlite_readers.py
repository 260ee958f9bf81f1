"""Slow lists and the path: the one never waits for the other."""

import asyncio
import sqlite3
import threading
from pathlib import Path

from ringback.clock import Clock
from ringback.config import Settings
from ringback.store.sqlite.store import SqliteStore, open_store

LISTS = 4
PATIENCE_S = 60


def test_slow_lists_never_hold_up_the_path_and_health(tmp_path: Path) -> None:
    may_end = threading.Event()

    def slow(_: sqlite3.Connection) -> None:
        assert may_end.wait(PATIENCE_S)

    async def story() -> None:
        store = await open_store(tmp_path / "ringback.db", Settings(sqlite_readers=2), Clock())
        lists = [asyncio.create_task(store._database.read(slow)) for _ in range(LISTS)]
        try:
            await asyncio.wait_for(what_the_path_reads(store), PATIENCE_S)
            assert not any(one.done() for one in lists)
        finally:
            may_end.set()
            await asyncio.gather(*lists)
            await store.close()

    asyncio.run(story())


async def what_the_path_reads(store: SqliteStore) -> None:
    assert await store.path.next_due_at_ms() is None
    assert await store.path.due_lanes(0, after=None, limit=1) == []
    assert await store.path.routing("org_1", "app_1") is None
    assert await store.path.routing_of("app_1") is None
    assert await store.path.versions(["app_1"]) == {}
    assert await store.path.messages([("app_1", "msg_1")]) == {}
    assert await store.tending.running_tasks(limit=1) == []
