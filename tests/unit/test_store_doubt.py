"""Batches of which nobody knows whether they were committed."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from ringback.errors import StoreUnavailable
from ringback.store.doubt import KEPT_MAX, KEPT_S, Doubts
from ringback.testing.simulation import SimulatedClock, simulate


class AnswerLost(StoreUnavailable):
    pass


def told(story: Callable[[SimulatedClock, Doubts], Awaitable[None]]) -> None:
    async def whole(clock: SimulatedClock) -> None:
        await story(clock, Doubts(clock, lambda error: isinstance(error, AnswerLost)))

    simulate(1, whole)


def failing(error: StoreUnavailable) -> Callable[[], Awaitable[Any]]:
    async def write() -> None:
        raise error

    return write


def test_a_doubt_outlives_a_commit_that_waits_for_a_standby() -> None:
    async def story(clock: SimulatedClock, doubts: Doubts) -> None:
        doubts.add(1)
        await clock.sleep(KEPT_S / 2)
        doubts.add(2)
        assert doubts.current() == [1, 2]
        await clock.sleep(KEPT_S / 2)
        assert doubts.current() == [2]

    told(story)


def test_doubts_are_bounded_and_the_oldest_goes_first() -> None:
    async def story(_: SimulatedClock, doubts: Doubts) -> None:
        for batch_id in range(KEPT_MAX + 2):
            doubts.add(batch_id)
        assert doubts.current() == list(range(2, KEPT_MAX + 2))

    told(story)


def test_what_was_adopted_is_in_doubt_no_more() -> None:
    async def story(_: SimulatedClock, doubts: Doubts) -> None:
        async def adopt(lost: list[int]) -> list[int]:
            assert lost == [1, 2]
            return [2, 77]

        doubts.add(1)
        doubts.add(2)
        assert await doubts.adopt(adopt) == 2
        assert doubts.current() == [1]

    told(story)


def test_only_a_lost_answer_leaves_a_doubt() -> None:
    async def story(_: SimulatedClock, doubts: Doubts) -> None:
        for batch_id, error in enumerate((StoreUnavailable("refused"), AnswerLost("gone"))):
            with pytest.raises(StoreUnavailable):
                await doubts.write(batch_id, failing(error))
            with pytest.raises(StoreUnavailable):
                await doubts.accept(
                    10 + batch_id, (), write=failing(error), find=failing(StoreUnavailable("gone"))
                )
        assert doubts.current() == [1, 11]

    told(story)


def test_what_may_yet_be_found_is_not_adopted_meanwhile() -> None:
    """Else it would be sent by whoever found it, and by whoever claims what was adopted."""

    async def story(_: SimulatedClock, doubts: Doubts) -> None:
        async def find() -> set[str]:
            assert doubts.current() == []
            return {"msg_1"}

        assert await doubts.accept(1, (), write=failing(AnswerLost("gone")), find=find) == []
        assert doubts.current() == []

    told(story)
