"""What is stored must not slow what comes: throughput with a full database and with an empty one.

A million retries wait for a day from now; with `--stored`, as many messages were delivered during
the last week. They are loaded while no server runs.
"""

from typing import Final

from bench import loader
from bench.stage import Stage

NAME: Final = "waiting"
ABOUT: Final = "throughput with 1,000,000 waiting retries in the database, against none; --stored"
WAITING_QUICK: Final = 10_000
ENDPOINTS: Final = 20
WINDOW_S: Final = 10.0


async def run(stage: Stage) -> None:
    options = stage.options
    if options.choice.kind != "ringback" or options.choice.database:
        stage.skip(NAME, "it needs a database of its own")
        return
    waiting = min(options.waiting, WAITING_QUICK) if options.is_quick else options.waiting
    empty = await _throughput(stage, stored=0, waiting=0)
    loaded = await _throughput(stage, stored=options.stored, waiting=waiting)
    if empty:
        stage.note(NAME, "ratio", throughput_loaded_over_empty=loaded / empty)


async def _throughput(stage: Stage, *, stored: int, waiting: int) -> float:
    async with stage.database() as database:
        # The server itself makes the tables and the endpoints that the rows belong to.
        async with stage.server(database=database) as server:
            await stage.target(server, fan=ENDPOINTS)
        await loader.load(database, stored=stored, waiting=waiting)
        async with stage.server(database=database) as server:
            target = await stage.target(server)
            plan = stage.plan(target, window_s=WINDOW_S)
            variant = f"{stored:,} stored, {waiting:,} waiting" if waiting else "empty"
            row = await stage.measure(NAME, variant, target=target, plan=plan)
    return row.figures["deliveries_per_s"]
