"""Several server processes over one database: does more of them carry more?

Each has a port of its own; connections take turns among them. On two cores, more processes compete
with the generator, the sink and PostgreSQL, so the figure to look at is CPU a delivery.
"""

from typing import Final

from bench.stage import Stage

NAME: Final = "processes"
ABOUT: Final = "throughput with 1, 2 and 4 server processes over one PostgreSQL"
COUNTS: Final = (1, 2, 4)
COUNTS_QUICK: Final = (2,)
APPS: Final = 4
WINDOW_S: Final = 10.0


async def run(stage: Stage) -> None:
    choice = stage.options.choice
    if choice.kind != "ringback" or not (choice.cluster or choice.database):
        stage.skip(NAME, "it needs --database postgresql")
        return
    for count in COUNTS_QUICK if stage.options.is_quick else COUNTS:
        async with stage.server(processes=count) as server:
            target = await stage.target(server, apps=APPS)
            plan = stage.plan(target, window_s=WINDOW_S)
            await stage.measure(NAME, f"{count}", target=target, plan=plan)
