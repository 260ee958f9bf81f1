"""The whole engine in virtual time: crashes, failing stores, receivers of every kind, many seeds.

Each story lasts simulated weeks. What must hold whatever the seed:

    no accepted message is lost: each delivery ends delivered or exhausted
    no scheduled attempt starts before the time that its predecessor planned
    attempts of a delivery never exceed its schedule, and are counted without gaps
    an endpoint's window and rate are respected
    nothing arrives twice unless there was a crash, and then under the same id
"""

import itertools
import os
from collections import Counter
from collections.abc import Callable

import pytest
from msgspec import Struct
from msgspec.structs import replace

from ringback.config import Settings
from ringback.model import AttemptStatus
from ringback.testing.simulation import Answer, Receiver, SimulatedClock, simulate
from ringback.testing.world import World

DAY_S = 86_400.0
HOUR_S = 3_600.0
SETTINGS = Settings(
    tend_every_s=HOUR_S,
    lease_s=10 * HOUR_S,
    retention_every_s=DAY_S,
    endpoint_disable_after_h=0,
    inflight_per_endpoint_max=8,
    inflight_per_endpoint_start=4,
    lane_queue_max=10,
)
RATE = 5
MONTHS = int(os.environ.get("RINGBACK_TEST_MONTHS", "6"))  # runs of each kind


def healthy(_msg_id: str, _now_ms: int) -> Answer:
    return Answer(200)


def flaky(clock: SimulatedClock, share: float) -> Receiver:
    def receive(_msg_id: str, _now_ms: int) -> Answer:
        luck = clock.seeded.random()
        if luck < share:
            return Answer(clock.seeded.choice([0, 404, 429, 500, 503]), clock.seeded.random())
        return Answer(200, clock.seeded.random())

    return receive


def down_until(at_ms: int) -> Receiver:
    def receive(_msg_id: str, now_ms: int) -> Answer:
        return Answer(200 if now_ms >= at_ms else 0)

    return receive


def hanging(_msg_id: str, _now_ms: int) -> Answer:
    return Answer(200, delay_s=1_000.0)


def asking_for_quiet(clock: SimulatedClock) -> Receiver:
    def receive(_msg_id: str, _now_ms: int) -> Answer:
        if clock.seeded.random() < 0.3:
            return Answer(429, headers=(("retry-after", str(clock.seeded.randint(1, 7200))),))
        return Answer(200)

    return receive


class Fate(Struct):
    delivered: int = 0
    exhausted: int = 0


async def judge(world: World) -> Fate:
    """Check every invariant; counts of how deliveries ended."""
    fate = Fate()
    attempts = await world.attempts()
    acknowledged = Counter(
        (arrival.msg_id, arrival.url) for arrival in world.wire.arrivals if arrival.status == 200
    )
    schedule = world.settings.retry_schedule
    for msg_id, endpoint_ids in world.accepted.items():
        for endpoint_id in endpoint_ids:
            rows = attempts[msg_id, endpoint_id]
            assert rows, f"{msg_id} was lost on its way to {endpoint_id}"
            assert [row.number for row in rows] == list(range(1, len(rows) + 1))
            assert len(rows) <= len(schedule) + 1
            for before, after in itertools.pairwise(rows):
                assert before.next_at_ms is not None
                assert after.started_at_ms >= before.next_at_ms
            if rows[-1].status is AttemptStatus.SUCCESS:
                fate.delivered += 1
                assert acknowledged[msg_id, rows[-1].url] >= 1
            else:
                assert len(rows) == len(schedule) + 1, f"{msg_id} stopped early: {rows[-1]}"
                assert rows[-1].next_at_ms is None
                fate.exhausted += 1
    assert await world.store.path.next_due_at_ms() is None
    for url, most in world.wire.in_flight_most.items():
        assert most <= world.settings.inflight_per_endpoint_max, url
    if not world.crashes:
        assert all(count == 1 for count in acknowledged.values())
    return fate


def assert_rate(world: World, url: str) -> None:
    """No second sees more than 5 % above the rate, plus the one that is always allowed."""
    times = [arrival.at_ms for arrival in world.wire.arrivals if arrival.url == url]
    most = int(RATE * 1.05) + 1
    for first, last in zip(times, times[most:], strict=False):
        assert last - first >= 1_000, f"{most + 1} attempts within {last - first} ms"


async def a_month(clock: SimulatedClock, settings: Settings, *, crashes: int) -> World:
    """Thirty days of traffic in bursts, then quiet ones in which every retry must end."""
    world = World(clock, settings)
    await world.start()
    await world.populate(
        {
            "healthy": (healthy, None),
            "flaky": (flaky(clock, 0.5), None),
            "throttled": (healthy, RATE),
            "quiet": (asking_for_quiet(clock), None),
            "hanging": (hanging, None),
            "outage": (down_until(clock.now_ms() + int(12 * DAY_S * 1000)), None),
        }
    )
    crash_days = {clock.seeded.randint(0, 29) for _ in range(crashes)}
    for day in range(30):
        for number in range(clock.seeded.randint(0, 10)):
            await world.publish(day * 100 + number)
        await clock.sleep(clock.seeded.random() * 20)
        if day in crash_days:
            await world.crash()
        await clock.sleep(DAY_S * clock.seeded.random())
    # A dead endpoint is only probed, so its deliveries take their time to exhaust the schedule.
    await clock.sleep(20 * DAY_S)
    return world


@pytest.mark.parametrize("seed", range(MONTHS))
def test_nothing_is_lost_in_a_month(seed: int) -> None:
    async def story(clock: SimulatedClock) -> None:
        world = await a_month(clock, SETTINGS, crashes=0)
        fate = await judge(world)
        assert fate.delivered
        assert fate.exhausted
        assert_rate(world, "http://throttled.example/")
        await world.engine.stop()

    simulate(seed, story)


@pytest.mark.parametrize("seed", range(100, 100 + MONTHS))
def test_nothing_is_lost_when_the_process_crashes(seed: int) -> None:
    async def story(clock: SimulatedClock) -> None:
        world = await a_month(clock, SETTINGS, crashes=8)
        fate = await judge(world)
        assert world.crashes
        assert fate.delivered
        await world.engine.stop()

    simulate(seed, story)


def test_the_same_seed_gives_the_same_run() -> None:
    def arrivals(seed: int) -> list[tuple[str, int, int]]:
        async def story(clock: SimulatedClock) -> list[tuple[str, int, int]]:
            world = await a_month(clock, SETTINGS, crashes=3)
            await world.engine.stop()
            return [(one.url, one.at_ms, one.status) for one in world.wire.arrivals]

        return simulate(seed, story)

    assert arrivals(7) == arrivals(7)
    assert arrivals(7) != arrivals(8)


def test_a_dead_endpoint_is_disabled_after_days_of_nothing_but_failure() -> None:
    async def story(clock: SimulatedClock) -> None:
        world = World(clock, replace(SETTINGS, endpoint_disable_after_h=48.0))
        await world.start()
        await world.populate({"hanging": (hanging, None), "flaky": (flaky(clock, 0.5), None)})
        for day in range(10):
            await world.publish(day)
            await clock.sleep(DAY_S)
        dead = await world.store.resources.get_endpoint(world.app.id, "hanging")
        alive = await world.store.resources.get_endpoint(world.app.id, "flaky")
        assert dead is not None
        assert dead.is_disabled
        assert alive is not None
        assert not alive.is_disabled
        await world.engine.stop()

    simulate(3, story)


def test_gone_disables_at_once_and_enabling_sends_what_waited() -> None:
    async def story(clock: SimulatedClock) -> None:
        world = World(clock, SETTINGS)
        await world.start()
        answers = iter([Answer(500), Answer(410)])
        await world.populate({"moved": (lambda _id, _now: next(answers, Answer(200)), None)})
        await world.publish(1)
        await clock.sleep(1)
        await world.publish(2)
        await clock.sleep(HOUR_S)
        endpoint = await world.store.resources.get_endpoint(world.app.id, "moved")
        assert endpoint is not None
        assert endpoint.is_disabled
        assert [arrival.status for arrival in world.wire.arrivals] == [500, 410]
        await world.store.resources.update_endpoint(
            world.app.id, "moved", lambda one: replace(one, is_disabled=False)
        )
        world.engine.changed(world.app.id)
        await clock.sleep(HOUR_S)
        assert [arrival.status for arrival in world.wire.arrivals] == [500, 410, 200]
        assert world.wire.arrivals[2].msg_id == world.wire.arrivals[0].msg_id
        await world.engine.stop()

    simulate(4, story)


def test_a_broken_receiver_is_probed_and_costs_no_attempts() -> None:
    """While the breaker is open, waiting deliveries spend no attempts on a receiver known down."""

    async def story(clock: SimulatedClock) -> None:
        world = World(clock, SETTINGS)
        await world.start()
        up_at_ms = clock.now_ms() + int(2 * HOUR_S * 1000)
        await world.populate({"down": (down_until(up_at_ms), None)})
        for number in range(500):
            await world.publish(number)
        await clock.sleep(DAY_S)
        fate = await judge(world)
        assert fate == Fate(delivered=500)
        before = sum(arrival.at_ms < up_at_ms for arrival in world.wire.arrivals)
        assert before < 300  # twenty trip it, then one probe in five minutes at most, and retries
        await world.engine.stop()

    simulate(5, story)


def test_recover_sends_again_what_failed_for_good() -> None:
    async def story(clock: SimulatedClock) -> None:
        world = World(clock, replace(SETTINGS, retry_schedule=(1.0, 2.0), breaker_failures=1_000))
        await world.start()
        began_ms = clock.now_ms()
        await world.populate({"down": (down_until(began_ms + 60_000), None)})
        for number in range(30):
            await world.publish(number)
        await clock.sleep(300)
        lost = [arrival.status for arrival in world.wire.arrivals]
        exhausted = [
            rows[-1] for rows in (await world.attempts()).values() if rows[-1].next_at_ms is None
        ]
        failed = [row for row in exhausted if row.status is AttemptStatus.FAIL]
        assert failed
        assert set(lost) >= {0}
        task = await world.engine.recover(
            world.app,
            world.endpoints["down"],
            since_ms=began_ms,
            until_ms=clock.now_ms(),
        )
        await clock.sleep(300)
        stored = await world.store.tending.get_task("org_simulated", task.id)
        assert stored is not None
        assert stored.status == "finished"
        assert stored.done_count == len(failed)
        delivered = {arrival.msg_id for arrival in world.wire.arrivals if arrival.status == 200}
        assert delivered == set(world.accepted)
        await world.engine.stop()

    simulate(6, story)


def test_a_failing_database_loses_nothing_it_accepted() -> None:
    """Every tenth write fails before its commit; the engine tries again."""

    async def story(clock: SimulatedClock) -> None:
        world = World(clock, SETTINGS)
        await world.start()
        await world.populate({"flaky": (flaky(clock, 0.3), None), "healthy": (healthy, None)})
        _make_unreliable(world, lambda: clock.seeded.random() < 0.1)
        for number in range(300):
            await world.publish(number)
            await clock.sleep(clock.seeded.random() * 100)
        await clock.sleep(10 * DAY_S)
        assert len(world.accepted) < 300
        fate = await judge(world)
        assert fate.delivered >= 2 * len(world.accepted) * 0.9
        await world.engine.stop()

    simulate(9, story)


def _make_unreliable(world: World, is_unlucky: Callable[[], bool]) -> None:
    """Let writes fail before they commit: a file never loses the answer to a commit."""
    from ringback.errors import StoreUnavailable

    path = world.store.path
    for name in ("accept", "record", "claim"):
        original = getattr(path, name)

        async def unreliable(*args: object, _original=original, **kwargs: object) -> object:  # type: ignore[no-untyped-def]
            if is_unlucky():
                raise StoreUnavailable("the disk is having a bad day")
            return await _original(*args, **kwargs)

        setattr(path, name, unreliable)


def test_the_loop_is_not_kept_awake_by_nothing() -> None:
    """An idle week is a few thousand wake-ups, not millions."""

    async def story(clock: SimulatedClock) -> None:
        world = World(clock, SETTINGS)
        await world.start()
        await world.populate({"healthy": (healthy, None)})
        passes = 0
        original = world.engine.claimer._pass

        async def counted() -> None:
            nonlocal passes
            passes += 1
            await original()

        world.engine.claimer._pass = counted  # type: ignore[method-assign]
        await clock.sleep(7 * DAY_S)
        assert passes <= 7 * 24 + 10
        await world.engine.stop()

    simulate(10, story)
