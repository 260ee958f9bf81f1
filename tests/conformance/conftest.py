"""The stores that the suite runs on. One suite, every store."""

import asyncio
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import pytest

from ringback.config import Settings
from ringback.store.port import Store
from ringback.store.postgres import store as postgres
from ringback.store.sqlite import store as sqlite
from ringback.testing.postgres import database
from ringback.testing.stores import StillClock, World

STORES = ["sqlite-file", "sqlite-inline", "postgres"]
SECRET = "m" * 32


async def open_by_name(name: str, url: str, directory: Path, *, clock: StillClock) -> Store:
    settings = Settings(database=url, main_secret=SECRET, sqlite_readers=1)
    if name == "postgres":
        return await postgres.open_store(settings, clock)
    place = ":memory:" if name == "sqlite-inline" else directory / "ringback.db"
    return await sqlite.open_store(place, settings, clock)


@pytest.fixture(params=STORES)
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    clock = StillClock()
    place: AbstractContextManager[str] = nullcontext("sqlite:///unused.db")
    if request.param == "postgres":
        place = database()
    with place as url, asyncio.Runner() as runner:
        store = runner.run(open_by_name(request.param, url, tmp_path, clock=clock))
        yield World(runner, store, clock)
        runner.run(store.close())
