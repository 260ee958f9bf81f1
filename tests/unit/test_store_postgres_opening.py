"""Opening a PostgreSQL database: what is made, what is refused, and how that is said."""

import asyncio
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import asyncpg  # type: ignore[import-untyped]
import pytest

from ringback.clock import Clock
from ringback.config import Settings
from ringback.errors import ConfigError, RingbackError, SchemaMismatch, StoreUnavailable
from ringback.store.migrate import known
from ringback.store.nodes import NodeAbout
from ringback.store.postgres import migrate
from ringback.store.postgres.store import open_store
from ringback.testing.postgres import EXTERNAL, PostgresServer, shared_server
from ringback.testing.stores import StillClock, World

PACKAGE = "ringback.store.postgres"
PASSWORD = "hidden"


@pytest.fixture
def server() -> PostgresServer:
    return shared_server()


@pytest.fixture
def empty(server: PostgresServer) -> Iterator[str]:
    url = server.create_empty_database()
    yield url
    server.drop_database(url)


@pytest.fixture
def migrated(server: PostgresServer) -> Iterator[str]:
    url = server.create_database()
    yield url
    server.drop_database(url)


def test_several_nodes_may_start_on_an_empty_database_at_once(empty: str) -> None:
    async def run() -> list[int]:
        stores = await asyncio.gather(
            *(open_store(Settings(database=empty), StillClock()) for _ in range(4))
        )
        leases = [await store.nodes.join(NodeAbout("h"), lease_ms=1) for store in stores]
        for store in stores:
            await store.close()
            await store.close()
        return [lease.epoch for lease in leases]

    assert sorted(asyncio.run(run())) == [1, 2, 3, 4]


def test_status_and_up(empty: str) -> None:
    settings = Settings(database=empty)
    before = asyncio.run(migrate.status(settings))
    assert [state.applied_at_ms for state in before] == [None] * len(before)
    after = asyncio.run(migrate.up(settings, StillClock()))
    assert {state.applied_at_ms for state in after} == {StillClock().now_ms()}
    assert asyncio.run(migrate.up(settings, Clock())) == asyncio.run(migrate.status(settings))


def test_an_administrator_may_apply_what_is_printed(empty: str) -> None:
    for migration in known(PACKAGE):
        execute(empty, migrate.script(migration, now_ms=7))
    states = asyncio.run(migrate.status(Settings(database=empty)))
    assert {state.applied_at_ms for state in states} == {7}
    opened(empty)


def test_rows_find_a_partition_whatever_the_time(migrated: str) -> None:
    clock = StillClock()
    with asyncio.Runner() as runner:
        store = runner.run(open_store(Settings(database=migrated), clock))
        world = World(runner, store, clock)
        app = world.app()
        messages = []
        for at_ms in (clock.at_ms, clock.at_ms + 10**9, 1_600_000_000_000, clock.at_ms):
            clock.at_ms = at_ms
            messages.append(world.sent(app))
        pairs = [(app.id, message.id) for message in messages]
        found = runner.run(store.path.messages(pairs))
        assert found == {message.id: message for message in messages}
        runner.run(store.close())


def test_a_partition_takes_over_what_is_there_already(migrated: str) -> None:
    clock = StillClock()
    with asyncio.Runner() as runner:
        store = runner.run(open_store(Settings(database=migrated, partition_h=1), clock))
        world = World(runner, store, clock)
        app = world.app()
        clock.at_ms += 48 * 3_600_000
        message = world.sent(app)
        assert execute(migrated, "SELECT count(*) FROM message_other") == 1
        again = runner.run(open_store(Settings(database=migrated, partition_h=24), clock))
        assert execute(migrated, "SELECT count(*) FROM message_other") == 0
        found = runner.run(again.path.messages([(app.id, message.id)]))
        assert found == {message.id: message}
        for one in (store, again):
            runner.run(one.close())


def test_a_table_that_is_being_read_holds_up_no_start(migrated: str) -> None:
    """As by pg_dump, which may take hours. What comes meanwhile goes to the default partition."""
    patient = Settings(
        database=migrated, postgres_lock_timeout_s=600.0, postgres_statement_timeout_s=600.0
    )

    async def run() -> None:
        reader = await asyncpg.connect(migrated)
        async with reader.transaction():
            await reader.execute("SELECT FROM message")
            async with asyncio.timeout(30.0):
                store = await open_store(patient, Clock())
            assert await reader.fetchval("SELECT count(*) FROM partition") == 0
        assert await store.tending.make_room(now_ms=Clock().now_ms()) > 0
        await store.close()
        await reader.close()

    asyncio.run(run())


def test_a_database_of_a_newer_version_is_refused(migrated: str) -> None:
    execute(migrated, "INSERT INTO migration VALUES (9999, 'later', 'x', 0)")
    refused(migrated, SchemaMismatch, "9999_later", "upgrade Ringback")


def test_a_schema_that_may_not_be_changed_is_refused(server: PostgresServer, empty: str) -> None:
    url = as_role(empty, server.create_role("reader", PASSWORD))
    execute(empty, "REVOKE CREATE ON SCHEMA public FROM PUBLIC")  # as it is since PostgreSQL 15
    refused(url, SchemaMismatch, "may not change it", "ringback migrate --sql")


def test_missing_rights_are_said(server: PostgresServer, migrated: str) -> None:
    reader = server.create_role("reader", PASSWORD)
    execute(migrated, f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {reader}")

    async def run() -> None:
        store = await open_store(Settings(database=as_role(migrated, reader)), StillClock())
        try:
            await store.nodes.join(NodeAbout("h"), lease_ms=1)
        finally:
            await store.close()

    with pytest.raises(StoreUnavailable, match="GRANT"):
        asyncio.run(run())


def test_a_database_that_takes_no_writes_is_said(migrated: str) -> None:
    name = migrated.rpartition("/")[2]
    execute(migrated, f"ALTER DATABASE {name} SET default_transaction_read_only = on")

    async def run() -> None:
        store = await open_store(Settings(database=migrated), Clock())
        await store.close()

    with pytest.raises(StoreUnavailable, match="primary"):
        asyncio.run(run())


def test_an_encoding_that_cannot_hold_every_text_is_refused(server: PostgresServer) -> None:
    url = server.create_empty_database("ENCODING 'SQL_ASCII' TEMPLATE template0")
    refused(url, ConfigError, "SQL_ASCII", "ENCODING 'UTF8'")
    server.drop_database(url)


@pytest.mark.parametrize(
    ("url", "kind", "words"),
    [
        ("postgresql://ringback:hidden@127.0.0.1:1/x", StoreUnavailable, ["is the server running"]),
        ("postgresql://ringback:hid/den@127.0.0.1/x", ConfigError, ["%XX"]),
        ("postgresql://ringback:hidden@127.0.0.1:port/x", ConfigError, ["cannot be understood"]),
    ],
)
def test_what_cannot_be_reached_is_one_line_that_says_why(
    url: str, kind: type[RingbackError], words: list[str]
) -> None:
    refused(url, kind, *words)


def test_a_database_that_is_not_there_is_said(server: PostgresServer) -> None:
    refused(server.url("nowhere"), ConfigError, "no such database")


def test_a_user_that_the_server_does_not_know_is_said(server: PostgresServer) -> None:
    if urlsplit(server.url("postgres")).password:
        pytest.skip("this server asks for a password first, and says nothing of users")
    url = as_role(server.url("postgres"), "nobody-here")
    refused(url, ConfigError, "refuses this user")


@pytest.mark.skipif(bool(EXTERNAL), reason="restarts the server: needs one of its own")
def test_a_restart_of_the_server_needs_no_help(migrated: str) -> None:
    clock = StillClock()
    server = shared_server()
    with asyncio.Runner() as runner:
        store = runner.run(open_store(Settings(database=migrated), clock))
        world = World(runner, store, clock)
        app = world.app()
        first = world.sent(app)
        server.restart()
        # A broken connection may fail one call of each kind; it says so, and the next one works.
        for _ in range(2):
            try:
                second = world.sent(app)
                break
            except StoreUnavailable:
                continue
        found = runner.run(store.path.messages([(app.id, first.id), (app.id, second.id)]))
        assert found == {first.id: first, second.id: second}
        runner.run(store.close())


def test_behind_pgbouncer_everything_is_one_transaction(migrated: str) -> None:
    """Prepared statements and session settings are gone; the path works as it does without."""
    clock = StillClock()
    settings = Settings(database=migrated, postgres_pgbouncer=True)
    with asyncio.Runner() as runner:
        store = runner.run(open_store(settings, clock))
        world = World(runner, store, clock)
        app = world.app()
        endpoint = world.endpoint(app)
        message = world.queued(app, endpoint)
        assert [one.msg_id for one in world.claim_all(endpoint)] == [message.id]
        world.record(world.attempt(message, endpoint), finished_batches=[world.batch_id])
        assert world.adopt() == 0
        runner.run(store.close())


def opened(url: str) -> None:
    async def run() -> None:
        store = await open_store(Settings(database=url), StillClock())
        await store.close()

    asyncio.run(run())


def refused(url: str, kind: type[RingbackError], *words: str) -> None:
    with pytest.raises(kind) as caught:
        opened(url)
    text = str(caught.value)
    assert [word for word in words if word not in text] == []
    assert "\n" not in text
    assert "hid" not in text


def as_role(url: str, name: str) -> str:
    return f"postgresql://{name}:{PASSWORD}@{url.rpartition('@')[2]}"


def execute(url: str, text: str) -> Any:
    """A script, or the first value of a query."""

    async def run() -> Any:
        connection = await asyncpg.connect(url)
        try:
            if text.startswith("SELECT"):
                return await connection.fetchval(text)
            return await connection.execute(text)
        finally:
            await connection.close()

    return asyncio.run(run())
