"""Rates that nodes share, as one node keeps them; on a virtual clock."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from ringback.engine.lane import AppLanes, Batch, Job, Lane
from ringback.engine.pace import AHEAD_S, ASKED, LATE_S, SharedPace
from ringback.engine.routes import Plan
from ringback.errors import StoreUnavailable
from ringback.model import Application, Delivery, Message
from ringback.rules.lanes import Window
from ringback.rules.rates import SECOND_US
from ringback.rules.retry import Rules
from ringback.store.nodes import Grant, NodeAbout, NodeState, Standing, Want
from ringback.store.port import Lease
from ringback.store.rates import share_out
from ringback.testing import nouns
from ringback.testing.simulation import SimulatedClock, simulate

RATE = 40


class Rates:
    """Only the rates of a store; other nodes may take from them too."""

    def __init__(self, clock: SimulatedClock) -> None:
        self._clock = clock
        self.next_us: dict[str, int] = {}
        self.calls: list[Sequence[Want]] = []
        self.is_down = False

    async def reserve(self, wants: Sequence[Want]) -> list[Grant]:
        self.calls.append(wants)
        if self.is_down:
            raise StoreUnavailable("the server is gone")
        now_us = round(self._clock.monotonic() * SECOND_US)
        grants, changed = share_out(wants, self.next_us, now_us=now_us)
        self.next_us.update(changed)
        return grants

    async def join(self, about: NodeAbout, *, lease_ms: int) -> Lease:
        raise NotImplementedError

    async def renew(self, lease: Lease, *, lease_ms: int, skew_ms: int = 0) -> Standing:
        raise NotImplementedError

    async def leave(self, lease: Lease) -> None:
        raise NotImplementedError

    async def list_nodes(self) -> list[NodeState]:
        return []


class Stage:
    """Lanes that send as soon as they may."""

    def __init__(self, clock: SimulatedClock) -> None:
        self.clock = clock
        self.rates = Rates(clock)
        self.sent_s: list[tuple[str, float]] = []
        self.pace = SharedPace(self.rates, clock, pump=self.pump)
        self._app = AppLanes()

    def lane(self, name: str, count: int, *, rate: int | None = RATE, app_rate: int = 0) -> Lane:
        app = Application("app_1", "org_1", "shop", None, app_rate or None, {}, 1, 0, 0)
        endpoint = nouns.endpoint(id=name, app_id=app.id, throttle_rate=rate)
        lane = Lane(Plan(app, endpoint, Rules((), 0.0, 0.0)), Window(64), self._app)
        message = Message("msg_1", "app_1", "a.b", None, None, b"x", None, None, None, 0)
        for _ in range(count):
            lane.queue.append(Job(Delivery("app_1", "msg_1", name), Batch(1, 1), message))
        return lane

    def pump(self, lane: Lane) -> None:
        while lane.queue:
            now_s = self.clock.monotonic()
            wait_s = self.pace.wait_s(lane, now_s)
            if wait_s == ASKED:
                return
            if wait_s > 0:
                asyncio.get_running_loop().call_later(wait_s, self.pump, lane)
                return
            lane.queue.popleft()
            self.sent_s.append((lane.plan.endpoint.id, now_s))


def run(story: Callable[[Stage], Awaitable[None]]) -> None:
    async def on_stage(clock: SimulatedClock) -> None:
        stage = Stage(clock)
        taking = asyncio.create_task(stage.pace.run())
        await story(stage)
        taking.cancel()

    simulate(1, on_stage)


def test_the_whole_rate_is_used_and_no_more() -> None:
    async def story(stage: Stage) -> None:
        stage.pump(stage.lane("ep_1", 10 * RATE))
        await stage.clock.sleep(5.0)
        assert abs(len(stage.sent_s) - 5 * RATE) <= 1

    run(story)


def test_little_is_taken_ahead_and_many_lanes_take_at_once() -> None:
    async def story(stage: Stage) -> None:
        for number in range(30):
            stage.pump(stage.lane(f"ep_{number}", 10 * RATE))
        await stage.clock.sleep(0.001)
        assert len(stage.rates.calls) == 1
        assert len(stage.rates.calls[0]) == 30
        assert {want.count for want in stage.rates.calls[0]} == {int(AHEAD_S * RATE)}
        await stage.clock.sleep(1.0)
        assert len(stage.rates.calls) <= 12

    run(story)


def test_no_more_is_taken_than_there_is_to_send() -> None:
    async def story(stage: Stage) -> None:
        stage.pump(stage.lane("ep_1", 3))
        await stage.clock.sleep(5.0)
        assert [want.count for wants in stage.rates.calls for want in wants] == [3]
        assert len(stage.sent_s) == 3

    run(story)


def test_the_rate_of_an_application_is_kept_by_all_its_lanes() -> None:
    async def story(stage: Stage) -> None:
        for name in ("ep_1", "ep_2", "ep_3"):
            stage.pump(stage.lane(name, 10 * RATE, rate=None, app_rate=RATE))
        await stage.clock.sleep(5.0)
        assert abs(len(stage.sent_s) - 5 * RATE) <= 2
        assert len({name for name, _ in stage.sent_s}) == 3

    run(story)


def test_what_others_have_taken_is_waited_for() -> None:
    async def story(stage: Stage) -> None:
        stage.rates.next_us["ep_1"] = 3 * SECOND_US
        stage.pump(stage.lane("ep_1", 5))
        await stage.clock.sleep(2.9)
        assert stage.sent_s == []
        await stage.clock.sleep(1.0)
        assert len(stage.sent_s) == 5

    run(story)


def test_nothing_is_sent_while_the_database_is_away() -> None:
    async def story(stage: Stage) -> None:
        stage.rates.is_down = True
        stage.pump(stage.lane("ep_1", 5))
        await stage.clock.sleep(10.0)
        assert stage.sent_s == []
        assert len(stage.rates.calls) <= 21
        stage.rates.is_down = False
        await stage.clock.sleep(2.0)
        assert len(stage.sent_s) == 5

    run(story)


def test_sends_that_were_not_used_in_time_are_lost() -> None:
    async def story(stage: Stage) -> None:
        lane = stage.lane("ep_1", 20)
        assert stage.pace.wait_s(lane, 0.0) == ASKED
        stage.pace._pump = lambda _: None
        await stage.clock.sleep(1.0)
        assert lane.sends is not None
        assert len(lane.sends) == int(AHEAD_S * RATE)
        assert lane.sends[-1] < 1.0 - LATE_S
        assert stage.pace.wait_s(lane, 1.0) == ASKED

    run(story)


def test_a_node_that_has_just_come_waits_until_the_others_know() -> None:
    async def story(stage: Stage) -> None:
        stage.pace.opens_at_s = 0.5
        stage.pump(stage.lane("ep_1", 5))
        await stage.clock.sleep(0.4)
        assert stage.rates.calls == []
        await stage.clock.sleep(0.2)
        assert stage.sent_s

    run(story)
