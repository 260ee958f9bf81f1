"""Batches of which nobody knows whether they were committed."""

from ringback.store.postgres.doubt import KEPT_MAX, KEPT_S, Doubts
from ringback.testing.simulation import SimulatedClock, simulate


def test_a_doubt_outlives_a_commit_that_waits_for_a_standby() -> None:
    async def story(clock: SimulatedClock) -> None:
        doubts = Doubts(clock)
        doubts.add(1)
        await clock.sleep(KEPT_S / 2)
        doubts.add(2)
        doubts.add(3)
        doubts.resolve(3)
        assert doubts.current() == [1, 2]
        await clock.sleep(KEPT_S / 2)
        assert doubts.current() == [2]

    simulate(1, story)


def test_doubts_are_bounded_and_the_oldest_goes_first() -> None:
    async def story(clock: SimulatedClock) -> None:
        doubts = Doubts(clock)
        for batch_id in range(KEPT_MAX + 2):
            doubts.add(batch_id)
        assert doubts.current() == list(range(2, KEPT_MAX + 2))

    simulate(1, story)
