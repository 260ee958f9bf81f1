"""What dispatchers of several nodes share and tell each other."""

import asyncio

from msgspec.structs import replace

from ringback.engine.pace import OwnPace
from ringback.rules.lanes import Window
from ringback.testing.dispatching import APP, SETTINGS, Stage, plan, run
from ringback.testing.simulation import SimulatedClock, simulate


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
        stage.dispatcher.down(shop.endpoint.id, 5.0)
        assert stage.health == []
        for status in (500, 200, 200):
            stage.offer(shop, 1)
            await stage.end(1, status=status)
        assert stage.health == [True]

    run(story)


def test_a_probe_in_vain_is_told_and_makes_others_pause() -> None:
    async def story(stage: Stage) -> None:
        shop = plan("shop")
        endpoint_id = shop.endpoint.id
        stage.offer(shop, 5)
        for _ in range(5):
            await stage.end(1, status=503)
        first_s = stage.dispatcher.room(endpoint_id)[1]
        await stage.clock.sleep(first_s)
        stage.offer(shop, 1)
        await stage.end(1, status=503)
        assert stage.health == [False, False]
        own_s = stage.dispatcher.room(endpoint_id)[1]
        await stage.clock.sleep(own_s)
        stage.offer(shop, 1)
        stage.dispatcher.pause()
        stage.dispatcher.down(endpoint_id, own_s)
        assert stage.dispatcher.room(endpoint_id) == (0, own_s)
        assert stage.health == [False, False]  # who hears it does not tell it again

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
