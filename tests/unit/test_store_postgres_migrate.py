"""Old and new programs on one database: what may run on, and what must be stopped first."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import asyncpg  # type: ignore[import-untyped]
import pytest
from click.testing import CliRunner

from ringback.cli.migrate import command
from ringback.clock import Clock
from ringback.config import Settings
from ringback.errors import SchemaMismatch
from ringback.store.migrate import Applied, Migration, breaking, known, pending, states
from ringback.store.postgres import migrate
from ringback.store.postgres.sql import query
from ringback.store.postgres.store import open_store
from ringback.testing.eventually import eventually
from ringback.testing.postgres import shared_server

PACKAGE = "ringback.store.postgres"
NEWEST = known(PACKAGE)[-1].number


@pytest.fixture
def migrated() -> Iterator[str]:
    server = shared_server()
    url = server.create_database()
    yield url
    server.drop_database(url)


@pytest.fixture
def old() -> Iterator[str]:
    """A database that has the first migration only."""
    server = shared_server()
    url = server.create_empty_database()
    execute(url, migrate.script(known(PACKAGE)[0], now_ms=1))
    yield url
    server.drop_database(url)


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


def opened(url: str) -> None:
    async def run() -> None:
        store = await open_store(Settings(database=url), Clock())
        await store.close()

    asyncio.run(run())


def files(*works_with: str) -> list[Migration]:
    return [
        Migration(number, f"m{number}", f"-- It does a thing.\n{line}\nSELECT 1")
        for number, line in enumerate(works_with, 1)
    ]


def book(migrations: list[Migration]) -> list[Applied]:
    return [Applied(one.number, one.name, one.checksum, 5, one.works_with) for one in migrations]


def test_a_migration_says_how_old_a_program_may_be() -> None:
    made = files("", "-- works with: 0001", "", "-- works with: 0003")
    assert [one.works_with for one in made] == [1, 1, 3, 3]
    assert breaking(made, []) == []
    assert breaking(made[1:], book(made[:1])) == made[2:]
    assert breaking(made[1:2], book(made[:1])) == []


def test_a_program_runs_on_what_later_ones_left_working_for_it() -> None:
    made = files("", "-- works with: 0001", "")
    assert pending(made[:1], book(made[:2])) == []
    [ours, later] = states(made[:1], book(made[:2]))
    assert (ours.is_known, later.is_known) == (True, False)
    for known_to_it in (made[:1], made[:2]):
        with pytest.raises(SchemaMismatch, match="0003_m3, which this version does not know"):
            pending(known_to_it, book(made))


def test_a_database_of_a_later_version_that_lets_this_one_run(migrated: str) -> None:
    entry = f"VALUES (9999, 'later', 'x', 1000, {NEWEST})"
    execute(migrated, f"INSERT INTO migration {entry}")
    opened(migrated)
    said = CliRunner().invoke(command, ["status", "--database", migrated]).output
    assert "9999 later" in said
    assert "by a later version" in said
    execute(migrated, f"UPDATE migration SET works_with = {NEWEST + 1} WHERE number = 9999")
    with pytest.raises(SchemaMismatch, match="upgrade Ringback"):
        opened(migrated)


def test_nodes_that_a_migration_would_break_must_be_stopped_first(old: str) -> None:
    live = "(until_ms, id, host) VALUES (9000000000000, 'node_1', 'there')"
    execute(old, f"INSERT INTO node {live}")
    with pytest.raises(
        SchemaMismatch, match="0002_nodes does not work with the version of nodes that run"
    ):
        opened(old)
    assert execute(old, "SELECT count(*) FROM migration") == 1
    execute(old, "UPDATE node SET until_ms = 1")
    opened(old)
    assert execute(old, "SELECT count(*) FROM migration") == NEWEST


def test_what_is_printed_is_all_or_nothing(old: str) -> None:
    said = CliRunner().invoke(command, ["--sql", "--database", old]).output
    scripts = json.loads(CliRunner().invoke(command, ["--sql", "--json", "--database", old]).output)
    assert [script["number"] for script in scripts] == list(range(2, NEWEST + 1))
    assert all("BEGIN;" in script["sql"] for script in scripts)
    assert said.count("BEGIN;") == said.count("COMMIT;") == NEWEST - 1
    assert "Stop nodes that do not know migration 0002" in said
    execute(old, said)
    assert execute(old, "SELECT count(*) FROM migration") == NEWEST
    printed = CliRunner().invoke(command, ["status", "--json", "--database", old]).output
    assert all(state["applied_at_ms"] for state in json.loads(printed))
    assert CliRunner().invoke(command, ["--sql", "--database", old]).output == ""


def test_tables_of_which_rows_go_all_the_time_are_vacuumed_before_they_are_large(old: str) -> None:
    """The server's own 20 % are millions of dead rows in a table with a row for every message."""
    own = "SELECT string_agg(relname, ' ' ORDER BY relname) FROM pg_class"
    own += " WHERE reloptions::text LIKE '%autovacuum_vacuum_scale_factor%'"
    assert execute(old, own) == "answer event_id in_flight lane node waiting"


def test_who_comes_second_waits_for_whoever_migrates(old: str) -> None:
    async def run() -> None:
        first = await asyncpg.connect(old)
        second = Settings(database=old, postgres_lock_timeout_s=0.05)
        async with first.transaction():
            await first.execute(query("lock_migrations"))
            waiting = asyncio.create_task(migrate.up(second, Clock()))
            waits = "SELECT count(*) FROM pg_locks WHERE NOT granted"
            await eventually(lambda: first.fetchval(waits), bool)
            # Longer than it would wait for any other lock.
            await asyncio.sleep(0.1)  # sleeps: beyond the limit of the setting
            assert not waiting.done()
        await waiting
        await first.close()

    asyncio.run(run())
