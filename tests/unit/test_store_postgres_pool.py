"""Who gets a connection when others keep many of them busy."""

import asyncio
from collections.abc import Iterator

import asyncpg  # type: ignore[import-untyped]
import pytest
from msgspec.structs import replace

from ringback.config import Settings
from ringback.store.postgres.connection import Connection
from ringback.store.postgres.store import PostgresStore, open_store
from ringback.testing.eventually import eventually
from ringback.testing.postgres import database
from ringback.testing.stores import LEASE_MS, StillClock, World

PATIENCE_S = 600.0  # longer than the test: nobody gives up by himself
POOL = Settings().postgres_pool
HANGS_S = 30.0
WAITS = "SELECT count(*) FROM pg_locks WHERE NOT granted"


@pytest.fixture
def url() -> Iterator[str]:
    with database() as url:
        yield url


@pytest.fixture
def world(url: str) -> Iterator[World]:
    patient = Settings(
        database=url,
        postgres_lock_timeout_s=PATIENCE_S,
        postgres_statement_timeout_s=PATIENCE_S,
    )
    with asyncio.Runner() as runner:
        clock = StillClock()
        store = runner.run(open_store(patient, clock))
        yield World(runner, store, clock)
        runner.run(store.close())


def test_changes_that_wait_for_one_another_do_not_hold_up_the_path(world: World, url: str) -> None:
    app = world.app()
    resources, path = world.store.resources, world.store.path
    new = world.routed(world.message(app), app)

    async def run() -> None:
        holder = await asyncpg.connect(url)
        held = holder.transaction()
        await held.start()
        await holder.execute("SELECT FROM application FOR UPDATE")
        changes = [
            asyncio.create_task(
                resources.update_app(app.org_id, app.id, lambda old: replace(old, name="new"))
            )
            for _ in range(12)
        ]
        await eventually(lambda: holder.fetchval(WAITS), bool)
        async with asyncio.timeout(HANGS_S):
            await world.store.nodes.renew(world.lease, lease_ms=LEASE_MS)
            await path.accept(world.lease, world.next_batch(), [new])
        assert not any(change.done() for change in changes)
        await held.rollback()
        versions = {changed.version for changed in await asyncio.gather(*changes)}
        assert versions == set(range(app.version + 1, app.version + 13))
        await holder.close()

    world.run(run())


def test_a_lease_is_prolonged_whatever_the_other_connections_do(world: World) -> None:
    store = world.store
    assert isinstance(store, PostgresStore)

    async def run() -> None:
        go_on, occupied = asyncio.Event(), asyncio.Semaphore(0)

        async def occupy(_connection: Connection) -> None:
            occupied.release()
            await go_on.wait()

        busy = [asyncio.create_task(store._database.write(occupy)) for _ in range(2 * POOL)]
        for _ in range(POOL):
            await occupied.acquire()
        async with asyncio.timeout(HANGS_S):
            await store.nodes.renew(world.lease, lease_ms=LEASE_MS)
        go_on.set()
        await asyncio.gather(*busy)

    world.run(run())
