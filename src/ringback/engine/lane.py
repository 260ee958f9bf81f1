"""The lane of one endpoint: what waits in memory for it, and how fast it may be sent to.

A lane holds the state; the rules that move it are pure and live in `rules.lanes` and
`rules.health`. Only the dispatcher touches a lane.
"""

import math
from collections import deque

from msgspec import Struct

from ringback.config import Settings
from ringback.engine.routes import Plan
from ringback.model import Delivery, Message
from ringback.rules import health
from ringback.rules.health import CLOSED, Breaker, BreakerRules
from ringback.rules.lanes import Window


class Part(Struct, frozen=True):
    """What one node may do of what all of them may: attempts at a time to an endpoint, at most and
    when nothing is known of it, and probes of one that is down."""

    window_max: int
    window_start: int
    breaker: BreakerRules


def part_of(settings: Settings, *, nodes: int, rank: int) -> Part:
    """An equal part, and one attempt at a time at least; `rank` is this one's place among them."""
    window_max = max(1, settings.inflight_per_endpoint_max // nodes)
    window_start = max(1, settings.inflight_per_endpoint_start // nodes)
    breaker = BreakerRules(
        settings.breaker_failures, settings.breaker_open_s, settings.breaker_open_s_max
    )
    shared = health.shared(breaker, nodes=nodes, rank=rank)
    return Part(window_max, min(window_start, window_max), shared)


class Batch:
    """An in-flight batch row. `remaining` deliveries have no recorded result yet."""

    __slots__ = ("id", "remaining")

    def __init__(self, batch_id: int, remaining: int) -> None:
        self.id = batch_id
        self.remaining = remaining


class Job:
    """A delivery in memory. `message` is None when its payload did not fit and is read later.

    `is_claimed`: it waited in the database before, so it is older than what is new.
    """

    __slots__ = ("batch", "delivery", "is_claimed", "message", "size")

    def __init__(self, delivery: Delivery, batch: Batch, message: Message | None) -> None:
        self.delivery = delivery
        self.batch = batch
        self.message = message
        self.is_claimed = False
        self.size = message.size if message is not None else 0


class AppLanes:
    """The lanes of one application, and when a steady stream at its rate would send next."""

    __slots__ = ("lanes", "next_s")

    def __init__(self) -> None:
        self.lanes: dict[str, Lane] = {}
        self.next_s = 0.0


class Lane:
    """`held` counts the jobs that wait here, those whose commit is under way included, `claimed`
    those of the queue that waited in the database before. Nothing may be sent before
    `closed_until_s`, by its breaker or by its own request (`paused_until_s`). `sends` are instants
    of a rate that nodes share, taken for this lane. `is_watched`: another node pauses, and waits
    for an answer that this one may get."""

    __slots__ = (
        "app",
        "breaker",
        "claimed",
        "closed_until_s",
        "failing_since_ms",
        "fastest_ms",
        "has_timer",
        "held",
        "in_flight",
        "is_hungry",
        "is_watched",
        "next_s",
        "paused_until_s",
        "plan",
        "queue",
        "sends",
        "wants_claim",
        "window",
    )

    def __init__(self, plan: Plan, window: Window, app: AppLanes) -> None:
        self.plan = plan
        self.window = window
        self.app = app
        self.next_s = 0.0
        self.fastest_ms = math.inf
        self.breaker: Breaker = CLOSED
        self.failing_since_ms = plan.endpoint.failing_since_ms
        self.queue: deque[Job] = deque()
        self.sends: deque[float] | None = None
        self.held = 0
        self.claimed = 0
        self.in_flight = 0
        self.paused_until_s = 0.0
        self.closed_until_s = 0.0
        self.is_hungry = False
        self.is_watched = False
        self.has_timer = False
        self.wants_claim = False

    @property
    def is_idle(self) -> bool:
        return not self.held and not self.in_flight

    def in_flight_max(self) -> int:
        """One at a time while the breaker is not closed, else the window."""
        return self.window.limit if self.breaker.is_closed else 1

    def held_max(self, queue_max: int) -> int:
        """How many jobs may wait in memory: two seconds' worth of a throttled lane."""
        if not self.breaker.is_closed:
            return 1
        if not self.plan.is_throttled:
            return queue_max
        rates = (self.plan.endpoint.throttle_rate, self.plan.app.throttle_rate)
        return min([queue_max, *(2 * rate for rate in rates if rate)])
