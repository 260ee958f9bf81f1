"""Receivers that cannot digest some messages, and receivers that are down, in virtual time.

A message that always fails must not hold up those beside it, however many there are. A receiver
that is down must be spared all the same, and get everything soon after it is back.
"""

from zlib import crc32

import pytest

from ringback.config import Settings
from ringback.testing.simulation import Answer, Receiver, SimulatedClock, simulate
from ringback.testing.world import World

HOUR_S = 3_600.0
SETTINGS = Settings(tend_every_s=HOUR_S, lease_s=10 * HOUR_S, endpoint_disable_after_h=0)
FAULT, CRASH, HANG, DEAD = Answer(500), Answer(502), Answer(200, delay_s=1_000.0), Answer(0)


def is_poison(msg_id: str, share: float) -> bool:
    """For some messages always, for the others never."""
    return crc32(msg_id.encode()) % 1_000 < share * 1_000


def picky(share: float, answer: Answer) -> Receiver:
    def receive(msg_id: str, _now_ms: int) -> Answer:
        return answer if is_poison(msg_id, share) else Answer(200, delay_s=0.05)

    return receive


async def traffic(world: World, *, count: int, gap_s: float) -> None:
    """Now one message, now ten at once."""
    for number in range(count):
        await world.publish(number)
        if world.clock.seeded.random() < 0.8:
            await world.clock.sleep(2 * gap_s * world.clock.seeded.random())


@pytest.mark.parametrize(
    ("answer", "share", "late_s_max"),
    [
        (FAULT, 0.05, 1),
        (FAULT, 0.2, 1),
        (FAULT, 0.5, 1),
        (CRASH, 0.05, 1),
        (CRASH, 0.5, 1),
        (HANG, 0.05, 300),  # each takes up a place for as long as the timeout
    ],
)
def test_poison_holds_up_no_good_message(answer: Answer, share: float, late_s_max: float) -> None:
    """Two hours of traffic; every poisoned message comes again by its schedule."""

    async def story(clock: SimulatedClock) -> None:
        world = World(clock, SETTINGS)
        await world.start()
        await world.populate({"picky": (picky(share, answer), None)})
        await traffic(world, count=2_000, gap_s=4.0)
        await clock.sleep(HOUR_S)
        delays_s = world.delays_s("picky")
        assert delays_s.keys() == {
            msg_id for msg_id in world.accepted if not is_poison(msg_id, share)
        }
        assert max(delays_s.values()) <= late_s_max
        await world.engine.stop()

    simulate(1, story)


@pytest.mark.parametrize(
    ("answer", "count"), [(FAULT, 20), (FAULT, 60), (CRASH, 20)], ids=["500", "many 500", "502"]
)
def test_poison_that_comes_all_at_once_holds_up_good_messages_for_seconds(
    answer: Answer, count: int
) -> None:
    """It opens the breaker, and the same messages fail again and again later."""

    async def story(clock: SimulatedClock) -> None:
        poison: set[str] = set()
        world = World(clock, SETTINGS)
        await world.start()
        await world.populate(
            {"picky": (lambda msg_id, _: answer if msg_id in poison else Answer(200), None)}
        )
        for number in range(count):
            poison.add(await world.publish(number))
        for number in range(500):
            await clock.sleep(1.0)
            await world.publish(number)
        await clock.sleep(60)
        delays_s = world.delays_s("picky")
        assert delays_s.keys() == world.accepted.keys() - poison
        late = [delay_s for delay_s in delays_s.values() if delay_s > 1]
        assert late, "the breaker did not open"
        pauses = count // SETTINGS.breaker_failures
        assert max(late) <= pauses * SETTINGS.breaker_open_s + 1
        assert len(late) <= pauses * (SETTINGS.breaker_open_s + 1)
        assert world.arrived("picky") >= 500 + 3 * count, "poison did not come again"
        await world.engine.stop()

    simulate(1, story)


@pytest.mark.parametrize("answer", [DEAD, Answer(503), HANG], ids=["refused", "503", "hang"])
def test_a_receiver_that_is_down_is_spared(answer: Answer) -> None:
    """For an hour. Few messages are tried, and all the others come soon after it is up."""

    async def story(clock: SimulatedClock) -> None:
        world = World(clock, SETTINGS)
        await world.start()
        up_at_ms = clock.now_ms() + int(HOUR_S * 1000)
        await world.populate({"down": (down_until(up_at_ms, answer), None)})
        for number in range(1_800):
            await world.publish(number)
            await clock.sleep(2)
        tried = {one.msg_id for one in world.wire.arrivals}
        assert world.arrived("down") <= 100
        assert len(tried) <= 60
        await clock.sleep(SETTINGS.breaker_open_s_max + 60)
        assert world.delays_s("down").keys() >= world.accepted.keys() - tried
        await clock.sleep(20 * HOUR_S)
        assert world.delays_s("down").keys() == world.accepted.keys()
        await world.engine.stop()

    simulate(1, story)


def test_a_receiver_that_answers_with_faults_is_asked_little_and_serves_soon() -> None:
    """Twenty messages a second for 100 seconds: the threshold of them is tried each pause."""

    async def story(clock: SimulatedClock) -> None:
        world = World(clock, SETTINGS)
        await world.start()
        up_at_ms = clock.now_ms() + 100_000
        await world.populate({"broken": (down_until(up_at_ms, FAULT), None)})
        for number in range(2_000):
            await world.publish(number)
            await clock.sleep(0.05)
        tried = {one.msg_id for one in world.wire.arrivals}
        pauses = 100 / SETTINGS.breaker_open_s
        assert len(tried) <= (pauses + 1) * SETTINGS.breaker_failures
        await clock.sleep(SETTINGS.breaker_open_s + 60)
        delays_s = world.delays_s("broken")
        untried = world.accepted.keys() - tried
        assert delays_s.keys() >= untried
        assert max(delays_s[msg_id] for msg_id in untried) <= 100 + SETTINGS.breaker_open_s + 10
        await world.engine.stop()

    simulate(1, story)


def down_until(at_ms: int, answer: Answer) -> Receiver:
    return lambda _, now_ms: answer if now_ms < at_ms else Answer(200)
