"""The file stays small when retention runs, and a backlog makes nothing else slow."""

import asyncio
import sqlite3
from pathlib import Path

from ringback.config import Settings
from ringback.store.port import NewMessage, Take, Waiting
from ringback.store.sqlite.store import SqliteStore, open_memory, open_store
from ringback.testing.stores import StillClock, World, delivery

SETTINGS = Settings(sqlite_readers=1)
DAY_MS = 86_400_000


def test_the_file_stops_growing_when_retention_runs(tmp_path: Path) -> None:
    sizes: list[int] = []
    with asyncio.Runner() as runner:
        clock = StillClock()
        store = runner.run(open_store(tmp_path / "ringback.db", SETTINGS, clock))
        world = World(runner, store, clock)
        app = world.app()
        endpoint = world.endpoint(app)
        for _ in range(12):
            live_a_day(world, app_and_endpoint=(app, endpoint))
            keep(world, days=3)
            sizes.append(pages(world, store))
        world.clock.at_ms += 10 * DAY_MS
        keep(world, days=3)
        emptied = pages(world, store)
        runner.run(store.close())
    assert max(sizes[4:]) <= sizes[3] * 1.05
    assert emptied < sizes[3] / 2


def live_a_day(world: World, *, app_and_endpoint: tuple[object, object]) -> None:
    app, endpoint = app_and_endpoint
    for _ in range(40):
        message = world.sent(app, endpoint, payload=b"x" * 3_000)  # type: ignore[arg-type]
        attempt = world.attempt(message, endpoint)  # type: ignore[arg-type]
        world.record(attempt, finished_batches=[world.batch_id])
    world.clock.at_ms += DAY_MS


def keep(world: World, *, days: int) -> None:
    before_ms = world.clock.at_ms - days * DAY_MS
    tending = world.store.tending
    while world.run(tending.delete_messages(before_ms=before_ms, limit=50)) == 50:
        pass
    while world.run(tending.delete_attempts(before_ms=before_ms, limit=50)) == 50:
        pass
    while world.run(tending.reclaim(pages=10)) > 0:
        pass


def pages(world: World, store: SqliteStore) -> int:
    def run(connection: sqlite3.Connection) -> int:
        return int(connection.execute("PRAGMA page_count").fetchone()[0])

    return world.run(store._database.read(run))


def test_the_work_of_a_claim_does_not_grow_with_the_backlog() -> None:
    """Counted in instructions of SQLite's machine, so no clock decides."""
    assert instructions_of_claim(backlog=20_000) < 1.5 * instructions_of_claim(backlog=200)


def instructions_of_claim(*, backlog: int) -> int:
    connection = open_memory(SETTINGS)
    clock = StillClock()
    with asyncio.Runner() as runner:
        store = runner.run(open_store(":memory:", SETTINGS, clock, connection=connection))
        world = World(runner, store, clock)
        app = world.app()
        endpoints = [world.endpoint(app) for _ in range(2)]
        version = world.version(app)
        messages = [world.message(app) for _ in range(backlog // 2)]
        rows = [
            tuple(Waiting(delivery(message, one), clock.at_ms) for one in endpoints)
            for message in messages
        ]
        world.accept(
            *(
                NewMessage(message, version, (), waiting, None)
                for message, waiting in zip(messages, rows, strict=True)
            )
        )
        count = 0

        def tick() -> None:
            nonlocal count
            count += 1

        connection.set_progress_handler(tick, 10)
        world.due()
        claimed = world.claim(*(Take(endpoint.id, 40) for endpoint in endpoints))
        connection.set_progress_handler(None, 0)
    assert len(claimed) == 80
    return count
