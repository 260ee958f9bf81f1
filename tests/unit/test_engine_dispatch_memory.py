"""What the dispatcher holds: bounds of lanes, jobs and bytes, and whose turn it is for room."""

import asyncio

from msgspec.structs import replace

from ringback.testing.dispatching import SETTINGS, Stage, job, plan, run


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
