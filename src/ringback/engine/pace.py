"""When a throttled lane may send: by its own count, or by sends taken from what nodes share.

A node that is alone counts for itself (`OwnPace`), at no cost. As soon as there are several, each
takes a few sends ahead, for many lanes in one call, and sends each at its instant (`SharedPace`):
so all of them together keep the rates of endpoints and applications, and while the database cannot
be reached nothing throttled is sent. A send whose instant has passed unused for `LATE_S` is lost:
catching up would exceed the rate.
"""

import asyncio
import math
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final, Protocol

import structlog

from ringback.clock import Clock
from ringback.engine.lane import Lane
from ringback.errors import StoreError
from ringback.rules import lanes
from ringback.rules.rates import SECOND_US, interval_us
from ringback.store.nodes import Grant, Nodes, Want

AHEAD_S: Final = 0.25  # a node takes this much of a rate ahead, and one send at least
LATE_S: Final = 0.1
LANES_PER_CALL: Final = 500
AGAIN_AFTER_S: Final = 0.5
ASKED: Final = math.inf  # the answer to `wait_s` when the lane will be pumped in time

log = structlog.get_logger()


class Pace(Protocol):
    def wait_s(self, lane: Lane, now_s: float) -> float:
        """How long until a throttled lane may send; taking a send from its rates if that is now."""
        ...


class OwnPace:
    """This node is the only one that sends."""

    def wait_s(self, lane: Lane, now_s: float) -> float:
        next_s = lane.next_s
        if rate := lane.plan.endpoint.throttle_rate:
            next_s, wait_s = lanes.paced(next_s, rate, now_s)
            if wait_s:
                return wait_s
        if rate := lane.plan.app.throttle_rate:
            lane.app.next_s, wait_s = lanes.paced(lane.app.next_s, rate, now_s)
            if wait_s:
                return wait_s
        lane.next_s = next_s
        return 0.0


class SharedPace:
    """`pump` starts what a lane may send. Nothing is taken before `opens_at_s`."""

    def __init__(self, nodes: Nodes, clock: Clock, *, pump: Callable[[Lane], None]) -> None:
        self._nodes = nodes
        self._clock = clock
        self._pump = pump
        self._asking: dict[Lane, Want] = {}
        self._wake = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self.opens_at_s = 0.0

    def wait_s(self, lane: Lane, now_s: float) -> float:
        sends = lane.sends
        while sends and sends[0] < now_s - LATE_S:
            sends.popleft()
        if lane not in self._asking:
            self._ask(lane)
        if not sends:
            return ASKED
        wait_s = sends[0] - now_s
        if wait_s <= 0:
            sends.popleft()
        return max(0.0, wait_s)

    async def run(self) -> None:
        """For ever: take what lanes ask for."""
        while True:
            await self._wake.wait()
            await self._clock.sleep(max(0.0, self.opens_at_s - self._clock.monotonic()))
            asking = list(self._asking)[:LANES_PER_CALL]
            try:
                grants = await self._nodes.reserve([self._asking[lane] for lane in asking])
            except StoreError as error:
                log.debug("rates_not_taken", error=str(error))
                await self._clock.sleep(AGAIN_AFTER_S)
                continue
            self._give(asking, grants)
            if not self._asking:
                self._wake.clear()

    def _ask(self, lane: Lane) -> None:
        """When half of what will be needed soon has been used."""
        plan = lane.plan
        endpoint_rate, app_rate = plan.endpoint.throttle_rate or 0, plan.app.throttle_rate or 0
        ahead = AHEAD_S * SECOND_US / interval_us(endpoint_rate, app_rate)
        needed = min(max(1, int(ahead)), len(lane.queue), lane.in_flight_max())
        has = len(lane.sends) if lane.sends else 0
        if has <= needed // 2 and needed > has:
            self._asking[lane] = Want(
                plan.endpoint.id, plan.app.id, endpoint_rate, app_rate, needed - has
            )
            self._wake.set()

    def _give(self, asking: Sequence[Lane], grants: Sequence[Grant]) -> None:
        now_s = self._clock.monotonic()
        for lane, grant in zip(asking, grants, strict=True):
            want = self._asking.pop(lane)
            wait_s = grant.wait_us / SECOND_US
            if not grant.count:
                self._loop.call_later(wait_s, self._pump, lane)
                continue
            every_s = interval_us(want.endpoint_rate, want.app_rate) / SECOND_US
            if lane.sends is None:
                lane.sends = deque()
            lane.sends.extend(now_s + wait_s + place * every_s for place in range(grant.count))
            self._pump(lane)
