"""Sustained throughput: the closed loop, held back where deliveries do not keep up with accepts."""

from typing import Final

from bench.stage import Stage

NAME: Final = "throughput"
ABOUT: Final = "sustained deliveries a second, 1 app x 1 endpoint and 10 apps x 10 endpoints"
SHAPES: Final = ((1, 1), (10, 10))
SHAPES_QUICK: Final = ((1, 1),)


async def run(stage: Stage) -> None:
    for apps, fan in SHAPES_QUICK if stage.options.is_quick else SHAPES:
        async with stage.server() as server:
            target = await stage.target(server, apps=apps, fan=fan)
            plan = stage.plan(target)
            await stage.measure(NAME, f"{apps}x{fan}", target=target, plan=plan)
