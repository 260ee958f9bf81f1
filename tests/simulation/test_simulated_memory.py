"""A memory that is full all the time, in virtual time: nobody is kept out of it for ever.

New messages and work that was claimed compete for `queue_max`; the regular look for due work comes
once an hour here, so that it rescues nobody.
"""

import pytest
from msgspec.structs import replace

from ringback.config import Settings
from ringback.testing.simulation import Answer, SimulatedClock, simulate
from ringback.testing.world import World

HOUR_S = 3_600.0
LATE_S_MAX = 5.0
BUSY = [f"busy{number}" for number in range(6)]
SETTINGS = Settings(
    tend_every_s=HOUR_S,
    lease_s=10 * HOUR_S,
    inflight_max=8,
    inflight_start=8,
    inflight_per_endpoint_max=4,
    inflight_per_endpoint_start=4,
    retry_schedule=(5.0, 30.0),
    retry_jitter=0.0,
)


def slow(_msg_id: str, _now_ms: int) -> Answer:
    return Answer(200, delay_s=1.0)


@pytest.mark.parametrize("queue_max", [1, 2, 8, 40])
def test_retries_come_while_new_messages_fill_memory(queue_max: int) -> None:
    """Eight attempts a second are possible, twelve messages come, to others."""

    async def story(clock: SimulatedClock) -> None:
        answers = iter([Answer(500), Answer(500), Answer(200)])
        world = World(clock, replace(SETTINGS, queue_max=queue_max))
        await world.start()
        await world.populate(
            {"late": (lambda *_: next(answers), None)} | dict.fromkeys(BUSY, (slow, None))
        )
        await world.publish(0, only="late")
        for number in range(12 * 90):
            await world.publish(number, only=BUSY[number % len(BUSY)])
            assert world.engine.dispatcher.held <= queue_max
            await clock.sleep(1 / 12)
        [delay_s] = world.delays_s("late").values()
        assert delay_s <= sum(SETTINGS.retry_schedule) + LATE_S_MAX
        await world.engine.stop()

    simulate(1, story)


@pytest.mark.parametrize("queue_max", [8, 40])
def test_new_messages_come_while_claimed_work_fills_memory(queue_max: int) -> None:
    """A thousand deliveries wait, to others: two minutes' worth."""

    async def story(clock: SimulatedClock) -> None:
        world = World(clock, replace(SETTINGS, queue_max=queue_max))
        await world.start()
        await world.populate(
            {"fresh": (lambda *_: Answer(200), None)} | dict.fromkeys(BUSY, (slow, None))
        )
        for number in range(1_000):
            await world.publish(number, only=BUSY[number % len(BUSY)])
        for number in range(60):
            await clock.sleep(1)
            await world.publish(number, only="fresh")
            assert world.engine.dispatcher.held <= queue_max
        await clock.sleep(10)
        assert sum(world.arrived(name) for name in BUSY) < 1_000, "others still wait"
        delays_s = world.delays_s("fresh")
        assert len(delays_s) == 60
        assert max(delays_s.values()) <= LATE_S_MAX
        await clock.sleep(200)
        assert len({one.msg_id for one in world.wire.arrivals}) == len(world.accepted)
        await world.engine.stop()

    simulate(1, story)
