"""The inbox on the app's own connections: sqlite3, psycopg, SQLAlchemy, Django, asyncpg."""

import asyncio
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import asyncpg  # type: ignore[import-untyped]
import psycopg
import psycopg2  # type: ignore[import-untyped]
import pytest
import sqlalchemy
from sqlalchemy.pool import NullPool

from ringback.errors import ConfigError, InboxUnavailable, TransactionEnded
from ringback.receive.inbox import Inbox, InboxEvent, State
from ringback.receive.inbox.connection import raw
from ringback.testing.inbox import Table, a_batch, all_in, an_event, inbox_database, quick
from ringback.testing.postgres import version

Connect = Callable[[], Any]
DJANGO_NEEDS = 14  # as the first number of PostgreSQL's version
KINDS = ["sqlite3", "psycopg", "psycopg2", "sqlalchemy on sqlite", "sqlalchemy on postgres"]


class World:
    """A database and the way of an app to it."""

    def __init__(self, kind: str, url: str) -> None:
        self.kind = kind
        self.url = url
        self.table = Table(url)
        self.engine: sqlalchemy.Engine | None = None
        if kind.startswith("sqlalchemy"):
            name = url.replace("postgresql://", "postgresql+psycopg://")
            self.engine = sqlalchemy.create_engine(name, poolclass=NullPool)
        self.connect = self.engine.begin if self.engine else _connect(kind, url)

    def write(self, connection: Any, text: str) -> None:
        """As the app would with this library."""
        inner = raw(connection)
        mark = "?" if isinstance(inner, sqlite3.Connection) else "%s"
        inner.cursor().execute(f"INSERT INTO effects (id) VALUES ({mark})", (text,))


def _connect(kind: str, url: str) -> Connect:
    if kind == "psycopg":
        return lambda: psycopg.connect(url)
    if kind == "psycopg2":
        return lambda: psycopg2_connection(url)

    @contextmanager
    def connect() -> Iterator[sqlite3.Connection]:
        path = url.removeprefix("sqlite:///")
        with closing(sqlite3.connect(path, timeout=30)) as connection, connection:
            yield connection

    return connect


@contextmanager
def psycopg2_connection(url: str) -> Iterator[Any]:
    with closing(psycopg2.connect(url)) as connection, connection:
        yield connection


@pytest.fixture(params=KINDS)
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    place = "sqlite" if "sqlite" in request.param else "postgres"
    with inbox_database(place, tmp_path) as url:
        yield World(request.param, url)


def test_effect_and_note_are_one_transaction(world: World) -> None:
    async def story() -> None:
        inbox = Inbox(world.connect, settings=quick(concurrency=3))
        await world.table.create()

        @inbox.on("stripe", "order.paid")
        def ship(event: InboxEvent, connection: Any) -> None:
            world.write(connection, f"{event.id} {event.attempt}")
            if event.id == "evt_1" and event.attempt == 1:
                raise RuntimeError("not yet")

        @inbox.on("stripe", "order.seen")
        async def look(event: InboxEvent) -> None:
            """Needs no transaction."""

        async with inbox.running():
            receipts = await asyncio.gather(
                *(inbox.receive(an_event(f"evt_{n % 5}")) for n in range(20))
            )
            assert sum(receipt.stored for receipt in receipts) == 5
            await inbox.receive(a_batch("req_1", an_event("evt_9", "order.seen")))
            await all_in(inbox, State.DONE, 6)
            assert (await inbox.health()).waiting == 0
        assert sorted(await world.table.ids()) == [
            "evt_0 1",
            "evt_1 2",
            *(f"evt_{n} 1" for n in (2, 3, 4)),
        ]

    asyncio.run(story())


def test_keys_keep_their_order(world: World) -> None:
    async def story() -> None:
        inbox = Inbox(world.connect, settings=quick(), key_of=lambda event: "one")
        handled: list[str] = []

        @inbox.on("stripe")
        def handle(event: InboxEvent) -> None:
            if event.attempt == 1 and event.id == "evt_0":
                raise RuntimeError("not yet")
            handled.append(event.id)

        async with inbox.running():
            for number in range(6):
                await inbox.receive(an_event(f"evt_{number}"))
            await all_in(inbox, State.DONE, 6)
        assert handled == [f"evt_{number}" for number in range(6)]

    asyncio.run(story())


def test_whoever_lost_the_lease_changes_nothing(world: World) -> None:
    async def story() -> None:
        inbox = Inbox(world.connect, settings=quick())
        await world.table.create()
        loop = asyncio.get_running_loop()

        @inbox.on("stripe")
        def handle(event: InboxEvent, connection: Any) -> None:
            if event.attempt == 1:
                steal = "UPDATE ringback_inbox SET lease = 'stolen', due_at_ms = 0"
                asyncio.run_coroutine_threadsafe(world.table.query(steal), loop).result()
            world.write(connection, f"attempt {event.attempt}")

        async with inbox.running():
            await inbox.receive(an_event("evt_1"))
            await all_in(inbox, State.DONE, 1)
        assert await world.table.ids() == ["attempt 2"]

    asyncio.run(story())


def test_views_without_async_receive_in_their_own_transaction(world: World) -> None:
    async def look() -> None:
        inbox = Inbox(world.url, settings=quick())
        kept = sorted(record.id for record in await inbox.find(State.WAITING))
        assert kept == ["evt_1", "evt_3", "evt_4"]
        await inbox.close()

    asyncio.run(_opened(Inbox(world.url)))
    inbox = Inbox(world.connect, settings=quick(), key_of=lambda event: event.payload.get("key"))
    with plain(world) as connection:
        with inbox.transaction(connection) as kept:
            assert kept.receive(an_event("evt_1", key="k")).stored == 1
        with inbox.transaction(connection) as kept:
            assert kept.receive(an_event("evt_1", key="k")).is_duplicate
        with suppress(ZeroDivisionError), inbox.transaction(connection) as kept:
            kept.receive(an_event("evt_2"))
            raise ZeroDivisionError
        with inbox.transaction(connection) as kept:
            batch = a_batch("req_1", an_event("evt_3"), an_event("evt_4"))
            assert kept.receive(batch).stored == 2
    asyncio.run(look())


def test_a_view_is_told_when_nothing_can_be_kept(world: World) -> None:
    inbox = Inbox(world.connect, settings=quick())
    with (
        plain(world) as connection,
        pytest.raises(InboxUnavailable),
        inbox.transaction(connection) as kept,
    ):
        kept.receive(an_event("evt_1"))


def test_a_handler_can_finish_in_a_transaction_of_its_own(world: World) -> None:
    async def story() -> None:
        inbox = Inbox(world.url, settings=quick())
        await world.table.create()
        refused: list[str] = []

        @inbox.on("stripe")
        def ship(event: InboxEvent) -> None:
            with plain(world) as connection, inbox.transaction(connection) as kept:
                world.write(connection, event.id)
                kept.finish(event)
            try:
                with plain(world) as connection, inbox.transaction(connection) as kept:
                    world.write(connection, "again")
                    kept.finish(event)
            except TransactionEnded as error:
                refused.append(str(error))

        async with inbox.running():
            await inbox.receive(an_event("evt_1"))
            [record] = await all_in(inbox, State.DONE, 1)
        assert record.attempts == 1
        assert await world.table.ids() == ["evt_1"]
        assert len(refused) == 1

    asyncio.run(story())


@contextmanager
def plain(world: World) -> Iterator[Any]:
    """A connection as a view has it: nobody has begun or will commit."""
    if world.engine is not None:
        with world.engine.connect() as connection:
            yield connection
        return
    if world.url.startswith("sqlite"):
        path = world.url.removeprefix("sqlite:///")
        with closing(sqlite3.connect(path, timeout=30)) as connection:
            yield connection
        return
    library = psycopg2 if world.kind == "psycopg2" else psycopg
    with closing(library.connect(world.url)) as connection:
        yield connection


def test_a_session_of_sqlalchemy_is_a_connection_too(tmp_path: Path) -> None:
    from sqlalchemy.orm import Session

    url = f"sqlite:///{tmp_path}/shop.db"
    inbox = Inbox(url, settings=quick())
    asyncio.run(_opened(inbox))
    engine = sqlalchemy.create_engine(url, poolclass=NullPool)
    with Session(engine) as session:
        with inbox.transaction(session) as kept:
            assert kept.receive(an_event("evt_1")).stored == 1
        with inbox.transaction(session) as kept:
            assert kept.receive(an_event("evt_1")).is_duplicate


def test_a_commit_that_does_not_commit_is_no_receipt(tmp_path: Path) -> None:
    class Lazy(sqlite3.Connection):
        def commit(self) -> None:
            """Somebody means to do it later."""

    inbox = Inbox(f"sqlite:///{tmp_path}/shop.db", settings=quick())
    asyncio.run(_opened(inbox))
    with (
        closing(sqlite3.connect(tmp_path / "shop.db", factory=Lazy)) as connection,
        pytest.raises(InboxUnavailable, match="did not commit"),
        inbox.transaction(connection) as kept,
    ):
        kept.receive(an_event("evt_1"))


def test_a_connect_that_does_not_commit_is_found_out(tmp_path: Path) -> None:
    """The mistake is easy to make: `engine.connect` rolls back at its end."""
    engine = sqlalchemy.create_engine(f"sqlite:///{tmp_path}/shop.db", poolclass=NullPool)
    asyncio.run(_opened(Inbox(engine.begin)))
    with pytest.raises(ConfigError, match=r"engine\.begin"):
        asyncio.run(_opened(Inbox(engine.connect)))


def test_a_connect_that_does_not_roll_back_is_found_out(tmp_path: Path) -> None:
    with inbox_database("postgres", tmp_path) as url:
        asyncio.run(_opened(Inbox(lambda: psycopg.connect(url))))
        with pytest.raises(ConfigError, match="autocommit"):
            asyncio.run(_opened(Inbox(lambda: psycopg.connect(url, autocommit=True))))
        with (
            closing(psycopg.connect(url, autocommit=True)) as connection,
            pytest.raises(ConfigError, match="autocommit"),
            Inbox(url).transaction(connection) as kept,
        ):
            kept.receive(an_event("evt_1"))


def test_async_handlers_cannot_have_connections_that_are_used_in_threads() -> None:
    inbox = Inbox(lambda: closing(sqlite3.connect("never opened")))
    with pytest.raises(ConfigError, match="write `def`"):

        @inbox.on("stripe")
        async def ship(event: InboxEvent, connection: Any) -> None:
            """Never called."""


def test_a_pool_of_the_apps_is_used_and_left_open(tmp_path: Path) -> None:
    async def story(url: str) -> None:
        table = Table(url)
        await table.create()
        async with asyncpg.create_pool(url, min_size=1, max_size=6) as pool:
            inbox = Inbox(pool, settings=quick(concurrency=3))

            @inbox.on("stripe")
            async def ship(event: InboxEvent) -> None:
                async with pool.acquire() as connection, connection.transaction():
                    await connection.execute(table.insert, event.id)
                    await inbox.finish(event, connection)
                async with pool.acquire() as connection, connection.transaction():
                    with pytest.raises(TransactionEnded):
                        await inbox.finish(event, connection)

            async with inbox.running():
                await inbox.receive(an_event("evt_1"))
                await all_in(inbox, State.DONE, 1)
            assert await pool.fetchval("SELECT count(*) FROM effects") == 1
        assert await table.ids() == ["evt_1"]

    with inbox_database("postgres", tmp_path) as url:
        asyncio.run(story(url))


async def _opened(inbox: Inbox) -> None:
    try:
        await inbox.open()
    finally:
        await inbox.close()


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_django_migrates_receives_and_handles(kind: str, tmp_path: Path) -> None:
    """In a process of its own, because Django is configured once for a process."""
    if kind == "postgres" and version() < DJANGO_NEEDS:
        pytest.skip(f"the newest Django needs PostgreSQL {DJANGO_NEEDS}")
    with inbox_database(kind, tmp_path) as url:
        command = [sys.executable, "-m", "ringback.testing.inbox_django", url]
        ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
