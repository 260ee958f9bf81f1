"""Slow lists and the path: the one never waits for the other."""

import asyncio
from collections.abc import Iterator

import pytest

from ringback.clock import Clock
from ringback.config import Settings
from ringback.store.postgres.connection import Connection
from ringback.store.postgres.store import PostgresStore, open_store
from ringback.testing.postgres import database

LISTS = 4
PATIENCE_S = 60


@pytest.fixture
def url() -> Iterator[str]:
    with database() as url:
        yield url


def test_slow_lists_never_hold_up_the_path_and_health(url: str) -> None:
    async def story() -> None:
        may_end = asyncio.Event()

        async def slow(_: Connection) -> None:
            await may_end.wait()

        store = await open_store(Settings(database=url, postgres_readers=2), Clock())
        lists = [asyncio.create_task(store._database.read(slow)) for _ in range(LISTS)]
        try:
            await asyncio.wait_for(what_the_path_reads(store), PATIENCE_S)
            assert not any(one.done() for one in lists)
        finally:
            may_end.set()
            await asyncio.gather(*lists)
            await store.close()

    asyncio.run(story())


async def what_the_path_reads(store: PostgresStore) -> None:
    assert await store.path.next_due_at_ms() is None
    assert await store.path.due_lanes(0, after=None, limit=1) == []
    assert await store.path.routing("org_1", "app_1") is None
    assert await store.path.routing_of("app_1") is None
    assert await store.path.versions(["app_1"]) == {}
    assert await store.path.messages([("app_1", "msg_1")]) == {}
    assert await store.tending.running_tasks(limit=1) == []
