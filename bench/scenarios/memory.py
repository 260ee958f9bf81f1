"""Memory with a big backlog: large payloads to receivers that answer slowly.

Nothing is drained: the figures are the peak while the backlog builds up and what stays.
"""

from typing import Final

from msgspec.structs import replace

from bench.stage import Stage

NAME: Final = "memory"
ABOUT: Final = "resident memory while 64 KiB payloads pile up before slow receivers"
PAYLOAD_BYTES: Final = 64 * 1024
ENDPOINTS: Final = 10
MESSAGES: Final = 2_000
MESSAGES_QUICK: Final = 100
CONNECTIONS: Final = 16
WINDOW_S: Final = 60.0
PATH: Final = "/slow/5000"


async def run(stage: Stage) -> None:
    messages = MESSAGES_QUICK if stage.options.is_quick else MESSAGES
    async with stage.server() as server:
        target = await stage.target(server, fan=ENDPOINTS, path=PATH)
        plan = replace(
            stage.plan(target, window_s=WINDOW_S, warmup_s=0),
            payload_bytes=PAYLOAD_BYTES,
            messages_max=messages,
            connections=CONNECTIONS,
            backlog_max=0,
        )
        variant = f"{messages}x{ENDPOINTS} of 64 KiB"
        await stage.measure(NAME, variant, target=target, plan=plan, drains=False)
