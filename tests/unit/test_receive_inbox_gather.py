"""Receipts that come together are written together, and each learns its own part."""

import asyncio

import pytest

from ringback.errors import InboxUnavailable
from ringback.receive.inbox.entry import Entry, Reading, entries_of
from ringback.receive.inbox.gather import ENTRIES_MAX, REQUESTS_MAX, Gather
from ringback.receive.inbox.statements import inserted
from ringback.testing.inbox import a_batch, an_event

READING = Reading(None, None, 1_000_000, str)


def entries(*names: str) -> list[Entry]:
    return [
        entry
        for name in names
        for entry in entries_of(an_event(name), READING, source=None, origin="webhook")
    ]


class Database:
    """Notes groups; each write waits for its turn."""

    def __init__(self) -> None:
        self.groups: list[list[str]] = []
        self.may_write = asyncio.Event()
        self.error: Exception | None = None

    async def write(self, group: list[Entry]) -> list[bool]:
        await self.may_write.wait()
        if self.error is not None:
            raise self.error
        self.groups.append([entry.id for entry in group])
        return [entry.id.startswith("new") for entry in group]


def test_what_gathers_during_a_write_is_the_next_group() -> None:
    async def story() -> None:
        database = Database()
        gather = Gather(database.write, bytes_max=1_000_000)
        first = asyncio.create_task(gather.add(entries("new 0")))
        await asyncio.sleep(0)
        more = [gather.add(entries(f"new {n}", f"old {n}")) for n in (1, 2)]
        others = [asyncio.create_task(one) for one in more]
        await asyncio.sleep(0)
        database.may_write.set()
        assert await first == [True]
        assert [await one for one in others] == [[True, False]] * 2
        assert database.groups == [["new 0"], ["new 1", "old 1", "new 2", "old 2"]]
        await gather.close()

    asyncio.run(story())


def test_groups_are_bounded() -> None:
    async def story() -> None:
        database = Database()
        gather = Gather(database.write, bytes_max=100_000_000)
        large = [f"new {n}" for n in range(ENTRIES_MAX)]
        asked = [entries("new"), *[entries("new") for _ in range(100)]]
        asked += [entries(*large), entries(*large, "new")]
        tasks = [asyncio.create_task(gather.add(one)) for one in asked]
        await asyncio.sleep(0)
        database.may_write.set()
        await asyncio.gather(*tasks)
        sizes = [len(group) for group in database.groups]
        assert sum(sizes) == 101 + 2 * ENTRIES_MAX + 1
        assert sizes == [REQUESTS_MAX, 101 - REQUESTS_MAX, ENTRIES_MAX, ENTRIES_MAX + 1]

    asyncio.run(story())


def test_a_failed_write_is_told_to_all_of_its_group_and_to_nobody_else() -> None:
    async def story() -> None:
        database = Database()
        gather = Gather(database.write, bytes_max=1_000_000)
        database.error = OSError("no disk")
        tasks = [asyncio.create_task(gather.add(entries(f"new {n}"))) for n in range(3)]
        await asyncio.sleep(0)
        tasks[0].cancel()
        database.may_write.set()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert isinstance(results[0], asyncio.CancelledError)
        assert all(isinstance(one, InboxUnavailable) for one in results[1:])
        database.error = None
        assert await gather.add(entries("new")) == [True]

    asyncio.run(story())


def test_bytes_that_wait_are_bounded() -> None:
    async def story() -> None:
        database = Database()
        size = entries("new")[0].size_bytes
        gather = Gather(database.write, bytes_max=2 * size)
        tasks = [asyncio.create_task(gather.add(entries("new"))) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(InboxUnavailable, match="too much waits"):
            await gather.add(entries("new"))
        database.may_write.set()
        await asyncio.gather(*tasks)
        assert await gather.add(entries("new")) == [True]

    asyncio.run(story())


def test_of_two_that_are_the_same_the_first_is_new() -> None:
    asked = entries("a", "b", "a")
    rows = [("stripe", "a")]
    assert inserted([[rows[0]]], asked) == [True, False, False]


def test_a_batch_becomes_its_request_and_its_parts() -> None:
    batch = a_batch("req_1", an_event("evt_1"), an_event("evt_2"))
    request, first, second = entries_of(batch, READING, source="acme", origin="webhook")
    assert (request.id, request.body, request.request) == ("request:req_1", batch.body, None)
    assert {entry.source for entry in (request, first, second)} == {"acme"}
    assert (first.id, first.body, first.request) == ("evt_1", None, "request:req_1")
    assert (second.id, second.decoded) == ("evt_2", b'{"id":"evt_2"}')
