"""The dispatcher: windows, rates, turns, memory, pauses; on a virtual clock."""

import asyncio
from collections.abc import Awaitable, Callable

from msgspec.structs import replace

from ringback.config import Settings
from ringback.engine.dispatch import RESERVED, Dispatcher
from ringback.engine.lane import Batch, Job, Lane
from ringback.engine.pace import OwnPace
from ringback.engine.routes import Plan
from ringback.model import Application, Delivery, Message
from ringback.rules.health import Symptom, symptom
from ringback.rules.lanes import Window
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


def test_a_window_bounds_what_is_in_flight_and_grows_with_success() -> None:
    async def story(stage: Stage) -> None:
        to = plan("a")
        assert stage.offer(to, 30) == 30
        await asyncio.sleep(0)
        assert len(stage.out) == 4
        await stage.end(4)
        assert len(stage.out) == 8
        await stage.end(8)
        assert len(stage.out) == 16

    run(story)


def test_trouble_halves_the_window() -> None:
    async def story(stage: Stage) -> None:
        stage.offer(plan("a"), 30)
        await stage.end(4)
        await stage.end(1, status=503)
        assert stage.dispatcher.lane(plan("a")).window.limit == 4

    run(story)


def test_memory_is_bounded_by_lane_total_and_bytes() -> None:
    async def story(stage: Stage) -> None:
        assert stage.offer(plan("a"), 100) == SETTINGS.lane_queue_max + 4
        total = sum(stage.offer(plan(f"b{index}"), 50) for index in range(10))
        assert total + 54 <= SETTINGS.queue_max + 11 * 4
        assert stage.dispatcher.held == SETTINGS.queue_max * 3 // 4
        assert stage.claim(plan("c"), 100) == SETTINGS.queue_max // 4 + 4
        assert stage.dispatcher.held == SETTINGS.queue_max

    async def big(stage: Stage) -> None:
        assert stage.offer(plan("a"), 5, size=3_000) == 2
        await stage.end(1)
        assert stage.offer(plan("a"), 5, size=3_000) == 1

    run(story)
    run(big)


def test_neither_new_nor_claimed_jobs_fill_memory_for_the_other() -> None:
    async def new_first(stage: Stage) -> None:
        for index in range(10):
            stage.offer(plan(f"n{index}"), 100)
        room = stage.dispatcher.claimable()
        assert room == SETTINGS.queue_max // 4
        assert stage.claim(plan("a"), room) == room

    async def claimed_first(stage: Stage) -> None:
        for index in range(10):
            stage.claim(plan(f"c{index}"), 100)
        assert stage.dispatcher.claimable() == 0
        assert stage.offer(plan("a"), 30) == 30

    run(new_first)
    run(claimed_first)


def test_a_memory_that_holds_one_is_for_what_was_claimed() -> None:
    """Else new messages could keep it for ever; the database takes them."""

    async def story(stage: Stage) -> None:
        stage.dispatcher.pause()
        assert stage.offer(plan("a"), 1) == 0
        stage.dispatcher.resume()
        assert stage.dispatcher.claimable() == 1

    run(story, replace(SETTINGS, queue_max=1))


def test_a_memory_that_was_full_asks_for_work_when_an_eighth_is_free() -> None:
    async def story(stage: Stage) -> None:
        for index in range(10):
            stage.offer(plan(f"n{index}"), 100)
        assert stage.claim(plan("a"), 54) == 54
        assert stage.dispatcher.claimable() == 0
        asked_at: list[int] = []
        while not stage.asked:
            await stage.end(1)
            asked_at.append(stage.dispatcher.held)
        assert stage.dispatcher.claimable() >= SETTINGS.queue_max // 8
        assert len(asked_at) > 1

    run(story, replace(SETTINGS, inflight_per_endpoint_max=4))


def test_a_lane_that_ran_dry_while_memory_was_full_is_not_forgotten() -> None:
    async def story(stage: Stage) -> None:
        dry = plan("dry")
        stage.offer(dry, 1)
        await asyncio.sleep(0)
        for index in range(3):
            stage.offer(plan(f"n{index}"), 54)
        stage.claim(plan("c"), 34)
        stage.dispatcher.room(dry.endpoint.id)
        await stage.end(1)
        assert stage.dispatcher.load(dry.endpoint.id) == 0
        assert stage.asked == 0
        while not stage.asked:
            await stage.end(1)
        assert stage.dispatcher.held > SETTINGS.queue_max // 2

    run(story, replace(SETTINGS, inflight_per_endpoint_max=4))


def test_a_full_process_serves_lanes_in_turn() -> None:
    async def story(stage: Stage) -> None:
        greedy, modest = plan("greedy"), plan("modest")
        stage.offer(greedy, 10)
        stage.offer(modest, 3)
        await stage.end(1)
        for _ in range(6):
            await stage.end(1)
        names = [name for name, _ in stage.started]
        assert names[:2] == ["ep_greedy", "ep_greedy"]
        assert names[2:8].count("ep_modest") == 3

    run(story, replace(SETTINGS, inflight_max=2, inflight_start=2))


def test_an_endpoint_rate_and_an_application_rate_are_kept() -> None:
    async def endpoint_rate(stage: Stage) -> None:
        to = plan("a", rate=2)
        assert stage.offer(to, 10) == 5  # one at once, two seconds' worth in memory
        for _ in range(4):
            await stage.end(1)
            await stage.clock.sleep(0.5)
        assert [at for _, at in stage.started] == [0.0, 0.5, 1.0, 1.5, 2.0]

    async def app_rate(stage: Stage) -> None:
        app = replace(APP, throttle_rate=1)
        stage.offer(plan("a", app=app), 1)
        stage.offer(plan("b", app=app), 1)
        await stage.end(1)
        await stage.clock.sleep(1.0)
        assert [at for _, at in stage.started] == [0.0, 1.0]

    run(endpoint_rate)
    run(app_rate)


def test_a_broken_lane_gives_its_queue_back_and_probes_with_one() -> None:
    async def story(stage: Stage) -> None:
        to = plan("a")
        stage.offer(to, 20)
        for _ in range(5):
            await stage.end(1, status=0)
        lane = stage.dispatcher.lane(to)
        assert not lane.breaker.is_closed
        assert stage.given_back
        assert not lane.queue
        due_at_ms = stage.dispatcher.place(to, 2, stage.clock.now_ms())
        assert due_at_ms >= stage.clock.now_ms() + 9_000
        room, closed_s = stage.dispatcher.room(to.endpoint.id)
        assert room == 0
        assert closed_s > 9
        await stage.end(len(stage.out), status=0)
        await stage.clock.sleep(10.1)
        started = len(stage.started)
        assert stage.offer(to, 5) == 2  # the probe, and one that waits behind it
        await asyncio.sleep(0)
        assert len(stage.started) == started + 1
        await stage.end(1)
        assert lane.breaker.is_closed
        assert stage.offer(to, 5) == 5

    run(story)


def test_poison_that_fails_again_and_again_slows_nobody() -> None:
    async def story(stage: Stage) -> None:
        to = plan("a")
        lane = stage.dispatcher.lane(to)
        for _ in range(10 * SETTINGS.breaker_failures):
            assert stage.claim(to, 1, attempts_made=1)
            await stage.end(1, status=500)
        assert lane.breaker.is_closed
        assert lane.window.limit == SETTINGS.inflight_per_endpoint_start
        assert stage.offer(to, 1) == 1

    run(story)


def test_a_receiver_that_answers_with_faults_is_tried_again_after_each_first_pause() -> None:
    async def story(stage: Stage) -> None:
        to = plan("a")
        lane = stage.dispatcher.lane(to)
        for _ in range(5):
            for number in range(SETTINGS.breaker_failures):
                assert stage.claim(to, 1), number
                await stage.end(1, status=500)
            assert lane.breaker.pause_s == SETTINGS.breaker_open_s
            assert stage.offer(to, 1) == 0
            await stage.clock.sleep(SETTINGS.breaker_open_s)
            assert stage.dispatcher.room(to.endpoint.id) == (2, 0.0), "one, and one behind it"
        stage.claim(to, 1)
        await stage.end(1, status=404)
        assert lane.breaker.is_closed

    run(story)


def test_a_closed_lane_holds_nothing_in_memory() -> None:
    """What was reserved before it closed, and what waits behind a probe that fails."""

    async def story(stage: Stage) -> None:
        to = plan("a")
        stage.offer(to, 4)
        await asyncio.sleep(0)
        assert stage.dispatcher.place(to, 2, 0) == RESERVED
        stage.dispatcher.failed(
            stage.out[0][0], Symptom.STRAIN, is_first=True, began_s=0.0, pause_s=10.0
        )
        stage.dispatcher.dispatch(to, job(to))
        await stage.end(4)
        assert stage.dispatcher.held == 0
        assert len(stage.given_back) == 1
        await stage.clock.sleep(10)
        assert stage.offer(to, 1) == 1

    async def behind_a_probe(stage: Stage) -> None:
        to = plan("a")
        for _ in range(SETTINGS.breaker_failures):
            stage.offer(to, 1)
            await stage.end(1, status=0)
        await stage.clock.sleep(SETTINGS.breaker_open_s)
        assert stage.offer(to, 5) == 2
        await stage.end(1, status=0)
        assert (stage.dispatcher.held, len(stage.given_back)) == (0, 1)
        assert stage.dispatcher.lane(to).breaker.pause_s == 2 * SETTINGS.breaker_open_s

    run(story)
    run(behind_a_probe)


def test_a_receiver_that_asks_for_quiet_gets_it() -> None:
    async def story(stage: Stage) -> None:
        to = plan("a")
        stage.offer(to, 6)
        await asyncio.sleep(0)
        lane = stage.out[0][0]
        stage.dispatcher.failed(lane, Symptom.STRAIN, is_first=True, began_s=0.0, pause_s=30.0)
        assert len(stage.given_back) == 2
        room, closed_s = stage.dispatcher.room(to.endpoint.id)
        assert (room, closed_s) == (0, 30.0)

    run(story)


def test_pause_starts_nothing_and_resume_goes_on() -> None:
    async def story(stage: Stage) -> None:
        stage.dispatcher.pause()
        stage.offer(plan("a"), 3)
        await asyncio.sleep(0)
        assert not stage.started
        stage.dispatcher.resume()
        await asyncio.sleep(0)
        assert len(stage.started) == 3

    run(story)


def test_stop_hands_back_and_takes_nothing() -> None:
    async def story(stage: Stage) -> None:
        to = plan("a")
        stage.offer(to, 10)
        await asyncio.sleep(0)
        stage.dispatcher.stop()
        assert len(stage.given_back) == 6
        assert stage.offer(to, 1) == 0
        await stage.end(4)
        await stage.dispatcher.finish(1.0)
        assert stage.dispatcher.in_flight == 0
        assert stage.dispatcher.bytes == 0

    run(story)


def test_a_lane_asks_for_waiting_work_when_it_runs_low() -> None:
    async def story(stage: Stage) -> None:
        to = plan("a")
        stage.offer(to, 12)
        room, closed_s = stage.dispatcher.room(to.endpoint.id)
        assert (room, closed_s) == (4, 0.0), "a windowful, however much is new"
        await stage.end(2)
        await stage.end(4)
        assert stage.asked == 1

    run(story)


def test_what_was_claimed_takes_turns_with_what_is_new() -> None:
    async def story(stage: Stage) -> None:
        to = plan("a")
        stage.offer(to, 10)
        for _ in range(3):
            stage.dispatcher.dispatch_claimed(to, job(to))
        lane = stage.dispatcher.lane(to)
        turns = [waiting.is_claimed for waiting in lane.queue]
        assert turns == [True, False, True, False, True, False, False, False, False]
        assert stage.dispatcher.room(to.endpoint.id) == (1, 0.0)
        await stage.end(4)
        assert lane.claimed == sum(waiting.is_claimed for waiting in lane.queue)
        await stage.end(8)
        assert (lane.claimed, stage.asked) == (0, 1)

    run(story)


def test_lanes_are_forgotten_when_there_are_too_many() -> None:
    async def story(stage: Stage) -> None:
        for index in range(50):
            stage.offer(plan(f"e{index}"), 1)
            await stage.end(1)
        assert len(stage.dispatcher._lanes) <= 10

    run(story, replace(SETTINGS, lanes_max=10))


def test_an_idle_process_lets_more_out_when_receivers_are_slow() -> None:
    async def story(stage: Stage) -> None:
        for index in range(10):
            stage.offer(plan(f"e{index}"), 4)
        await asyncio.sleep(0)
        assert len(stage.out) == 8
        await stage.clock.sleep(1)
        assert len(stage.out) == 40
        await stage.end(40)
        assert stage.dispatcher._limit == 8

    run(story, replace(SETTINGS, inflight_start=8))


# ---- several nodes ------------------------------------------------------------------------------


def test_windows_are_shared_among_nodes_and_never_less_than_one() -> None:
    async def story(stage: Stage) -> None:
        shop = plan("shop")
        assert stage.offer(shop, 40) == 40
        await asyncio.sleep(0)
        stage.dispatcher.lane(shop).window = Window(16)
        stage.dispatcher.share(4, OwnPace(), rank=0)
        assert stage.dispatcher.lane(shop).window.limit == 4
        stage.dispatcher.share(100, OwnPace(), rank=0)
        assert stage.dispatcher.lane(shop).window.limit == 1
        assert stage.dispatcher.lane(plan("new")).window.limit == 1
        stage.dispatcher.share(1, OwnPace(), rank=0)
        assert stage.dispatcher.lane(plan("newer")).window.limit == 4

    run(story)


def test_health_is_told_when_it_changes() -> None:
    async def story(stage: Stage) -> None:
        shop = plan("shop")
        stage.offer(shop, 5)
        for _ in range(5):
            await stage.end(1, status=500)
        assert stage.health == [False]
        stage.dispatcher.well(shop.endpoint.id)
        assert stage.dispatcher.room(shop.endpoint.id)[1] == 0.0
        stage.offer(shop, 1)
        await stage.end(1)
        assert stage.health == [False, True]
        stage.offer(shop, 1)
        await stage.end(1)
        assert stage.health == [False, True]

    run(story)


def test_a_success_is_told_to_who_waits_for_it() -> None:
    async def story(stage: Stage) -> None:
        shop = plan("shop")
        stage.offer(shop, 1)
        await stage.end(1)
        stage.dispatcher.watch(shop.endpoint.id)
        assert stage.health == []
        for status in (500, 200, 200):
            stage.offer(shop, 1)
            await stage.end(1, status=status)
        assert stage.health == [True]

    run(story)


def test_only_a_taker_of_messages_has_no_room() -> None:
    async def story(clock: SimulatedClock) -> None:
        stage = Stage(clock, replace(SETTINGS, role="api"))
        assert stage.offer(plan("shop"), 3) == 0
        assert stage.dispatcher.claimable() == 0

    simulate(1, story)


def test_whoever_lost_the_lease_cuts_off_what_is_being_sent() -> None:
    async def story(stage: Stage) -> None:
        stage.offer(plan("shop"), 10)
        await asyncio.sleep(0)
        ends = [end for _, end in stage.out]
        stage.dispatcher.abandon()
        await asyncio.sleep(0)
        assert ends
        assert all(end.cancelled() for end in ends)
        assert (stage.dispatcher.held, stage.dispatcher.in_flight) == (0, 0)

    run(story)


def test_versions_are_those_of_what_waits() -> None:
    async def story(stage: Stage) -> None:
        stage.offer(plan("idle"), 1)
        await stage.end(1)
        assert stage.dispatcher.versions() == {}
        stage.offer(plan("busy"), 10)
        assert stage.dispatcher.versions() == {APP.id: 1}
        assert stage.dispatcher.is_older(APP.id, 2)
        assert not stage.dispatcher.is_older(APP.id, 1)
        assert not stage.dispatcher.is_older("app_other", 9)

    run(story)
