"""Hands deliveries to their lanes and starts as many as windows, rates and limits allow.

What it promises: a lane that is slow, closed or throttled holds only its own jobs; memory is
bounded by `queue_max`, `lane_queue_max` and `queue_bytes_max`, and what does not fit waits in the
database; when no more attempts may be out, lanes with work take turns. Neither new messages nor
work that was claimed can fill memory and keep the other out.

How many may be out adapts between `inflight_start` and `inflight_max`: when the limit is reached
while this process is idle, receivers are what is slow, so more are let out at once; when it is
reached because this process is busy, more would only wait in it, and cost memory and connections.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Iterable

from msgspec.structs import replace

from ringback.clock import Clock
from ringback.config import Settings
from ringback.engine.lane import AppLanes, Job, Lane, part_of
from ringback.engine.pace import ASKED, OwnPace, Pace
from ringback.engine.routes import AppRoutes, Plan
from ringback.rules import health, lanes
from ringback.rules.health import CLOSED, Breaker, Symptom
from ringback.rules.lanes import Window

PROBE_S = 0.002
IDLE_LAG_S = 0.003  # a timer that is later than this says that the process is busy
RESERVED = 0  # what `place` answers when there is room
KIND_SHARE = 3 / 4  # of memory is the most that new messages, or claimed ones, may take
REFILL_SHARE = 1 / 8  # of `queue_max` must be free before work is asked for
EVICT_SHARE = 1 / 16  # of `lanes_max` is forgotten at once: looking for idle ones reads them all


class Dispatcher:
    """`send` makes one attempt and never raises; `give_back` returns jobs to the database;
    `on_health` is told when an endpoint is given a pause, and when it is well again."""

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        *,
        send: Callable[[Lane, Job], Coroutine[None, None, None]],
        give_back: Callable[[Lane, list[Job]], None],
        wants_work: Callable[[], None],
        on_health: Callable[[Lane], None],
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._send = send
        self._give_back = give_back
        self._wants_work = wants_work
        self._on_health = on_health
        self._pace: Pace = OwnPace()
        self._part = part_of(settings, nodes=1, rank=0)
        self._lanes: dict[str, Lane] = {}
        self._apps: dict[str, AppLanes] = {}
        self._hungry: deque[Lane] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.get_running_loop()
        self._is_stopped = False
        self._is_paused = False
        self._was_full = False
        # A node that only takes messages has no room for any: all of them wait in the database.
        self._queue_max = settings.queue_max if settings.role != "api" else 0
        self._new_max = int(KIND_SHARE * self._queue_max)
        self._new_bytes_max = int(KIND_SHARE * settings.queue_bytes_max)
        self._claimed_max = max(1, self._new_max)  # what finds no place as new is claimed
        self._limit = min(settings.inflight_start, settings.inflight_max)
        self._is_probing = False
        self.held = 0
        self.claimed = 0
        self.in_flight = 0
        self.bytes = 0

    # ---- room -----------------------------------------------------------------------------------

    def place(self, plan: Plan, size: int, now_ms: int) -> int:
        """RESERVED when there is room for one more job, else the instant it should wait for.

        A reservation ends in `dispatch` or `release`.
        """
        lane = self.lane(plan)
        if lane.closed_until_s:
            closed_s = lane.closed_until_s - self._clock.monotonic()
            if closed_s > 0:
                return now_ms + int(closed_s * 1000) + 1
        if lane.held >= lane.held_max(self._settings.lane_queue_max) or self._is_full(size):
            lane.wants_claim = True
            return now_ms
        lane.held += 1
        self.held += 1
        self.bytes += size
        return RESERVED

    def _is_full(self, size: int) -> bool:
        """Whether memory has no room for a new message; then claims are asked for."""
        is_full = (
            self._is_stopped
            or self.held >= self._queue_max
            or self.held - self.claimed >= self._new_max
            or self.bytes + size > self._new_bytes_max
        )
        self._was_full |= is_full
        return is_full

    def _claim_room(self) -> int:
        """How many more claimed jobs memory has room for."""
        if self.is_out_of_bytes:
            return 0
        return max(0, min(self._queue_max - self.held, self._claimed_max - self.claimed))

    @property
    def is_out_of_bytes(self) -> bool:
        return self.bytes >= self._settings.queue_bytes_max

    def release(self, plan: Plan, size: int) -> None:
        """Give up a reservation."""
        self.lane(plan).held -= 1
        self.held -= 1
        self.bytes -= size

    def claimable(self) -> int:
        """How many waiting deliveries may be claimed now, for all lanes together."""
        if self._is_stopped or self._is_paused:
            return 0
        room = self._claim_room()
        self._was_full |= not room
        return room

    def load(self, endpoint_id: str) -> int:
        """How many jobs of a lane wait in memory or are under way."""
        lane = self._lanes.get(endpoint_id)
        return lane.held + lane.in_flight if lane is not None else 0

    def room(self, endpoint_id: str) -> tuple[int, float]:
        """How many waiting deliveries a lane can use, and for how long it is closed if none.

        Enough to keep its window busy until the next claim; a lane at its limit asks for more
        itself when half of that is done. A lane that new messages keep busy all by themselves may
        take a windowful on top: else its retries would wait for as long as it is busy.
        """
        lane = self._lanes.get(endpoint_id)
        if lane is None:
            return self._part.window_start, 0.0
        closed_s = lane.closed_until_s - self._clock.monotonic()
        if closed_s > 0:
            return 0, closed_s
        window = lane.in_flight_max()
        held_max = lane.held_max(self._settings.lane_queue_max)
        most = min(2 * window, held_max + 1) - lane.held - lane.in_flight
        if lane.breaker.is_closed:
            most = max(most, min(window, held_max) - lane.claimed)
        lane.wants_claim = True
        return max(0, most), 0.0

    # ---- work -----------------------------------------------------------------------------------

    def dispatch(self, plan: Plan, job: Job) -> None:
        """Queue a job for which room was reserved, and start it if the lane may send."""
        lane = self.lane(plan)
        lane.queue.append(job)
        self._pump(lane)

    def dispatch_claimed(self, plan: Plan, job: Job) -> None:
        """The same for a job that was claimed, without reservation.

        It takes turns with what is new, which would have gone before it for having found room.
        """
        lane = self.lane(plan)
        lane.held += 1
        self.held += 1
        self.bytes += job.size
        job.is_claimed = True
        lane.queue.insert(2 * lane.claimed, job)
        lane.claimed += 1
        self.claimed += 1
        self._pump(lane)

    def lane(self, plan: Plan) -> Lane:
        """The lane of an endpoint, with its newest plan."""
        endpoint_id = plan.endpoint.id
        lane = self._lanes.get(endpoint_id)
        if lane is None:
            self._evict()
            app = self._apps.setdefault(plan.app.id, AppLanes())
            lane = self._lanes[endpoint_id] = Lane(plan, Window(self._part.window_start), app)
            app.lanes[endpoint_id] = lane
        elif lane.plan.app.version < plan.app.version:
            lane.plan = plan
        return lane

    def refresh(self, app_id: str, routes: AppRoutes | None) -> None:
        """Give lanes their new plans; what waits for endpoints that are off now goes back."""
        app = self._apps.get(app_id)
        for endpoint_id, lane in list(app.lanes.items()) if app else ():
            plan = routes.plans.get(endpoint_id) if routes else None
            if plan is not None and plan.app.version >= lane.plan.app.version:
                lane.plan = plan
            if plan is None or lane.plan.endpoint.is_disabled:
                self._return_queue(lane)
                if plan is None and lane.is_idle:
                    self._forget(lane)

    def _pump(self, lane: Lane) -> None:
        """Start jobs of a lane until something stops it."""
        while lane.queue and self._pump_one(lane):
            pass

    def _pump_one(self, lane: Lane) -> bool:
        """Start the next job of a lane, unless something stops it. Whether it was started."""
        if lane.in_flight >= lane.in_flight_max() or self._is_stopped:
            return False
        if self.in_flight >= self._limit or self._is_paused:
            self._go_hungry(lane)
            return False
        if (lane.closed_until_s or lane.plan.is_throttled) and not self._may_send(lane):
            return False
        job = lane.queue.popleft()
        if job.is_claimed:
            lane.claimed -= 1
            self.claimed -= 1
        lane.held -= 1
        lane.in_flight += 1
        self.held -= 1
        self.in_flight += 1
        task = self._loop.create_task(self._attempt(lane, job))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return True

    def _may_send(self, lane: Lane) -> bool:
        """Whether the lane is open and its rates allow a send, which is taken from them."""
        now_s = self._clock.monotonic()
        if lane.closed_until_s > now_s:
            self._return_queue(lane)
            return False
        wait_s = self._pace.wait_s(lane, now_s) if lane.plan.is_throttled else 0.0
        if 0 < wait_s < ASKED:
            self._wake_later(lane, wait_s)
        return wait_s <= 0

    def _wake_later(self, lane: Lane, wait_s: float) -> None:
        if not lane.has_timer:
            lane.has_timer = True
            self._loop.call_later(wait_s, self._wake, lane)

    def _wake(self, lane: Lane) -> None:
        lane.has_timer = False
        self.pump(lane)

    def pump(self, lane: Lane) -> None:
        """Something that held a lane back may be over."""
        self._pump(lane)
        self._ask_for_work(lane)

    async def _attempt(self, lane: Lane, job: Job) -> None:
        size = job.size
        try:
            await self._send(lane, job)
        finally:
            lane.in_flight -= 1
            self.in_flight -= 1
            self.bytes -= size
            if self.in_flight < self._limit // 4 and self._limit > self._settings.inflight_start:
                self._limit //= 2
            if self._hungry:
                if lane.queue:
                    self._go_hungry(lane)
                self._feed()
            elif lane.queue:
                self._pump(lane)
            if lane.wants_claim or self._was_full:
                self._ask_for_work(lane)

    def _go_hungry(self, lane: Lane) -> None:
        if not lane.is_hungry:
            lane.is_hungry = True
            self._hungry.append(lane)
            if not self._is_probing and self._limit < self._settings.inflight_max:
                self._is_probing = True
                now_s = self._clock.monotonic()
                self._loop.call_later(PROBE_S, self._probe, now_s + PROBE_S)

    def _probe(self, due_s: float) -> None:
        """The limit was reached: let more out if this process has nothing better to do."""
        self._is_probing = False
        if self._hungry and self._clock.monotonic() - due_s < IDLE_LAG_S:
            self._limit = min(2 * self._limit, self._settings.inflight_max)
            self._feed()

    def _feed(self) -> None:
        """Every place was in use: the lane that waited longest takes the free one."""
        while self._hungry and self.in_flight < self._limit:
            if self._is_paused or self._is_stopped:
                return
            lane = self._hungry.popleft()
            lane.is_hungry = False
            if lane.queue and self._pump_one(lane) and lane.queue:
                self._go_hungry(lane)

    def _ask_for_work(self, lane: Lane) -> None:
        """If memory has room again: after it was full, when a lane runs low, and when all that was
        claimed for a busy one is under way."""
        if self._claim_room() <= REFILL_SHARE * self._queue_max:
            self._was_full = True  # the lane may end nothing more that could ask again
            return
        is_low = lane.held + lane.in_flight <= lane.in_flight_max()
        has_turn = lane.breaker.is_closed and not lane.claimed
        if self._was_full or (lane.wants_claim and (is_low or has_turn)):
            self._was_full = lane.wants_claim = False
            self._wants_work()

    # ---- what results do to a lane --------------------------------------------------------------

    def succeeded(self, lane: Lane, took_ms: float) -> None:
        lane.fastest_ms = min(lane.fastest_ms, took_ms)
        lane.window = lanes.succeeded(
            lane.window,
            lane.in_flight,
            self._part.window_max,
            is_late=lanes.is_late(took_ms, lane.fastest_ms),
        )
        if lane.breaker is not CLOSED:
            self._move_breaker(lane, CLOSED)

    def failed(
        self,
        lane: Lane,
        what: Symptom,
        *,
        is_first: bool,
        began_s: float,
        pause_s: float | None = None,
    ) -> None:
        """`is_first`: the delivery had never failed before. `pause_s` is what the receiver asked
        for (Retry-After of a 429 or 503)."""
        now_s = self._clock.monotonic()
        if health.is_trouble(what, is_first=is_first):
            lane.window = lanes.troubled(lane.window)
        if pause_s is not None:
            pause_s = min(pause_s, self._settings.breaker_open_s_max)
            lane.paused_until_s = max(lane.paused_until_s, now_s + pause_s)
        breaker = lane.breaker
        if what is Symptom.ALIVE:
            breaker = CLOSED
        elif health.is_telling(what, is_first=is_first):
            breaker = health.troubled(
                breaker, self._part.breaker, what, now_s=now_s, began_s=began_s
            )
        self._move_breaker(lane, breaker)
        if lane.closed_until_s > now_s:
            self._return_queue(lane)

    def well(self, endpoint_id: str) -> None:
        """Another node has had an answer of an endpoint that is down: try it here too."""
        lane = self._lanes.get(endpoint_id)
        if lane is not None and not lane.breaker.is_closed:
            self._move_breaker(lane, health.on_trial(lane.breaker))
            self.pump(lane)

    def down(self, endpoint_id: str, pause_s: float) -> None:
        """A node has probed in vain, or found an endpoint down, and pauses for so long."""
        lane = self._lanes.get(endpoint_id)
        if lane is None:
            return
        now_s = self._clock.monotonic()
        breaker = health.probed(lane.breaker, self._part.breaker, pause_s, now_s=now_s)
        if breaker.is_closed:  # then a success here is worth telling, even the first of many
            lane.is_watched = True
            lane.breaker = replace(breaker)  # not CLOSED itself, which success leaves alone
            return
        lane.breaker = breaker
        lane.closed_until_s = max(lane.paused_until_s, breaker.open_until_s)
        self._return_queue(lane)

    def _move_breaker(self, lane: Lane, breaker: Breaker) -> None:
        was, lane.breaker = lane.breaker, breaker
        lane.closed_until_s = max(lane.paused_until_s, breaker.open_until_s)
        has_opened = breaker.open_until_s > was.open_until_s
        is_well = breaker.is_closed and (lane.is_watched or not was.is_closed)
        if has_opened or (is_well and breaker is CLOSED):
            lane.is_watched = False
            self._on_health(lane)

    def _return_queue(self, lane: Lane) -> None:
        if lane.queue:
            jobs = list(lane.queue)
            lane.queue.clear()
            self.claimed -= lane.claimed
            lane.claimed = 0
            lane.held -= len(jobs)
            self.held -= len(jobs)
            self.bytes -= sum(job.size for job in jobs)
            self._give_back(lane, jobs)

    # ---- all lanes ------------------------------------------------------------------------------

    def share(self, nodes: int, pace: Pace, *, rank: int) -> None:
        """So many nodes send, this one, in its place among them, too: each has an equal part of
        every endpoint's window, one at least; rates are kept by `pace`."""
        self._part = part_of(self._settings, nodes=nodes, rank=rank)
        self._pace = pace
        for lane in list(self._lanes.values()):
            if lane.window.limit > self._part.window_max:
                lane.window = replace(lane.window, limit=self._part.window_max)
            if lane.queue:
                self._pump(lane)

    def versions(self) -> dict[str, int]:
        """By which version of their application jobs wait here, by its id."""
        return {
            app_id: min(lane.plan.app.version for lane in app.lanes.values())
            for app_id, app in self._apps.items()
            if any(lane.queue for lane in app.lanes.values())
        }

    def is_older(self, app_id: str, version: int) -> bool:
        """Whether a lane of the application knows it from before that version."""
        app = self._apps.get(app_id)
        return app is not None and any(
            lane.plan.app.version < version for lane in app.lanes.values()
        )

    def has_lanes(self, app_id: str) -> bool:
        return app_id in self._apps

    def pause(self) -> None:
        """Start nothing: results cannot be recorded, or the lease is in doubt."""
        self._is_paused = True

    def resume(self) -> None:
        if not self._is_paused:
            return
        self._is_paused = False
        hungry, self._hungry = self._hungry, deque()
        for lane in hungry:
            lane.is_hungry = False
        for lane in hungry:
            self._pump(lane)
        self._wants_work()

    def stop(self) -> None:
        """Take no more work and hand back what waits in memory."""
        self._is_stopped = True
        for lane in self._lanes.values():
            self._return_queue(lane)

    def abandon(self) -> None:
        """Forget everything that waits in memory, and cut off what is being sent: another node has
        it (the lease is gone)."""
        for task in self._tasks:
            task.cancel()
        for lane in self._lanes.values():
            self.bytes -= sum(job.size for job in lane.queue)
            self.held -= len(lane.queue)
            lane.held -= len(lane.queue)
            self.claimed -= lane.claimed
            lane.claimed = 0
            lane.queue.clear()

    async def finish(self, timeout_s: float) -> None:
        """Wait for attempts in flight; after `timeout_s` cancel them (they are handed back)."""
        self._is_stopped = True
        tasks = set(self._tasks)
        if tasks and timeout_s > 0:
            _, tasks = await asyncio.wait(tasks, timeout=timeout_s)
        await self._cancel(tasks)

    async def _cancel(self, tasks: Iterable[asyncio.Task[None]]) -> None:
        pending = list(tasks)
        for task in pending:
            task.cancel()
        if pending:
            await asyncio.wait(pending)

    def _evict(self) -> None:
        """Make place for a lane: forget idle ones, oldest first, many at a time."""
        if len(self._lanes) < self._settings.lanes_max:
            return
        idle = [lane for lane in self._lanes.values() if lane.is_idle and not lane.has_timer]
        idle.sort(key=_is_remarkable)
        for lane in idle[: max(1, int(EVICT_SHARE * self._settings.lanes_max))]:
            self._forget(lane)

    def _forget(self, lane: Lane) -> None:
        endpoint_id = lane.plan.endpoint.id
        del self._lanes[endpoint_id]
        del lane.app.lanes[endpoint_id]
        if not lane.app.lanes:
            self._apps.pop(lane.plan.app.id, None)


def _is_remarkable(lane: Lane) -> bool:
    """Something is known of it that the store does not know: forget such a lane last."""
    endpoint = lane.plan.endpoint
    return not lane.breaker.is_closed or lane.failing_since_ms != endpoint.failing_since_ms
