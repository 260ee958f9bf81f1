"""Fills a SQLite database with waiting retries, far quicker than by failing that many deliveries.

It writes what the server itself would have left after one failed attempt of each message: message,
attempt, waiting row, and each endpoint's lane. The file must have been made by the server, with at
least one endpoint, and the server must not be running.
"""

import random
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from itertools import cycle, islice
from pathlib import Path
from typing import Final

from bench import mark
from ringback.clock import Ids

CHUNK_ROWS: Final = 10_000
DUE_IN_MS: Final = 24 * 3_600_000
SEED: Final = 20_260
PAYLOAD_BYTES: Final = 300
FAIL: Final = 2
INTERNAL_ERROR: Final = 500

MESSAGE: Final = """
    INSERT INTO message (app_id, id, created_at_ms, event_type, payload)
    VALUES (:app, :message, :now_ms, 'payment_intent.succeeded', :payload)"""
ATTEMPT: Final = """
    INSERT INTO attempt (id, msg_id, endpoint_id, batch_id, number, trigger, status, status_code,
                         started_at_ms, next_at_ms, timings, url, error, response_headers, response)
    VALUES (:attempt, :message, :endpoint, 0, 1, 0, :status, :status_code,
            :now_ms, :due_at_ms, '{}', :url, '', '[]', x'')"""
WAITING: Final = """
    INSERT INTO waiting (endpoint_id, due_at_ms, app_id, msg_id, attempts_made, trigger)
    VALUES (:endpoint, :due_at_ms, :app, :message, 1, 0)"""
LANES: Final = """
    INSERT INTO lane (endpoint_id, app_id, due_at_ms)
    SELECT endpoint_id, app_id, MIN(due_at_ms) FROM waiting GROUP BY endpoint_id
    ON CONFLICT (endpoint_id) DO UPDATE SET due_at_ms = excluded.due_at_ms"""


def load_waiting(path: Path, count: int) -> None:
    """Adds `count` waiting retries, spread evenly over all endpoints, due a day from now.

    Raises RuntimeError when there is no endpoint.
    """
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        # Nothing here needs to survive a crash: the file is thrown away.
        database.execute("PRAGMA synchronous=OFF")
        endpoints = database.execute("SELECT id, app_id, url FROM endpoint").fetchall()
        if not endpoints:
            raise RuntimeError(f"{path} has no endpoint: make some with the server first")
        rows = _rows(endpoints, count)
        while chunk := list(islice(rows, CHUNK_ROWS)):
            database.execute("BEGIN")
            for statement in (MESSAGE, ATTEMPT, WAITING):
                database.executemany(statement, chunk)
            database.execute("COMMIT")
        database.execute(LANES)
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _rows(
    endpoints: Sequence[tuple[str, str, str]], count: int
) -> Iterator[dict[str, str | int | bytes]]:
    ids = Ids(random.Random(SEED))
    now_ms = time.time_ns() // 1_000_000
    before, after = mark.payload(PAYLOAD_BYTES)
    targets = cycle(endpoints)
    for number in range(count):
        endpoint, app, url = next(targets)
        yield {
            "app": app,
            "endpoint": endpoint,
            "url": url,
            "message": ids.new("msg", now_ms),
            "attempt": ids.new("atmpt", now_ms),
            "now_ms": now_ms,
            "due_at_ms": now_ms + DUE_IN_MS + number,
            "status": FAIL,
            "status_code": INTERNAL_ERROR,
            "payload": before + mark.write(0, number, 0) + after,
        }
