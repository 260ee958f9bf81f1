"""The loader of waiting retries, held against the schema that the server really has."""

import sqlite3
from contextlib import closing
from importlib import resources
from pathlib import Path

import pytest
from bench.loader import DUE_IN_MS, load_waiting

ENDPOINT = """
    INSERT INTO endpoint (id, app_id, url, description, is_disabled, metadata, headers, secrets,
                          signature_scheme, version, created_at_ms, updated_at_ms)
    VALUES (?, 'app_1', 'http://127.0.0.1:1/ok', '', 0, '{}', '{}', '[]', 'standard', 1, 0, 0)"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    migrations = resources.files("ringback.store.sqlite") / "migrations"
    names = sorted(entry.name for entry in migrations.iterdir() if entry.name.endswith(".sql"))
    with closing(sqlite3.connect(tmp_path / "bench.db")) as database:
        for name in names:
            database.executescript((migrations / name).read_text())
    return tmp_path / "bench.db"


def test_every_row_waits_in_a_lane_with_its_message_and_its_failed_attempt(path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        for endpoint in ("ep_1", "ep_2"):
            database.execute(ENDPOINT, (endpoint,))
        load_waiting(path, 25)
        whole = """
            SELECT waiting.endpoint_id, COUNT(*), MIN(waiting.due_at_ms) = lane.due_at_ms,
                   MIN(waiting.due_at_ms - message.created_at_ms)
            FROM waiting
            JOIN lane USING (endpoint_id, app_id)
            JOIN message ON message.id = waiting.msg_id AND message.app_id = waiting.app_id
            JOIN attempt ON attempt.msg_id = message.id
                AND attempt.endpoint_id = waiting.endpoint_id AND attempt.status = 2
            GROUP BY waiting.endpoint_id"""
        assert database.execute(whole).fetchall() == [
            ("ep_1", 13, 1, DUE_IN_MS),
            ("ep_2", 12, 1, DUE_IN_MS + 1),
        ]


def test_without_an_endpoint_it_says_what_to_do(path: Path) -> None:
    with pytest.raises(RuntimeError, match="make some with the server first"):
        load_waiting(path, 1)
