"""Many tenants must cost no more than few: every message goes to another application.

Messages take turns over 10,000 applications of 10 endpoints, so nothing is in a cache but by size;
the same traffic over 10 applications is what it is held against.
"""

from typing import Final

from msgspec.structs import replace

from bench import loader
from bench.stage import Stage

NAME: Final = "tenants"
ABOUT: Final = "throughput over 10,000 applications with 100,000 endpoints, against 10 with 100"
APPS: Final = (10, 10_000)
APPS_QUICK: Final = (10, 100)
ENDPOINTS: Final = 10
WINDOW_S: Final = 10.0


async def run(stage: Stage) -> None:
    options = stage.options
    if options.choice.kind != "ringback" or options.choice.database:
        stage.skip(NAME, "it needs a database of its own")
        return
    few, many = [
        await _throughput(stage, apps) for apps in (APPS_QUICK if options.is_quick else APPS)
    ]
    if few:
        stage.note(NAME, "ratio", throughput_many_over_few=many / few)


async def _throughput(stage: Stage, apps: int) -> float:
    async with stage.database() as database:
        async with stage.server(database=database) as server:
            await stage.target(server, fan=ENDPOINTS)
        ids = await loader.multiply(database, apps)
        async with stage.server(database=database) as server:
            target = await stage.target(server, apps=0, fan=ENDPOINTS)
            target = replace(target, paths=tuple(f"/api/v1/app/{app}/msg" for app in ids))
            plan = stage.plan(target, window_s=WINDOW_S)
            variant = f"{apps:,}x{ENDPOINTS}"
            row = await stage.measure(NAME, variant, target=target, plan=plan)
    return row.figures["deliveries_per_s"]
