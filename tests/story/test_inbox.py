"""The inbox as its users see it, on both databases: kept once, processed once, whatever fails."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ringback.errors import TryLater, Unprocessable
from ringback.receive.inbox import (
    Inbox,
    InboxEvent,
    Listed,
    State,
    SyncTransaction,
    Transaction,
)
from ringback.testing.inbox import Table, a_batch, all_in, an_event, inbox_database, quick


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    with inbox_database(request.param, tmp_path) as url:
        yield url


def test_a_hundred_parallel_duplicates_have_one_effect(url: str) -> None:
    async def story() -> None:
        inbox, table = Inbox(url, settings=quick()), Table(url)
        await table.create()

        @inbox.on("stripe", "order.paid")
        async def ship(event: InboxEvent, transaction: Transaction) -> None:
            await transaction.execute(table.insert, event.id)

        async with inbox.running():
            same = [inbox.receive(an_event("evt_1")) for _ in range(100)]
            receipts = await asyncio.gather(*same)
            assert sum(receipt.stored for receipt in receipts) == 1
            assert sum(receipt.is_duplicate for receipt in receipts) == 99
            await all_in(inbox, State.DONE, 1)
            assert (await inbox.receive(an_event("evt_1"))).is_duplicate
        assert await table.ids() == ["evt_1"]

    asyncio.run(story())


def test_the_bytes_are_kept_as_they_came(url: str) -> None:
    async def story() -> None:
        inbox = Inbox(url, settings=quick())
        event = an_event("evt_1", amount=5)
        await inbox.receive(event)
        [record] = await inbox.find(State.WAITING)
        assert (record.source, record.id, record.type) == ("stripe", "evt_1", "order.paid")
        assert record.timestamp_s == event.timestamp_s
        assert record.is_id_signed
        assert await inbox.bytes_of(record) == event.body
        assert await inbox.read("stripe", "evt_1") == record
        assert await inbox.read("stripe", "evt_2") is None
        await inbox.close()

    asyncio.run(story())


def test_what_a_failed_attempt_wrote_is_gone(url: str) -> None:
    async def story() -> None:
        inbox, table = Inbox(url, settings=quick()), Table(url)
        await table.create()

        @inbox.on("stripe", "order.paid")
        async def ship(event: InboxEvent, transaction: Transaction) -> None:
            await transaction.execute(table.insert, f"attempt {event.attempt}")
            if event.attempt < 3:
                raise RuntimeError("the printer is on fire")

        async with inbox.running():
            await inbox.receive(an_event("evt_1"))
            [record] = await all_in(inbox, State.DONE, 1)
        assert record.attempts == 3
        assert record.error is None
        assert await table.ids() == ["attempt 3"]

    asyncio.run(story())


def test_handlers_without_async_have_the_same_transaction(url: str) -> None:
    async def story() -> None:
        inbox, table = Inbox(url, settings=quick()), Table(url)
        await table.create()
        seen: list[Any] = []

        @inbox.on("stripe", "order.paid")
        def ship(event: InboxEvent, transaction: SyncTransaction) -> None:
            transaction.execute(table.insert, f"attempt {event.attempt}")
            seen.append(transaction.fetchval("SELECT count(*) FROM effects"))
            seen.append(transaction.fetchrow("SELECT id FROM effects"))
            seen.append(len(transaction.fetch("SELECT id FROM effects")))
            if event.attempt < 2:
                raise RuntimeError("not yet")

        @inbox.on("stripe", "order.seen")
        def look(event: InboxEvent) -> None:
            seen.append(event.payload["id"])

        async with inbox.running():
            await inbox.receive(an_event("evt_1"))
            await all_in(inbox, State.DONE, 1)
            await inbox.receive(an_event("evt_2", "order.seen"))
            await all_in(inbox, State.DONE, 2)
        assert await table.ids() == ["attempt 2"]
        assert [tuple(one) if not isinstance(one, int | str) else one for one in seen] == [
            *(1, ("attempt 1",), 1),
            *(1, ("attempt 2",), 1),
            "evt_2",
        ]

    asyncio.run(story())


def test_poison_goes_dead_and_blocks_nobody(url: str) -> None:
    async def story() -> None:
        inbox = Inbox(url, settings=quick(concurrency=2))
        is_mended = False
        handled: list[str] = []

        @inbox.on("stripe")
        async def handle(event: InboxEvent) -> None:
            if event.id.startswith("poison") and not is_mended:
                raise ValueError(f"cannot read {event.id}\0")
            handled.append(event.id)

        async with inbox.running():
            poison = [an_event(f"poison_{number}") for number in range(5)]
            good = [an_event(f"evt_{number}") for number in range(20)]
            await asyncio.gather(*(inbox.receive(event) for event in [*poison, *good]))
            await all_in(inbox, State.DONE, 20)
            dead = await all_in(inbox, State.DEAD, 5)
            assert {record.attempts for record in dead} == {3}
            assert "ValueError: cannot read poison_" in (dead[0].error or "")
            assert (await inbox.health()).dead == 5

            is_mended = True
            assert await inbox.replay(*dead) == 5
            await all_in(inbox, State.DONE, 25)
            assert await inbox.replay() == 0
        assert sorted(handled[20:]) == sorted(event.id for event in poison)

    asyncio.run(story())


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


def test_try_later_and_unprocessable_say_more_than_failures(url: str) -> None:
    async def story() -> None:
        inbox = Inbox(url, settings=quick(retry_schedule_s=(3_600, 3_600)))
        attempts: list[tuple[str, int]] = []

        @inbox.on("stripe", "order.paid")
        async def pay(event: InboxEvent) -> None:
            attempts.append((event.id, event.attempt))
            if event.attempt == 1:
                raise TryLater("the bank is closed", after_s=0.01)

        @inbox.on("stripe", "order.lost")
        async def lose(event: InboxEvent) -> None:
            raise Unprocessable("there is no such order")

        async with inbox.running():
            await inbox.receive(an_event("evt_1"))
            await inbox.receive(an_event("evt_2", "order.lost"))
            await all_in(inbox, State.DONE, 1)
            [dead] = await all_in(inbox, State.DEAD, 1)
        assert attempts == [("evt_1", 1), ("evt_1", 2)]
        assert (dead.id, dead.attempts) == ("evt_2", 1)

    asyncio.run(story())


def test_events_without_a_handler_are_kept_for_the_one_to_come(url: str) -> None:
    async def story() -> None:
        inbox = Inbox(url, settings=quick())
        handled: list[str] = []

        async with inbox.running():
            await inbox.receive(an_event("evt_1"))
            ignored = await all_in(inbox, State.IGNORED, 1)

            @inbox.on("stripe")
            async def handle(event: InboxEvent) -> None:
                handled.append(event.id)

            await inbox.replay(*ignored)
            await all_in(inbox, State.DONE, 1)
        assert handled == ["evt_1"]

    asyncio.run(story())


def test_a_request_with_several_events_is_kept_whole_and_deduped_one_by_one(url: str) -> None:
    async def story() -> None:
        inbox = Inbox(url, settings=quick(), key_of=lambda event: "in their order")
        handled: list[tuple[str, Any, bytes]] = []

        @inbox.on("stripe")
        async def handle(event: InboxEvent) -> None:
            handled.append((event.id, event.payload["n"], event.body))

        first = a_batch("req_1", *(an_event(f"evt_{n}", n=n) for n in (9, 3, 5)))
        second = a_batch("req_2", *(an_event(f"evt_{n}", n=n) for n in (5, 1)))
        async with inbox.running():
            receipt = await inbox.receive(first)
            assert (receipt.stored, receipt.duplicates) == (3, 0)
            receipt = await inbox.receive(second)
            assert (receipt.stored, receipt.duplicates) == (1, 1)
            receipt = await inbox.receive(a_batch("req_3"))
            assert (receipt.stored, receipt.is_duplicate) == (0, False)
            records = await all_in(inbox, State.DONE, 4)
            bodies = [await inbox.bytes_of(record) for record in records]
        assert [name for name, _, _ in handled] == ["evt_9", "evt_3", "evt_5", "evt_1"]
        assert handled[0] == ("evt_9", 9, b'{"id":"evt_9","n":9}')
        assert bodies == [second.body, first.body, first.body, first.body]

    asyncio.run(story())


def test_what_never_arrived_is_found_and_kept(url: str) -> None:
    async def story() -> None:
        inbox = Inbox(url, settings=quick())
        handled: list[tuple[str, str]] = []

        @inbox.on("stripe")
        async def handle(event: InboxEvent) -> None:
            handled.append((event.id, event.origin))

        listed = [Listed(f"evt_{n}", "order.paid", {"id": f"evt_{n}"}) for n in range(500)]
        for n in (3, 400):
            listed.append(listed[n])
        async with inbox.running():
            await asyncio.gather(*(inbox.receive(an_event(f"evt_{n}")) for n in range(0, 500, 2)))
            seen = await inbox.reconcile("stripe", listed, keep=False)
            assert (seen.listed, seen.stored) == (502, 0)
            found = await inbox.reconcile("stripe", listed)
            assert found.missing == tuple(f"evt_{n}" for n in range(1, 500, 2))
            assert (found.missing_count, found.stored) == (250, 250)
            await all_in(inbox, State.DONE, 500)
            again = await inbox.reconcile("stripe", listed)
            assert (again.missing_count, again.stored) == (0, 0)
            # The webhook comes after all.
            assert (await inbox.receive(an_event("evt_1"))).is_duplicate
        assert ("evt_1", "backfill") in handled
        assert ("evt_2", "webhook") in handled
        assert len(handled) == 500

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


def test_several_senders_of_one_scheme_are_told_apart(url: str) -> None:
    async def story() -> None:
        inbox = Inbox(url, settings=quick())
        for source in ("acme", "globex"):
            receipt = await inbox.receive(an_event("msg_1"), source=source)
            assert receipt.stored == 1
        waiting = await inbox.find(State.WAITING, source="acme")
        assert [record.source for record in waiting] == ["acme"]
        await inbox.close()

    asyncio.run(story())


def test_pages_of_what_is_found_lead_to_the_end(url: str) -> None:
    async def story() -> None:
        inbox = Inbox(url, settings=quick())
        for number in range(7):
            type_ = "order.odd" if number % 2 else "order.even"
            await inbox.receive(an_event(f"evt_{number}", type_))
        found: list[str] = []
        below: int | None = None
        while page := await inbox.find("waiting", below=below, limit=3):
            found += [record.id for record in page]
            below = page[-1].number
        assert found == [f"evt_{number}" for number in reversed(range(7))]
        odd = await inbox.find("waiting", type="order.odd")
        assert [record.id for record in odd] == ["evt_5", "evt_3", "evt_1"]
        await inbox.close()

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
