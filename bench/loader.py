"""Fills a database with what years of use would leave in it, far quicker than by using it.

It writes what the server itself would have left: for a message that was delivered the message and
its attempt, spread over the last days; for one that waits for a retry a failed attempt, a waiting
row and its endpoint's lane. `multiply` copies an application with its endpoints, with new ids.

The tables must have been made by the server, with at least one endpoint, and the server must not be
running. Secrets are copied as they are, so there may be no main secret. PostgreSQL is filled by
COPY, and left as it is some time later: vacuumed, analysed, and on the disk.
"""

import asyncio
import random
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from itertools import cycle, islice
from pathlib import Path
from typing import Any, Final

import asyncpg  # type: ignore[import-untyped]
from msgspec import Struct

from bench import mark
from bench.database import Database
from ringback.clock import Ids
from ringback.config import Settings
from ringback.store.postgres.partitions import HOUR_MS, make_partitions

CHUNK_ROWS: Final = 10_000
DUE_IN_MS: Final = 24 * HOUR_MS
STORED_MS: Final = 7 * 24 * HOUR_MS
SEED: Final = 20_260
PAYLOAD_BYTES: Final = 300
EVENT_TYPE: Final = "payment_intent.succeeded"
TIMINGS: Final = "[null,null,null,1.234,1.345]"
DELIVERED: Final = (0, 200)  # status and status code
FAILED: Final = (2, 500)

MESSAGE: Final = ("app_id", "id", "created_at_ms", "event_type", "payload")
ATTEMPT: Final = (
    *("id", "msg_id", "endpoint_id", "batch_id", "number", "trigger", "status", "status_code"),
    *("started_at_ms", "next_at_ms", "timings", "url", "error", "response_headers", "response"),
)
WAITING: Final = ("endpoint_id", "due_at_ms", "app_id", "msg_id", "attempts_made", "trigger")
LANES: Final = """
    INSERT INTO lane (endpoint_id, app_id, due_at_ms)
    SELECT endpoint_id, app_id, MIN(due_at_ms) FROM waiting WHERE true GROUP BY endpoint_id, app_id
    ON CONFLICT (endpoint_id) DO UPDATE SET due_at_ms = excluded.due_at_ms"""
ENDPOINTS: Final = "SELECT id, app_id, url FROM endpoint ORDER BY id"
SETTLED: Final = ("VACUUM ANALYZE", "CHECKPOINT")

Row = tuple[Any, ...]
Endpoints = Sequence[tuple[str, str, str]]


class Chunk(Struct, frozen=True):
    """Rows by table, in the order in which the columns are named above."""

    message: list[Row]
    attempt: list[Row]
    waiting: list[Row]

    def tables(self) -> Iterator[tuple[str, Sequence[str], list[Row]]]:
        yield "message", MESSAGE, self.message
        yield "attempt", ATTEMPT, self.attempt
        if self.waiting:
            yield "waiting", WAITING, self.waiting


async def load(database: Database, *, stored: int = 0, waiting: int = 0) -> None:
    """Adds messages: delivered ones, and ones that wait for a retry due a day from now.

    Spread evenly over all endpoints. Raises RuntimeError when there is no endpoint.
    """
    if database.postgres is not None:
        await _load_postgres(database.url, stored, waiting)
    elif database.file is not None:
        await asyncio.to_thread(_load_sqlite, database.file, stored, waiting)


async def multiply(database: Database, count: int) -> list[str]:
    """Copies the first application `count` times; the ids of the copies."""
    if database.postgres is not None:
        return await _multiply_postgres(database.url, count)
    assert database.file is not None
    return await asyncio.to_thread(_multiply_sqlite, database.file, count)


def _load_sqlite(path: Path, stored: int, waiting: int) -> None:
    with closing(_fast(path)) as database:
        for chunk in _chunks(database.execute(ENDPOINTS).fetchall(), stored, waiting):
            database.execute("BEGIN")
            for table, columns, rows in chunk.tables():
                database.executemany(_insert(table, columns), rows)
            database.execute("COMMIT")
        database.execute(LANES)
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")


async def _load_postgres(url: str, stored: int, waiting: int) -> None:
    connection = await _quick(url)
    try:
        now_ms, span_h = time.time_ns() // 1_000_000, Settings().partition_h
        for at_ms in range(now_ms - STORED_MS if stored else now_ms, now_ms, span_h * HOUR_MS):
            async with connection.transaction():
                await make_partitions(connection, now_ms=at_ms, span_h=span_h)
        endpoints = [tuple(row) for row in await connection.fetch(ENDPOINTS)]
        for chunk in _chunks(endpoints, stored, waiting):
            for table, columns, rows in chunk.tables():
                await connection.copy_records_to_table(table, columns=columns, records=rows)
        await connection.execute(LANES)
        for statement in SETTLED:
            await connection.execute(statement)
    finally:
        await connection.close()


def _chunks(endpoints: Endpoints, stored: int, waiting: int) -> Iterator[Chunk]:
    if not endpoints:
        raise RuntimeError("the database has no endpoint: make some with the server first")
    ids, targets = Ids(random.Random(SEED)), cycle(endpoints)
    now_ms = time.time_ns() // 1_000_000
    instants = (now_ms - STORED_MS + STORED_MS * place // stored for place in range(stored))
    while times := list(islice(instants, CHUNK_ROWS)):
        yield _delivered(ids, targets, times)
    numbers = iter(range(waiting))
    while some := list(islice(numbers, CHUNK_ROWS)):
        yield _waiting(ids, targets, now_ms, some)


def _delivered(ids: Ids, targets: Iterator[tuple[str, str, str]], times: list[int]) -> Chunk:
    chunk = Chunk([], [], [])
    for place, at_ms in enumerate(times):
        endpoint, app, url = next(targets)
        message = _message(ids, app, at_ms, place)
        chunk.message.append(message)
        chunk.attempt.append(_attempt(ids, message[1], endpoint, url, at_ms, DELIVERED, 0))
    return chunk


def _waiting(
    ids: Ids, targets: Iterator[tuple[str, str, str]], now_ms: int, numbers: list[int]
) -> Chunk:
    chunk = Chunk([], [], [])
    for number in numbers:
        endpoint, app, url = next(targets)
        due_at_ms = now_ms + DUE_IN_MS + number
        message = _message(ids, app, now_ms, number)
        chunk.message.append(message)
        chunk.attempt.append(_attempt(ids, message[1], endpoint, url, now_ms, FAILED, due_at_ms))
        chunk.waiting.append((endpoint, due_at_ms, app, message[1], 1, 0))
    return chunk


def _message(ids: Ids, app: str, at_ms: int, number: int) -> Row:
    before, after = mark.payload(PAYLOAD_BYTES)
    payload = before + mark.write(0, number, 0) + after
    return app, ids.new("msg", at_ms), at_ms, EVENT_TYPE, payload


def _attempt(
    ids: Ids, msg_id: str, endpoint: str, url: str, at_ms: int, ended: tuple[int, int], next_ms: int
) -> Row:
    identity = (ids.new("atmpt", at_ms), msg_id, endpoint, 0, 1, 0)
    return (*identity, *ended, at_ms, next_ms, TIMINGS, url, "", "", b"")


def _multiply_sqlite(path: Path, count: int) -> list[str]:
    with closing(_fast(path)) as database:
        database.row_factory = sqlite3.Row
        app = dict(database.execute("SELECT * FROM application ORDER BY id").fetchone())
        of_app = "SELECT * FROM endpoint WHERE app_id = ?"
        endpoints = [dict(row) for row in database.execute(of_app, (app["id"],))]
        apps, copies = _copies(app, endpoints, count)
        database.execute("BEGIN")
        for table, rows in (("application", apps), ("endpoint", copies)):
            records = [tuple(row.values()) for row in rows]
            database.executemany(_insert(table, list(rows[0])), records)
        database.execute("COMMIT")
    return [row["id"] for row in apps]


async def _multiply_postgres(url: str, count: int) -> list[str]:
    connection = await _quick(url)
    try:
        app = dict(await connection.fetchrow("SELECT * FROM application ORDER BY id LIMIT 1"))
        of_app = "SELECT * FROM endpoint WHERE app_id = $1"
        endpoints = [dict(row) for row in await connection.fetch(of_app, app["id"])]
        apps, copies = _copies(app, endpoints, count)
        for table, rows in (("application", apps), ("endpoint", copies)):
            records = [tuple(row.values()) for row in rows]
            await connection.copy_records_to_table(table, columns=list(rows[0]), records=records)
        for statement in SETTLED:
            await connection.execute(statement)
    finally:
        await connection.close()
    return [row["id"] for row in apps]


def _copies(
    app: Mapping[str, Any], endpoints: Sequence[Mapping[str, Any]], count: int
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    ids, now_ms = Ids(random.Random(SEED)), time.time_ns() // 1_000_000
    apps = [{**app, "id": ids.new("app", now_ms), "uid": None} for _ in range(count)]
    copies = [
        {**endpoint, "id": ids.new("ep", now_ms), "app_id": copy["id"], "uid": None}
        for copy in apps
        for endpoint in endpoints
    ]
    return apps, copies


def _fast(path: Path) -> sqlite3.Connection:
    """Nothing that is written here needs to survive a crash: the file is thrown away."""
    database = sqlite3.connect(path, isolation_level=None)
    database.execute("PRAGMA synchronous=OFF")
    return database


async def _quick(url: str) -> Any:
    """The same."""
    return await asyncpg.connect(url, server_settings={"synchronous_commit": "off"})


def _insert(table: str, columns: Sequence[str]) -> str:
    marks = ", ".join("?" * len(columns))
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})"
