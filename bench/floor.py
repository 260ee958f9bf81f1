"""Floors, measured in the same run: what the machine charges for work that nobody can avoid.

- bare POST: the generator straight to the sink, no server between.
- bare accept: an ASGI app that answers 202 and does nothing.
- relay: accept and post on, without storing, signing or checking anything.
- disk: one synced write, and one SQLite commit with synchronous=FULL.
"""

import os
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from msgspec.structs import replace

from bench.figures import latency
from bench.server import Choice, Server
from bench.stage import Stage, Target

NAME: Final = "floor"
ABOUT: Final = "what bare POSTs, bare accepts, a storeless relay and the disk cost"
RELAY: Final = Choice(kind="relay")
WINDOW_S: Final = 5.0
SYNCS: Final = 300
PAGE_BYTES: Final = 4_096


async def run(stage: Stage) -> None:
    await _bare_post(stage)
    async with stage.server(choice=RELAY) as relay:
        nowhere = await stage.target(relay, fan=0)
        plan = replace(stage.plan(nowhere, window_s=WINDOW_S), backlog_max=0)
        await stage.measure(NAME, "bare accept", target=nowhere, plan=plan)
        target = await stage.target(relay)
        plan = stage.plan(target, window_s=WINDOW_S)
        await stage.measure(NAME, "relay", target=target, plan=plan)
        if not stage.options.is_quick:
            plan = stage.plan(target, window_s=WINDOW_S, rate=200)
            await stage.measure(NAME, "relay 200/s", target=target, plan=plan)
    with TemporaryDirectory(prefix="ringback-bench-") as place:
        _disk(stage, Path(place))


async def _bare_post(stage: Stage) -> None:
    target = Target(Server("", ""), "127.0.0.1", stage.ports[0], ("/ok/0",))
    plan = stage.plan(target, window_s=WINDOW_S)
    plan = replace(plan, is_bare=True, status=200, backlog_max=0)
    await stage.measure(NAME, "bare POST", target=target, plan=plan)


def _disk(stage: Stage, place: Path) -> None:
    synced = latency(_spans(_synced_write(place / "sync")))
    committed = latency(_spans(_commit(place / "commit.db")))
    stage.note(
        NAME,
        "disk",
        fsync_p50_ms=synced.p50,
        fsync_p99_ms=synced.p99,
        commit_p50_ms=committed.p50,
        commit_p99_ms=committed.p99,
    )


def _spans(work: Callable[[], object]) -> list[int]:
    spans = []
    for _ in range(SYNCS):
        began_ns = time.monotonic_ns()
        work()
        spans.append(time.monotonic_ns() - began_ns)
    return spans


def _synced_write(path: Path) -> Callable[[], object]:
    """Appends a page and waits until it is on the disk."""
    file = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND)

    def work() -> None:
        os.write(file, bytes(PAGE_BYTES))
        os.fdatasync(file)

    return work


def _commit(path: Path) -> Callable[[], object]:
    """Commits one row of 300 bytes."""
    database = sqlite3.connect(path, isolation_level=None)
    database.execute("PRAGMA journal_mode=WAL")
    database.execute("PRAGMA synchronous=FULL")
    database.execute("CREATE TABLE row (id INTEGER PRIMARY KEY, body BLOB) STRICT")
    return lambda: database.execute("INSERT INTO row (body) VALUES (?)", (bytes(300),))
