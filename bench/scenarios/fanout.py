"""One message to many endpoints: accepting is paid once, delivering by the number."""

from typing import Final

from bench.stage import Stage

NAME: Final = "fanout"
ABOUT: Final = "deliveries a second where a message goes to 1, 10, 100 and 1,000 endpoints"
FANS: Final = (1, 10, 100, 1_000)
FANS_QUICK: Final = (100,)
WINDOW_S: Final = 10.0


async def run(stage: Stage) -> None:
    async with stage.server() as server:
        for fan in FANS_QUICK if stage.options.is_quick else FANS:
            target = await stage.target(server, fan=fan)
            plan = stage.plan(target, window_s=WINDOW_S)
            await stage.measure(NAME, f"1 to {fan}", target=target, plan=plan)
