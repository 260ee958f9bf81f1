"""The inbox as its users see it, on both databases: kept once, processed once, whatever fails."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ringback.errors import TryLater, Unprocessable
from ringback.receive import VerifiedEvent, verify
from ringback.receive.inbox import (
    Inbox,
    InboxEvent,
    Listed,
    State,
    SyncTransaction,
    Transaction,
)
from ringback.receive.verification import sign
from ringback.sign.scheme import Draft
from ringback.testing.inbox import Table, a_batch, all_in, an_event, inbox_database, quick

NOW_S = 1_735_689_600


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


@pytest.mark.parametrize(
    ("provider", "body", "stored"),
    [
        ("dropbox", b'{"list_folder": {"accounts": ["dbid:AAH4f99T0taONIb"]}}', 1),
        ("microsoft_graph", b'{"value": [{"changeType": "updated", "resource": "me"}]}', 1),
        ("microsoft_graph", b'{"value": [{"id": "1"}, {"changeType": "updated"}]}', 1),
        ("shopify", b'{"id": 1}', 0),
    ],
)
def test_events_that_may_be_the_same_bytes_are_all_kept(
    url: str, provider: str, body: bytes, stored: int
) -> None:
    """How many of the second request are new. Only what the provider tells apart is deduped."""

    def verified() -> VerifiedEvent:
        made = sign(provider, Draft(body=body, timestamp_s=NOW_S), "secret")
        return verify(provider, made.headers, made.body, secrets="secret", now_s=NOW_S)

    async def story() -> None:
        inbox = Inbox(url, settings=quick())
        first = await inbox.receive(verified())
        assert (first.stored, first.duplicates) == (len(verified().events()), 0)
        second = await inbox.receive(verified())
        assert second.stored == stored
        assert len(await inbox.find(State.WAITING)) == first.stored + stored
        await inbox.close()

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
