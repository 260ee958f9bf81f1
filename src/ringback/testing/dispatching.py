"""A dispatcher on a virtual clock whose attempts last until a test ends them.

run(story)        `story(stage)` offers, claims and ends
"""

import asyncio
from collections.abc import Awaitable, Callable

from ringback.config import Settings
from ringback.engine.dispatch import RESERVED, Dispatcher
from ringback.engine.lane import Batch, Job, Lane
from ringback.engine.routes import Plan
from ringback.model import Application, Delivery, Message
from ringback.rules.health import symptom
from ringback.rules.retry import Rules
from ringback.testing import nouns
from ringback.testing.simulation import SimulatedClock, simulate

SETTINGS = Settings(
    inflight_max=100,
    inflight_start=100,
    inflight_per_endpoint_max=16,
    inflight_per_endpoint_start=4,
    lane_queue_max=50,
    queue_max=200,
    queue_bytes_max=10_000,
    breaker_failures=5,
    breaker_open_s=10.0,
)
APP = Application("app_1", "org_1", "shop", None, None, {}, 1, 0, 0)


def plan(name: str, *, rate: int | None = None, app: Application = APP) -> Plan:
    endpoint = nouns.endpoint(
        id=f"ep_{name}", app_id=app.id, url=f"http://{name}.example/", throttle_rate=rate
    )
    return Plan(app, endpoint, Rules((), 0.0, 0.0))


def job(to: Plan, *, size: int = 2, attempts_made: int = 0) -> Job:
    message = Message("msg_1", "app_1", "a.b", None, None, b"x" * size, None, None, None, 0)
    return Job(Delivery("app_1", "msg_1", to.endpoint.id, attempts_made), Batch(1, 1), message)


class Stage:
    """A dispatcher whose attempts last until the test ends them."""

    def __init__(self, clock: SimulatedClock, settings: Settings = SETTINGS) -> None:
        self.clock = clock
        self.started: list[tuple[str, float]] = []
        self.out: list[tuple[Lane, asyncio.Future[int]]] = []
        self.given_back: list[Job] = []
        self.asked = 0
        self.health: list[bool] = []
        self.dispatcher = Dispatcher(
            settings,
            clock,
            send=self._send,
            give_back=lambda _lane, jobs: self.given_back.extend(jobs),
            wants_work=self._want,
            on_health=lambda lane: self.health.append(lane.breaker.is_closed),
        )

    def _want(self) -> None:
        self.asked += 1

    async def _send(self, lane: Lane, job: Job) -> None:
        end: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        began_s = self.clock.monotonic()
        self.started.append((lane.plan.endpoint.id, began_s))
        self.out.append((lane, end))
        status = await end
        if 200 <= status < 300:
            self.dispatcher.succeeded(lane, 10.0)
        else:
            is_first = not job.delivery.attempts_made
            self.dispatcher.failed(lane, symptom(status), is_first=is_first, began_s=began_s)

    def offer(self, to: Plan, count: int, *, size: int = 2) -> int:
        """How many of `count` jobs found room."""
        placed = 0
        for _ in range(count):
            if self.dispatcher.place(to, size, self.clock.now_ms()) == RESERVED:
                self.dispatcher.dispatch(to, job(to, size=size))
                placed += 1
        return placed

    def claim(self, to: Plan, count: int, *, attempts_made: int = 0) -> int:
        """How many of `count` claimed jobs there was room for."""
        claimed = 0
        while claimed < count and self.dispatcher.claimable():
            self.dispatcher.dispatch_claimed(to, job(to, attempts_made=attempts_made))
            claimed += 1
        return claimed

    async def end(self, count: int, status: int = 200) -> None:
        """End the oldest attempts and let what follows happen."""
        await asyncio.sleep(0)
        for _ in range(count):
            self.out.pop(0)[1].set_result(status)
        for _ in range(5):
            await asyncio.sleep(0)


def run(story: Callable[[Stage], Awaitable[None]], settings: Settings = SETTINGS) -> None:
    async def on_stage(clock: SimulatedClock) -> None:
        stage = Stage(clock, settings)
        await story(stage)
        await stage.dispatcher.finish(0)

    simulate(1, on_stage)
