"""No query of the API or the path reads a large table from end to end, whatever was analysed."""

import asyncio
import re
import sqlite3
from importlib.resources import files

import pytest

from ringback.config import Settings
from ringback.store.port import NewMessage, Waiting
from ringback.store.sqlite.store import open_memory, open_store
from ringback.testing.stores import StillClock, World, delivery

QUERIES = {
    file.name.removesuffix(".sql"): file.read_text()
    for file in (files("ringback.store.sqlite") / "queries").iterdir()
}
LARGE = ("message", "attempt", "waiting", "lane", "in_flight", "answer", "endpoint", "application")
# By row number or id from the oldest on, with a LIMIT.
OLDEST_FIRST = {"delete_messages", "delete_attempts", "list_sealed_endpoints"}
# Aliases of the large tables in the queries.
ALIASES = {"m", "a", "w", "n", "e", "latest", "success"}


@pytest.fixture(scope="module", params=["fresh", "analysed"])
def filled(request: pytest.FixtureRequest) -> sqlite3.Connection:
    clock = StillClock()
    connection = open_memory(Settings())
    with asyncio.Runner() as runner:
        store = runner.run(open_store(":memory:", Settings(), clock, connection=connection))
        world = World(runner, store, clock)
        for _ in range(3):
            fill(world)
    if request.param == "analysed":
        connection.execute("ANALYZE")
    return connection


def fill(world: World) -> None:
    app = world.app()
    endpoints = [world.endpoint(app) for _ in range(3)]
    version = world.version(app)
    messages = [world.message(app) for _ in range(1_000)]
    now_ms = world.clock.at_ms
    world.accept(
        *(
            NewMessage(message, version, (), (Waiting(delivery(message, one), now_ms),), None)
            for message in messages
            for one in endpoints[:1]
        )
    )
    for place, message in enumerate(messages):
        make = world.attempt if place % 10 else world.failure
        world.record(*(make(message, endpoint) for endpoint in endpoints))


@pytest.mark.parametrize("name", sorted(set(QUERIES) - {"create_migration_table"}))
@pytest.mark.parametrize("direction", ["ASC", "DESC"])
def test_large_tables_are_searched_by_index(
    filled: sqlite3.Connection, name: str, direction: str
) -> None:
    plan = explained(filled, QUERIES[name].replace("/* direction */", direction))
    scanned = {match[1] for step in plan if (match := re.match(r"SCAN (\w+)(?! VIRTUAL)", step))}
    # A scan of a partial index holds just the rows that are asked for.
    partial = {"list_deleted_lanes"}
    if name not in OLDEST_FIRST | partial:
        assert not scanned & {*LARGE, *ALIASES}, plan
    assert not [step for step in plan if "AUTOMATIC" in step]


@pytest.mark.parametrize(
    "name", ["list_messages", "list_attempts_of_endpoint", "list_failed", "list_tried_many"]
)
@pytest.mark.parametrize("direction", ["ASC", "DESC"])
def test_long_lists_are_read_in_order_and_not_sorted(
    filled: sqlite3.Connection, name: str, direction: str
) -> None:
    plan = explained(filled, QUERIES[name].replace("/* direction */", direction))
    assert not [step for step in plan if "TEMP B-TREE" in step]


def test_a_claim_goes_from_row_to_row_by_index(filled: sqlite3.Connection) -> None:
    plan = explained(filled, QUERIES["pick_waiting"])
    assert any("due_at_ms=? AND rowid>?" in step for step in plan)


def explained(connection: sqlite3.Connection, text: str) -> list[str]:
    body = re.sub(r"--.*", "", text)
    names = set(re.findall(r":(\w+)", body))
    numbered = set(re.findall(r"\?\d", body))
    values = dict.fromkeys(names) if names else [None] * (len(numbered) or body.count("?"))
    return [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {text}", values)]
