"""The dispatcher: windows, rates, turns, pauses; on a virtual clock."""

import asyncio

from msgspec.structs import replace

from ringback.engine.dispatch import RESERVED
from ringback.rules.health import Symptom
from ringback.testing.dispatching import APP, SETTINGS, Stage, job, plan, run


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
