"""Dead receivers must not delay the living: the same load with and without endpoints that hang.

Both phases run against one server, one after the other, with the same rate of deliveries to healthy
endpoints. In the second, a fifth of the endpoints accept the request and never answer; warm-up
lasts longer than the delivery timeout, so the window shows the steady state. Figures count the
healthy endpoints only.
"""

from typing import Final

from bench.stage import Stage

NAME: Final = "hanging"
ABOUT: Final = "p99 of healthy endpoints while a fifth of all endpoints hang until the timeout"
HEALTHY: Final = 8
HANGING: Final = 2
RATE: Final = 50.0
TIMEOUT_S: Final = 5
WINDOW_S: Final = 15.0


async def run(stage: Stage) -> None:
    timeout_s = 1 if stage.options.is_quick else TIMEOUT_S
    async with stage.server({"RINGBACK_DELIVERY_TIMEOUT_S": str(timeout_s)}) as server:
        p99_ms = []
        for hanging in (0, HANGING):
            target = await stage.target(server, fan=HEALTHY, hanging=hanging)
            plan = stage.plan(target, rate=RATE, window_s=WINDOW_S, warmup_s=timeout_s + 0.5)
            variant = f"{hanging} of {HEALTHY + hanging}"
            row = await stage.measure(NAME, variant, target=target, plan=plan)
            p99_ms.append(row.figures.get("arrival_p99_ms", 0.0))
    if all(p99_ms):
        stage.note(NAME, "ratio", p99_with_over_without=p99_ms[1] / p99_ms[0])
