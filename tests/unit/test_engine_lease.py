"""The right to send: kept in time, doubted when it cannot be renewed, lost, joined anew."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import pytest

from ringback.config import Settings
from ringback.engine.lease import LAPSE_SLACK_S, RENEWALS_PER_LEASE, Tenure
from ringback.errors import Fenced, StoreUnavailable
from ringback.store.nodes import Grant, NodeAbout, NodeState, Standing, Want
from ringback.store.port import Lease
from ringback.testing.simulation import SimulatedClock, simulate

SETTINGS = Settings(lease_s=30.0)


class Registry:
    """Nodes whose database works, is away, or has given the lease to somebody else."""

    def __init__(self, clock: SimulatedClock) -> None:
        self.epochs = 0
        self.ahead_ms = 0
        self.took_s = 0.0
        self.skew_ms = 0
        self.lapses_in_ms: int | None = None
        self.renewed_s: list[float] = []
        self.trouble: Exception | None = None
        self._clock = clock

    async def join(self, about: NodeAbout, *, lease_ms: int) -> Lease:
        if isinstance(self.trouble, StoreUnavailable):
            raise self.trouble
        self.trouble = None
        self.epochs += 1
        return Lease(about.host, self.epochs)

    async def renew(self, lease: Lease, *, lease_ms: int, skew_ms: int = 0) -> Standing:
        self.renewed_s.append(self._clock.monotonic())
        if self.trouble is not None:
            raise self.trouble
        self.skew_ms = skew_ms
        await self._clock.sleep(self.took_s / 2)
        now_ms = self._clock.now_ms() + self.ahead_ms
        await self._clock.sleep(self.took_s / 2)
        return Standing(now_ms, 2, (self.epochs, 9), True, False, self.lapses_in_ms)

    async def leave(self, lease: Lease) -> None:
        self.epochs = -1

    async def list_nodes(self) -> list[NodeState]:
        return []

    async def reserve(self, wants: Sequence[Want]) -> list[Grant]:
        return []


class Told:
    def __init__(self, clock: SimulatedClock) -> None:
        self.clock = clock
        self.registry = Registry(clock)
        self.standings: list[Standing] = []
        self.is_sure = asyncio.Event()
        self.heard: list[str] = []
        self.tenure = Tenure(
            self.registry,
            settings=SETTINGS,
            clock=clock,
            on_doubt=lambda: self.heard.append("doubt"),
            on_lost=lambda: self.heard.append("lost"),
            on_sure=self._on_sure,
            on_standing=self.standings.append,
        )

    def _on_sure(self) -> None:
        self.heard.append("sure")
        self.is_sure.set()


def run(story: Callable[[Told], Awaitable[None]]) -> None:
    async def told(clock: SimulatedClock) -> None:
        await story(Told(clock))

    simulate(1, told)


def test_batch_ids_are_unique_across_epochs() -> None:
    async def story(told: Told) -> None:
        await told.tenure.join()
        first = [told.tenure.next_batch_id() for _ in range(3)]
        await told.tenure.join()
        second = [told.tenure.next_batch_id() for _ in range(3)]
        assert len({*first, *second}) == 6
        assert max(first) < min(second)

    run(story)


def test_a_renewed_lease_stays_sure() -> None:
    async def story(told: Told) -> None:
        await told.tenure.join()
        for _ in range(10):
            await told.clock.sleep(20)
            await told.tenure.renew()
        assert told.tenure.is_sure
        assert set(told.heard) == {"sure"}

    run(story)


def test_sending_stops_when_the_lease_ran_out_unrenewed_and_goes_on_after() -> None:
    async def story(told: Told) -> None:
        await told.tenure.join()
        told.registry.trouble = StoreUnavailable("the disk is gone")
        await told.clock.sleep(10)
        await told.tenure.renew()
        assert told.heard == ["sure"]
        await told.clock.sleep(25)
        await told.tenure.renew()
        assert told.heard == ["sure", "doubt"]
        told.registry.trouble = None
        await told.tenure.renew()
        assert told.heard == ["sure", "doubt", "sure"]

    run(story)


def test_a_lost_lease_is_joined_anew_even_if_that_takes_two_tries() -> None:
    async def story(told: Told) -> None:
        await told.tenure.join()
        told.registry.trouble = Fenced("adopted")
        await told.tenure.renew()
        assert told.heard == ["doubt", "lost", "sure"]
        assert told.tenure.lease.epoch == 2

        told.registry.trouble = Fenced("adopted")
        original = told.registry.join

        async def away(about: NodeAbout, *, lease_ms: int) -> Lease:
            raise StoreUnavailable("the disk is gone")

        told.registry.join = away  # type: ignore[method-assign]
        await told.clock.sleep(40)
        await told.tenure.renew()
        assert told.heard[3:] == ["doubt", "lost"]
        assert not told.tenure.is_sure
        told.registry.join = original  # type: ignore[method-assign]
        await told.tenure.renew()
        assert told.tenure.lease.epoch == 3
        assert told.heard[-1] == "sure"

    run(story)


def test_the_lease_ends_by_whichever_clock_is_first() -> None:
    async def story(told: Told) -> None:
        await told.tenure.join()
        assert told.tenure.is_sure
        told.tenure.until_ms = told.clock.now_ms()
        assert not told.tenure.is_sure
        await told.tenure.renew()
        assert told.tenure.is_sure
        told.tenure.until_s = told.clock.monotonic()
        assert not told.tenure.is_sure

    run(story)


def test_the_lease_is_counted_from_before_it_was_asked_for() -> None:
    async def story(told: Told) -> None:
        told.registry.took_s = 4.0
        began_s = told.clock.monotonic()
        await told.tenure.join()
        assert told.tenure.until_s == began_s + SETTINGS.lease_s

    run(story)


def test_skew_is_measured_without_the_way_there_and_back_and_told_to_the_others() -> None:
    async def story(told: Told) -> None:
        await told.tenure.join()
        assert told.tenure.skew_ms == 0
        told.registry.took_s = 0.5
        await told.tenure.renew()
        assert told.tenure.skew_ms == 0
        told.registry.ahead_ms = -5_000
        await told.tenure.renew()
        assert told.tenure.skew_ms == -5_000
        assert told.tenure.now_ms() == told.clock.now_ms() - 5_000
        await told.tenure.renew()
        assert told.registry.skew_ms == -5_000

    run(story)


def test_a_node_knows_its_peers_its_batches_and_whether_it_leads() -> None:
    async def story(told: Told) -> None:
        await told.tenure.join()
        assert told.tenure.peers == (9,)
        assert told.tenure.is_leader
        batch_id = told.tenure.next_batch_id()
        assert told.tenure.holds(batch_id)
        await told.clock.sleep(SETTINGS.lease_s)
        assert not told.tenure.is_leader
        told.registry.trouble = Fenced("adopted")
        await told.tenure.renew()
        assert not told.tenure.holds(batch_id)
        assert len(told.standings) == 2

    run(story)


def test_a_lease_that_ends_is_looked_after_at_that_instant_and_once() -> None:
    async def story(told: Told) -> None:
        told.registry.lapses_in_ms = 4_000
        await told.tenure.join()
        began_s = told.clock.monotonic()
        told.registry.trouble = StoreUnavailable("away")
        keeping = asyncio.create_task(told.tenure.keep())
        await told.clock.sleep(4.0 + LAPSE_SLACK_S + 0.001)
        assert told.registry.renewed_s[1:] == [pytest.approx(began_s + 4.0 + LAPSE_SLACK_S)]
        await told.clock.sleep(SETTINGS.lease_s / RENEWALS_PER_LEASE - 1.0)
        assert len(told.registry.renewed_s) == 2
        keeping.cancel()

    run(story)


def test_whoever_is_in_a_hurry_need_not_wait_for_the_next_renewal() -> None:
    async def story(told: Told) -> None:
        await told.tenure.join()
        keeping = asyncio.create_task(told.tenure.keep())
        began_s = told.clock.monotonic()
        told.tenure.hurry()
        await told.is_sure.wait()
        assert told.clock.monotonic() == began_s
        keeping.cancel()

    run(story)
