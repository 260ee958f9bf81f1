"""Both ways to find the messages of an endpoint give the same answer."""

import asyncio
import random
from collections.abc import Iterator

import pytest

from ringback.config import Settings
from ringback.model import AttemptStatus
from ringback.store.page import Page, Slice
from ringback.store.port import (
    MessageFilter,
)
from ringback.store.postgres import history
from ringback.store.postgres.store import open_store
from ringback.testing.postgres import database
from ringback.testing.stores import StillClock, World

HOUR_MS = 3_600_000


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    clock = StillClock()
    with database() as url, asyncio.Runner() as runner:
        store = runner.run(open_store(Settings(database=url), clock))
        yield World(runner, store, clock)
        runner.run(store.close())


@pytest.mark.parametrize("seed", range(5))
def test_few_and_many_agree(world: World, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    luck = random.Random(seed)
    app = world.app()
    endpoint, other = world.endpoint(app), world.endpoint(app)
    for _ in range(30):
        # Over some days, so that attempts are in other partitions than their messages.
        world.clock.at_ms += luck.choice([0, 5, HOUR_MS])
        message = world.sent(app, endpoint, event_type=luck.choice("ab"))
        for target in luck.choices([endpoint, other], k=luck.randrange(4)):
            world.clock.at_ms += luck.choice([0, 5, HOUR_MS])
            make = luck.choice([world.attempt, world.failure])
            world.record(make(message, target))
    pages = [
        Page(luck.choice([1, 3, 50]), iterator, is_backward=backward, from_oldest=oldest)
        for iterator in (None, message.id)
        for backward in (True, False)
        for oldest in (True, False)
    ]
    for page in pages:
        for status in (None, AttemptStatus.SUCCESS):
            where = MessageFilter(event_types=luck.choice([None, ("a",)]))
            call = world.store.history.list_messages_of_endpoint
            found: list[Slice[object]] = []
            for limit in (0, 10_000):
                monkeypatch.setattr(history, "FEW_ATTEMPTS", limit)
                found.append(world.run(call(endpoint.id, page, where, status=status)))  # type: ignore[arg-type]
            assert found[0] == found[1]
