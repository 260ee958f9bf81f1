"""Latency from when a message was due to be sent until it arrived, at rates far from the limit."""

from typing import Final

from bench.stage import Stage

NAME: Final = "latency"
ABOUT: Final = "accept and arrival latency in the open loop at 50, 200 and 1,000 messages a second"
RATES: Final = (50, 200, 1_000)
RATES_QUICK: Final = (200,)
WINDOW_S: Final = 10.0


async def run(stage: Stage) -> None:
    async with stage.server() as server:
        target = await stage.target(server)
        for rate in RATES_QUICK if stage.options.is_quick else RATES:
            plan = stage.plan(target, rate=rate, window_s=WINDOW_S)
            await stage.measure(NAME, f"{rate}/s", target=target, plan=plan)
