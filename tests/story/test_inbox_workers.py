"""The inbox's workers, on both databases: leases, order per key, time limits, stopping."""

import asyncio
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from ringback.errors import Unprocessable
from ringback.receive.inbox import (
    Inbox,
    InboxEvent,
    State,
    SyncTransaction,
    Transaction,
)
from ringback.testing.eventually import eventually
from ringback.testing.inbox import Table, all_in, an_event, inbox_database, quick


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    with inbox_database(request.param, tmp_path) as url:
        yield url


def test_a_key_keeps_its_order_while_its_first_event_waits_for_a_retry(url: str) -> None:
    async def story() -> None:
        inbox = Inbox(
            url,
            settings=quick(retry_schedule_s=(0.1,) * 90),
            key_of=lambda event: event.payload.get("order"),
        )
        handled: list[str] = []

        @inbox.on("stripe")
        async def handle(event: InboxEvent) -> None:
            if event.id == "a0" and len(handled) < 20:
                raise RuntimeError("the others must not wait for it")
            handled.append(event.id)

        async with inbox.running():
            for number in range(10):
                await inbox.receive(an_event(f"a{number}", order="a"))
                await inbox.receive(an_event(f"b{number}", order="b"))
                await inbox.receive(an_event(f"c{number}"))
            await all_in(inbox, State.DONE, 30)
        for key in ("a", "b"):
            ordered = [name for name in handled if name.startswith(key)]
            assert ordered == [f"{key}{number}" for number in range(10)]
        assert handled.index("a0") == 20

    asyncio.run(story())


def test_a_dead_event_frees_its_key(url: str) -> None:
    async def story() -> None:
        inbox = Inbox(url, settings=quick(), key_of=lambda event: "one")
        handled: list[str] = []

        @inbox.on("stripe")
        async def handle(event: InboxEvent) -> None:
            if event.id == "evt_0":
                raise Unprocessable("there is no such order")
            handled.append(event.id)

        async with inbox.running():
            for number in range(5):
                await inbox.receive(an_event(f"evt_{number}"))
            await all_in(inbox, State.DONE, 4)
            [dead] = await inbox.find(State.DEAD)
        assert dead.attempts == 1
        assert handled == ["evt_1", "evt_2", "evt_3", "evt_4"]

    asyncio.run(story())


def test_a_key_is_never_handled_twice_at_once(url: str) -> None:
    """By two workers, with parallel receipts, so that the order of commits is not ours to know."""

    async def story() -> None:
        inboxes = [
            Inbox(url, settings=quick(), key_of=lambda event: event.payload["key"])
            for _ in range(2)
        ]
        at_once: dict[str, int] = {}
        most: list[int] = []

        async def handle(event: InboxEvent) -> None:
            key = event.order_key or ""
            at_once[key] = at_once.get(key, 0) + 1
            most.append(at_once[key])
            await asyncio.sleep(0)
            at_once[key] -= 1

        async def receive(number: int) -> None:
            await inboxes[number % 2].receive(an_event(f"evt_{number}", key=f"k{number % 7}"))

        for inbox in inboxes:
            inbox.on("stripe")(handle)
        async with inboxes[0].running(), inboxes[1].running():
            await asyncio.gather(*(receive(number) for number in range(150)))
            await all_in(inboxes[0], State.DONE, 150)
        assert len(most) == 150
        assert max(most) == 1

    asyncio.run(story())


def test_two_workers_share(url: str) -> None:
    async def story() -> None:
        table = Table(url)
        await table.create()
        first, second = (Inbox(url, settings=quick(concurrency=4)) for _ in range(2))
        by: dict[str, set[str]] = {"first": set(), "second": set()}
        both_work = asyncio.Event()

        def register(inbox: Inbox, name: str) -> None:
            @inbox.on("stripe")
            async def handle(event: InboxEvent, transaction: Transaction) -> None:
                by[name].add(event.id)
                if all(by.values()):
                    both_work.set()
                # Nobody goes on alone, so neither can take everything.
                await both_work.wait()
                await transaction.execute(table.insert, event.id)

        register(first, "first")
        register(second, "second")
        async with first.running(), second.running():
            await asyncio.gather(*(first.receive(an_event(f"evt_{n}")) for n in range(60)))
            await all_in(first, State.DONE, 60)
        assert sorted(await table.ids()) == sorted(f"evt_{n}" for n in range(60))
        assert not by["first"] & by["second"]

    asyncio.run(story())


def test_whoever_lost_the_lease_changes_nothing(url: str) -> None:
    async def story() -> None:
        inbox, table = Inbox(url, settings=quick()), Table(url)
        await table.create()

        @inbox.on("stripe")
        async def handle(event: InboxEvent, transaction: Transaction) -> None:
            if event.attempt == 1:
                await table.query("UPDATE ringback_inbox SET lease = 'stolen', due_at_ms = 0")
            await transaction.execute(table.insert, f"attempt {event.attempt}")

        async with inbox.running():
            await inbox.receive(an_event("evt_1"))
            await all_in(inbox, State.DONE, 1)
        assert await table.ids() == ["attempt 2"]

    asyncio.run(story())


def test_an_event_that_kills_its_workers_dies_in_the_end(url: str) -> None:
    async def story() -> None:
        inbox, table = Inbox(url, settings=quick()), Table(url)

        @inbox.on("stripe")
        async def handle(event: InboxEvent) -> None:
            raise AssertionError("it has had its attempts")

        await inbox.receive(an_event("evt_1"))
        await table.query("UPDATE ringback_inbox SET attempts = 3, lease = 'of a dead worker'")
        async with inbox.running():
            [record] = await all_in(inbox, State.DEAD, 1)
        assert record.error == "each of 3 attempts ended with its process"

    asyncio.run(story())


@pytest.mark.parametrize("is_async", [True, False])
def test_a_handler_that_takes_too_long_has_failed(url: str, is_async: bool) -> None:
    async def story() -> None:
        inbox, table = Inbox(url, settings=quick(handler_timeout_s=1.0)), Table(url)
        await table.create()
        loop, may_go_on = asyncio.get_running_loop(), asyncio.Event()
        late: list[str] = []

        async def hang(event: InboxEvent, transaction: Transaction) -> None:
            await transaction.execute(table.insert, f"attempt {event.attempt}")
            if event.attempt == 1:
                await may_go_on.wait()

        def hang_in_thread(event: InboxEvent, transaction: SyncTransaction) -> None:
            transaction.execute(table.insert, f"attempt {event.attempt}")
            if event.attempt == 1:
                asyncio.run_coroutine_threadsafe(may_go_on.wait(), loop).result()
                try:
                    transaction.execute(table.insert, "too late")
                except Exception as error:
                    late.append(str(error))
                    raise

        inbox.on("stripe")(hang if is_async else hang_in_thread)
        async with inbox.running():
            await inbox.receive(an_event("evt_1"))
            [record] = await all_in(inbox, State.DONE, 1)
            may_go_on.set()
        assert record.attempts == 2
        assert await table.ids() == ["attempt 2"]
        assert is_async or late == ["the attempt is over"]

    asyncio.run(story())


def test_stopping_waits_for_who_is_busy_and_gives_back_the_rest(url: str) -> None:
    async def story() -> None:
        inbox = Inbox(url, settings=quick(drain_s=0.2, concurrency=2))
        started: asyncio.Queue[str] = asyncio.Queue()
        may_finish = asyncio.Event()

        @inbox.on("stripe", "order.quick")
        async def finish(event: InboxEvent) -> None:
            await started.put(event.id)
            await may_finish.wait()

        @inbox.on("stripe", "order.endless")
        async def hang(event: InboxEvent) -> None:
            await started.put(event.id)
            await asyncio.Event().wait()

        async with inbox.running():
            await inbox.receive(an_event("evt_1", "order.quick"))
            await inbox.receive(an_event("evt_2", "order.endless"))
            assert {await started.get(), await started.get()} == {"evt_1", "evt_2"}
            may_finish.set()
        [done] = await inbox.find(State.DONE)
        [waiting] = await inbox.find(State.WAITING)
        assert (done.id, waiting.id) == ("evt_1", "evt_2")
        assert (waiting.attempts, waiting.is_leased) == (0, False)
        await inbox.close()

    asyncio.run(story())


def test_what_was_kept_while_nothing_ran_is_processed_at_the_start(url: str) -> None:
    async def story() -> None:
        handled: list[str] = []
        receiving, working = Inbox(url, settings=quick()), Inbox(url, settings=quick())

        @working.on("*", "order.*")
        async def handle(event: InboxEvent) -> None:
            handled.append(event.id)

        await receiving.receive(an_event("evt_1"))
        await receiving.receive(an_event("evt_1", provider="github"))
        health = await receiving.health()
        assert (health.waiting, health.running, health.retrying, health.dead) == (2, 0, 0, 0)
        async with working.running():
            await all_in(working, State.DONE, 2)
            # And what another process receives is found by asking.
            await receiving.receive(an_event("evt_2"))
            await all_in(working, State.DONE, 3)
        await receiving.close()
        assert handled[2:] == ["evt_2"]

    asyncio.run(story())


def test_the_lease_of_a_dead_worker_ends(url: str) -> None:
    async def story() -> None:
        first, second = Inbox(url, settings=quick()), Inbox(url, settings=quick())
        handled: list[int] = []

        @second.on("stripe")
        async def handle(event: InboxEvent) -> None:
            handled.append(event.attempt)

        await first.receive(an_event("evt_1"))
        # As a worker leaves it that was killed right after its claim.
        table = Table(url)
        now_ms = (await first.find("waiting"))[0].received_at_ms
        await table.query(
            f"UPDATE ringback_inbox SET lease = 'gone', attempts = 1, due_at_ms = {now_ms + 300}"
        )
        async with second.running():
            await all_in(second, State.DONE, 1)
        await first.close()
        assert handled == [2]

    asyncio.run(story())


def test_what_is_kept_while_its_predecessor_ends_is_taken_at_once(tmp_path: Path) -> None:
    """PostgreSQL: neither sees the other's transaction, and nobody may wait for a lease to end."""

    async def story(url: str) -> None:
        inbox = Inbox(url, settings=quick(poll_s=30.0), key_of=lambda event: "one")
        table = Table(url)
        is_busy, may_end = asyncio.Event(), asyncio.Event()
        waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"

        @inbox.on("stripe")
        async def handle(event: InboxEvent) -> None:
            is_busy.set()
            await may_end.wait()

        async with inbox.running():
            await inbox.receive(an_event("evt_1"))
            await is_busy.wait()
            with closing(psycopg.connect(url)) as own, inbox.transaction(own) as kept:
                kept.receive(an_event("evt_2"))
                may_end.set()
                await eventually(lambda: table.query(waiting), lambda rows: rows[0][0] == 1)
            await all_in(inbox, State.DONE, 2)

    with inbox_database("postgres", tmp_path) as url:
        asyncio.run(story(url))
