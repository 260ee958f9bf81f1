"""The scenarios: one file each, with NAME, ABOUT and `async run(stage)`."""

from collections.abc import Awaitable, Callable
from typing import Final

from bench import floor
from bench.scenarios import (
    fanout,
    hanging,
    latency,
    memory,
    processes,
    tenants,
    throughput,
    waiting,
)
from bench.stage import Stage

Scenario = Callable[[Stage], Awaitable[None]]
ROOMS: Final = (
    floor,
    throughput,
    processes,
    latency,
    fanout,
    hanging,
    waiting,
    tenants,
    memory,
)
SCENARIOS: Final[dict[str, Scenario]] = {room.NAME: room.run for room in ROOMS}
ABOUT: Final[dict[str, str]] = {room.NAME: room.ABOUT for room in ROOMS}
