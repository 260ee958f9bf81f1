"""The stores that the suite runs on. One suite, every store."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from ringback.config import Settings
from ringback.store.port import Store
from ringback.store.sqlite.store import open_store
from ringback.testing.stores import StillClock, World

STORES = ["sqlite-file", "sqlite-inline"]


async def open_by_name(name: str, directory: Path, clock: StillClock) -> Store:
    settings = Settings(main_secret="m" * 32, sqlite_readers=1)
    if name == "sqlite-inline":
        return await open_store(":memory:", settings, clock)
    return await open_store(directory / "ringback.db", settings, clock)


@pytest.fixture(params=STORES)
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    clock = StillClock()
    with asyncio.Runner() as runner:
        store = runner.run(open_by_name(request.param, tmp_path, clock))
        yield World(runner, store, clock)
        runner.run(store.close())
