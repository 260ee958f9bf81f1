"""The inbox when its database fails: nothing is acknowledged that is not kept, and it recovers."""

import asyncio
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from ringback.clock import Clock
from ringback.errors import (
    ConfigError,
    InboxUnavailable,
    PayloadTooLarge,
    SchemaMismatch,
    TransactionEnded,
    TryLater,
    Unprocessable,
)
from ringback.receive.inbox import Inbox, InboxEvent, State, Transaction, ddl
from ringback.receive.inbox.sql import query
from ringback.testing.eventually import eventually
from ringback.testing.inbox import Table, a_batch, all_in, an_event, inbox_database, quick
from ringback.testing.postgres import EXTERNAL, PostgresServer


@pytest.mark.skipif(bool(EXTERNAL), reason="needs a server that it may stop")
def test_nothing_is_acknowledged_while_postgres_is_down() -> None:
    server = PostgresServer()
    server.start()

    async def story() -> None:
        inbox = Inbox(server.create_empty_database(), settings=quick(poll_s=0.02))
        handled: list[str] = []

        @inbox.on("stripe")
        async def handle(event: InboxEvent) -> None:
            handled.append(event.id)

        async with inbox.running():
            await inbox.receive(an_event("evt_1"))
            await all_in(inbox, State.DONE, 1)
            await asyncio.to_thread(server.stop, immediate=True)
            for _ in range(3):
                with pytest.raises(InboxUnavailable) as refused:
                    await inbox.receive(an_event("evt_2"))
                assert refused.value.status == 503
            await asyncio.to_thread(server.start)
            assert not (await inbox.receive(an_event("evt_2"))).is_duplicate
            await all_in(inbox, State.DONE, 2)
        assert handled == ["evt_1", "evt_2"]

    try:
        asyncio.run(story())
    finally:
        server.close()


def test_a_database_that_was_never_there_refuses(tmp_path: Path) -> None:
    async def story() -> None:
        for url in (f"sqlite:///{tmp_path}/missing/shop.db", "postgresql://x@127.0.0.1:9/none"):
            inbox = Inbox(url, settings=quick())
            with pytest.raises(InboxUnavailable, match="503"):
                await inbox.receive(an_event("evt_1"))
            await inbox.close()

    asyncio.run(story())


def test_a_locked_file_refuses_and_then_takes(tmp_path: Path) -> None:
    async def story() -> None:
        inbox = Inbox(f"sqlite:///{tmp_path}/shop.db", settings=quick(receive_timeout_s=0.2))
        await inbox.open()
        with closing(sqlite3.connect(tmp_path / "shop.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(InboxUnavailable):
                await inbox.receive(an_event("evt_1"))
            other.execute("ROLLBACK")
        patient = Inbox(f"sqlite:///{tmp_path}/shop.db", settings=quick())
        await patient.receive(an_event("evt_1"))
        await patient.close()
        await inbox.close()

    asyncio.run(story())


def test_a_file_that_was_removed_keeps_nothing(tmp_path: Path) -> None:
    async def story() -> None:
        path = tmp_path / "shop.db"
        inbox = Inbox(f"sqlite:///{path}", settings=quick())
        await inbox.receive(an_event("evt_1"))
        path.rename(tmp_path / "elsewhere.db")
        for _ in range(2):
            with pytest.raises(InboxUnavailable):
                await inbox.receive(an_event("evt_2"))
        assert not path.exists()
        # It is found again when it is put back.
        shutil.copy(tmp_path / "elsewhere.db", path)
        await inbox.receive(an_event("evt_3"))
        await inbox.close()

    asyncio.run(story())


def test_a_full_disk_refuses(tmp_path: Path) -> None:
    async def story() -> None:
        inbox = Inbox(f"sqlite:///{tmp_path}/shop.db", settings=quick())

        @inbox.on("stripe")
        async def limit(event: InboxEvent, transaction: Transaction) -> None:
            connection = await transaction.connection()
            pages = connection.execute("PRAGMA page_count").fetchone()[0]
            connection.execute(f"PRAGMA max_page_count = {pages}")

        async with inbox.running():
            await inbox.receive(an_event("evt_1"))
            await all_in(inbox, State.DONE, 1)
            with pytest.raises(InboxUnavailable, match="full"):
                await inbox.receive(an_event("evt_2", padding="x" * 100_000))

    asyncio.run(story())


def test_a_handler_may_not_keep_sqlite_to_itself(tmp_path: Path) -> None:
    async def story() -> None:
        url = f"sqlite:///{tmp_path}/shop.db"
        table = Table(url)
        await table.create()
        inbox = Inbox(url, settings=quick(sqlite_transaction_s=0.1))
        ended: list[str] = []

        @inbox.on("stripe", "order.paid")
        async def hog(event: InboxEvent, transaction: Transaction) -> None:
            await transaction.execute(table.insert, f"attempt {event.attempt}")
            if event.attempt == 1:
                # While it sits on the transaction, this waits for the end of it and no longer.
                await inbox.receive(an_event("evt_2", "order.seen"))
                try:
                    await transaction.execute(table.insert, "too late")
                except TransactionEnded as error:
                    ended.append(str(error))
                    raise

        async with inbox.running():
            await inbox.receive(an_event("evt_1"))
            await all_in(inbox, State.DONE, 1)
        assert await table.ids() == ["attempt 2"]
        [why] = ended
        assert "kept others from writing for 0.1 s" in why

    asyncio.run(story())


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_a_handler_that_commits_by_itself_is_found_out(kind: str, tmp_path: Path) -> None:
    async def story(url: str) -> None:
        inbox, table = Inbox(url, settings=quick(retry_schedule_s=())), Table(url)
        await table.create()

        @inbox.on("stripe")
        async def handle(event: InboxEvent, transaction: Transaction) -> None:
            await transaction.execute(table.insert, event.id)
            await (await transaction.connection()).execute("ROLLBACK")
            if event.type == "order.more":
                await transaction.execute(table.insert, event.id)

        if kind == "sqlite":

            @inbox.on("sqlite")
            async def handle_sqlite(event: InboxEvent, transaction: Transaction) -> None:
                await transaction.execute(table.insert, event.id)
                await transaction.execute("ROLLBACK")

        async with inbox.running():
            provider = "sqlite" if kind == "sqlite" else "stripe"
            await inbox.receive(an_event("evt_1", provider=provider))
            [dead] = await all_in(inbox, State.DEAD, 1)
        assert "TransactionEnded" in (dead.error or "")
        assert await table.ids() == []

    with inbox_database(kind, tmp_path) as url:
        asyncio.run(story(url))


def test_memory_is_bounded(tmp_path: Path) -> None:
    async def story() -> None:
        inbox = Inbox(
            f"sqlite:///{tmp_path}/shop.db",
            settings=quick(body_bytes_max=1_000, waiting_bytes_max=5_000),
        )
        await inbox.open()
        with pytest.raises(PayloadTooLarge):
            await inbox.receive(an_event("evt_0", padding="x" * 1_000))
        many = [inbox.receive(an_event(f"evt_{n}", padding="x" * 900)) for n in range(20)]
        results = await asyncio.gather(*many, return_exceptions=True)
        refused = [result for result in results if isinstance(result, InboxUnavailable)]
        assert len(refused) == 15
        assert len(await inbox.find(State.WAITING)) == 5
        await inbox.close()

    asyncio.run(story())


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_the_tables_can_be_made_elsewhere_and_again(kind: str, tmp_path: Path) -> None:
    async def story(url: str) -> None:
        strict = Inbox(url, settings=quick(create_tables=False))
        with pytest.raises(SchemaMismatch, match=r"inbox\.ddl"):
            await strict.open()
        assert strict.ddl() == ddl("sqlite" if kind == "sqlite" else "postgresql")
        table = Table(url)
        for _ in range(2):
            await table.script(strict.ddl())
        await strict.receive(an_event("evt_1"))
        await table.query("UPDATE ringback_inbox_schema SET value = 2 WHERE name = 'version'")
        newer = Inbox(url, settings=quick())
        with pytest.raises(SchemaMismatch, match="version 2"):
            await newer.open()
        with pytest.raises(InboxUnavailable, match="version 2"):
            await newer.receive(an_event("evt_2"))
        await newer.close()
        await strict.close()

    with inbox_database(kind, tmp_path) as url:
        asyncio.run(story(url))


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_many_may_open_a_new_database_at_once(kind: str, tmp_path: Path) -> None:
    async def story(url: str) -> None:
        inboxes = [Inbox(url, settings=quick()) for _ in range(6)]
        await asyncio.gather(*(inbox.open() for inbox in inboxes))
        for number, inbox in enumerate(inboxes):
            await inbox.receive(an_event(f"evt_{number}"))
            await inbox.close()

    with inbox_database(kind, tmp_path) as url:
        asyncio.run(story(url))


class LaterClock(Clock):
    """The real one, some days ahead."""

    days = 0.0

    def now_ms(self) -> int:
        return super().now_ms() + round(self.days * 86_400_000)


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_what_is_old_is_forgotten_but_never_what_waits(kind: str, tmp_path: Path) -> None:
    async def story(url: str) -> None:
        clock = LaterClock()
        inbox = Inbox(url, settings=quick(retry_schedule_s=(1,)), clock=clock)

        @inbox.on("stripe", "order.paid")
        async def handle(event: InboxEvent) -> None:
            if event.id == "evt_bad":
                raise Unprocessable("no")
            if event.id == "evt_waits":
                raise TryLater("not this year", after_s=365 * 86_400)

        async with inbox.running():
            await inbox.receive(an_event("evt_good"))
            await inbox.receive(an_event("evt_bad"))
            await inbox.receive(a_batch("req_1", an_event("evt_part")))
            await inbox.receive(an_event("evt_other", "order.seen"))
            await inbox.receive(an_event("evt_waits"))
            await all_in(inbox, State.DONE, 2)
            await all_in(inbox, State.DEAD, 1)
            await all_in(inbox, State.IGNORED, 1)
        clock.days = 31
        async with inbox.running():
            await all_in(inbox, State.DONE, 0)
            await all_in(inbox, State.IGNORED, 0)
            assert len(await inbox.find(State.DEAD)) == 1
            # It is forgotten, so it is new: the window is documented.
            assert not (await inbox.receive(an_event("evt_good"))).is_duplicate
            await all_in(inbox, State.DONE, 1)
        clock.days = 91
        async with inbox.running():
            await all_in(inbox, State.DEAD, 0)
            await all_in(inbox, State.REQUEST, 0)
            [waiting] = await inbox.find(State.WAITING)
        assert waiting.id == "evt_waits"
        assert (await inbox.bytes_of(waiting)) == an_event("evt_waits").body
        await inbox.close()

    with inbox_database(kind, tmp_path) as url:
        asyncio.run(story(url))


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_what_was_done_late_is_kept_from_then_on(kind: str, tmp_path: Path) -> None:
    """Else what is replayed would be forgotten at once, and be new when it comes again."""
    late = {"evt_replayed", "evt_later"}

    async def names_of(inbox: Inbox) -> set[str]:
        return {record.id for record in await inbox.find(State.DONE)}

    async def story(url: str) -> None:
        clock = LaterClock()
        inbox = Inbox(url, settings=quick(), clock=clock)

        @inbox.on("stripe")
        async def handle(event: InboxEvent) -> None:
            if event.id == "evt_replayed" and clock.days == 0:
                raise Unprocessable("not yet")
            if event.id == "evt_later" and clock.days == 0:
                raise TryLater("the bank is closed", after_s=40 * 86_400)

        async with inbox.running():
            await inbox.receive(an_event("evt_replayed"))
            await inbox.receive(an_event("evt_later"))
            await inbox.receive(an_event("evt_usual"))
            dead = await all_in(inbox, State.DEAD, 1)
            await all_in(inbox, State.DONE, 1)
        clock.days = 29
        async with inbox.running():
            assert (await inbox.receive(an_event("evt_usual"))).is_duplicate
            await inbox.replay(*dead)
            await all_in(inbox, State.DONE, 2)
        clock.days = 41
        async with inbox.running():
            # When the usual one is gone, everything old is; the one that waited is done meanwhile.
            await eventually(lambda: names_of(inbox), lambda names: names == late)
        clock.days = 58
        async with inbox.running():
            for name in late:
                assert (await inbox.receive(an_event(name))).is_duplicate
        clock.days = 72
        async with inbox.running():
            await all_in(inbox, State.DONE, 0)
        await inbox.close()

    with inbox_database(kind, tmp_path) as url:
        asyncio.run(story(url))


def test_what_is_forgotten_is_found_by_its_index(tmp_path: Path) -> None:
    path = tmp_path / "shop.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(ddl("sqlite"))
        for state in (State.DONE, State.DEAD, State.REQUEST):
            explained = f"EXPLAIN QUERY PLAN {query('sqlite', 'delete_old', state)}"
            steps = [row[3] for row in connection.execute(explained, (1, 500))]
            assert any("ringback_inbox_old (state=? AND ended_at_ms<?)" in step for step in steps)
            assert not any("SCAN" in step or "TEMP B-TREE" in step for step in steps)


def test_what_an_app_returns_is_checked_before_others_suffer(tmp_path: Path) -> None:
    async def story() -> None:
        url = f"sqlite:///{tmp_path}/shop.db"
        for text in ("", "a\0b", "\ud800", "x" * 513, 7):
            inbox = Inbox(url, identify=lambda event, text=text: text)  # type: ignore[misc]
            with pytest.raises(ConfigError, match="identify"):
                await inbox.receive(an_event("evt_1"))
            await inbox.close()

    asyncio.run(story())
