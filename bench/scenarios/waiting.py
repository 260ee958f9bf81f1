"""A long queue must not slow the quick: throughput with a million waiting retries and with none.

The retries are loaded into the database file before the server starts, due far in the future.
"""

import asyncio
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from bench.loader import load_waiting
from bench.server import database_in
from bench.stage import Stage

NAME: Final = "waiting"
ABOUT: Final = "throughput with 1,000,000 waiting retries in the database, against none (SQLite)"
WAITING: Final = 1_000_000
WAITING_QUICK: Final = 10_000
ENDPOINTS: Final = 20
WINDOW_S: Final = 10.0


async def run(stage: Stage) -> None:
    choice = stage.options.choice
    if choice.kind != "ringback" or choice.database:
        print(f"{NAME}: skipped, it needs a SQLite file of its own", file=sys.stderr)
        return
    waiting = WAITING_QUICK if stage.options.is_quick else WAITING
    per_s = [await _throughput(stage, count) for count in (0, waiting)]
    if all(per_s):
        stage.note(NAME, "ratio", throughput_loaded_over_empty=per_s[1] / per_s[0])


async def _throughput(stage: Stage, waiting: int) -> float:
    with TemporaryDirectory(prefix="ringback-bench-") as made:
        place = Path(made)
        # The server itself makes the tables and the endpoints that the rows belong to.
        async with stage.server(directory=place) as server:
            await stage.target(server, fan=ENDPOINTS)
        await asyncio.to_thread(load_waiting, database_in(place), waiting)
        async with stage.server(directory=place) as server:
            target = await stage.target(server)
            plan = stage.plan(target, window_s=WINDOW_S)
            row = await stage.measure(NAME, f"{waiting:,} rows", target=target, plan=plan)
    return row.figures["deliveries_per_s"]
