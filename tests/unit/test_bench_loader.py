"""The loader, held against the schema that the server really has."""

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from importlib import resources
from pathlib import Path
from typing import Any

import asyncpg  # type: ignore[import-untyped]
import pytest
from bench import loader
from bench.database import Database
from bench.loader import DUE_IN_MS, load, multiply
from bench.postgres import Postgres

from ringback.testing import postgres

APPLICATION = """
    INSERT INTO application (id, org_id, name, metadata, version, created_at_ms, updated_at_ms)
    VALUES ('app_1', 'org_1', 'one', '{}', 1, 0, 0)"""
ENDPOINT = """
    INSERT INTO endpoint (id, app_id, url, description, is_disabled, metadata, headers, secrets,
                          signature_scheme, version, created_at_ms, updated_at_ms)
    VALUES ('%s', 'app_1', 'http://127.0.0.1:1/ok', '', false, '{}', '{}', '[]', 'standard', 1, 0,
            0)"""
WAITING = """
    SELECT waiting.endpoint_id, COUNT(*), MIN(waiting.due_at_ms) = lane.due_at_ms,
           MIN(waiting.due_at_ms - message.created_at_ms)
    FROM waiting
    JOIN lane ON lane.endpoint_id = waiting.endpoint_id AND lane.app_id = waiting.app_id
    JOIN message ON message.id = waiting.msg_id AND message.app_id = waiting.app_id
    JOIN attempt ON attempt.msg_id = message.id
        AND attempt.endpoint_id = waiting.endpoint_id AND attempt.status = 2
    GROUP BY waiting.endpoint_id, lane.due_at_ms ORDER BY 1"""
STORED = """
    SELECT COUNT(*), MIN(message.created_at_ms), MAX(message.created_at_ms)
    FROM message JOIN attempt ON attempt.msg_id = message.id AND attempt.status = 0"""
COPIED = """
    SELECT COUNT(DISTINCT application.id), COUNT(DISTINCT endpoint.id)
    FROM application JOIN endpoint ON endpoint.app_id = application.id"""


class Sqlite:
    """A database file as the server makes it."""

    def __init__(self, place: Path) -> None:
        self.database = Database("", place, file=place / "bench.db")
        migrations = resources.files("ringback.store.sqlite") / "migrations"
        names = sorted(entry.name for entry in migrations.iterdir() if entry.name.endswith(".sql"))
        with closing(sqlite3.connect(place / "bench.db")) as database:
            for name in names:
                database.executescript((migrations / name).read_text())

    def ask(self, statement: str) -> list[tuple[Any, ...]]:
        assert self.database.file is not None
        with closing(sqlite3.connect(self.database.file, isolation_level=None)) as database:
            return database.execute(statement).fetchall()


class OnPostgres:
    """A database of the shared test server."""

    def __init__(self, url: str, place: Path) -> None:
        self.database = Database(url, place, postgres=Postgres(url))

    def ask(self, statement: str) -> list[tuple[Any, ...]]:
        async def run() -> list[tuple[Any, ...]]:
            connection = await asyncpg.connect(self.database.url)
            try:
                return [tuple(row) for row in await connection.fetch(statement)]
            finally:
                await connection.close()

        return asyncio.run(run())


@pytest.fixture(params=["sqlite", "postgres"])
def kept(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Sqlite | OnPostgres]:
    if request.param == "sqlite":
        yield Sqlite(tmp_path)
        return
    with postgres.database() as url:
        yield OnPostgres(url, tmp_path)


def _endpoints(kept: Sqlite | OnPostgres) -> None:
    kept.ask(APPLICATION)
    for endpoint in ("ep_1", "ep_2"):
        kept.ask(ENDPOINT % endpoint)


def test_every_row_waits_in_a_lane_with_its_message_and_its_failed_attempt(
    kept: Sqlite | OnPostgres,
) -> None:
    _endpoints(kept)
    asyncio.run(load(kept.database, waiting=25))
    assert kept.ask(WAITING) == [("ep_1", 13, True, DUE_IN_MS), ("ep_2", 12, True, DUE_IN_MS + 1)]


def test_delivered_messages_are_spread_over_the_last_days(
    kept: Sqlite | OnPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loader, "CHUNK_ROWS", 7)  # more than one chunk
    _endpoints(kept)
    asyncio.run(load(kept.database, stored=20, waiting=3))
    [(count, first_ms, last_ms)] = kept.ask(STORED)
    assert count == 20
    assert last_ms - first_ms == pytest.approx(loader.STORED_MS * 19 / 20, abs=1)


def test_an_application_is_copied_with_its_endpoints(kept: Sqlite | OnPostgres) -> None:
    _endpoints(kept)
    ids = asyncio.run(multiply(kept.database, 3))
    assert len(set(ids)) == 3
    assert kept.ask(COPIED) == [(4, 8)]


def test_without_an_endpoint_it_says_what_to_do(kept: Sqlite | OnPostgres) -> None:
    with pytest.raises(RuntimeError, match="make some with the server first"):
        asyncio.run(load(kept.database, waiting=1))
