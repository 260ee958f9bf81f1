"""The right to send: kept in time, doubted when it cannot be renewed, lost, joined anew."""

from collections.abc import Awaitable, Callable

from ringback.config import Settings
from ringback.engine.lease import Tenure
from ringback.errors import Fenced, StoreUnavailable
from ringback.store.port import Lease
from ringback.testing.simulation import SimulatedClock, simulate

SETTINGS = Settings(lease_s=30.0)


class Registry:
    """Nodes whose database works, is away, or has given the lease to somebody else."""

    def __init__(self) -> None:
        self.epochs = 0
        self.trouble: Exception | None = None

    async def join(self, *, host: str, now_ms: int, until_ms: int) -> Lease:
        if isinstance(self.trouble, StoreUnavailable):
            raise self.trouble
        self.trouble = None
        self.epochs += 1
        return Lease(host, self.epochs)

    async def renew(self, lease: Lease, *, until_ms: int) -> None:
        if self.trouble is not None:
            raise self.trouble

    async def leave(self, lease: Lease) -> None:
        self.epochs = -1


class Told:
    def __init__(self, clock: SimulatedClock) -> None:
        self.clock = clock
        self.registry = Registry()
        self.heard: list[str] = []
        self.tenure = Tenure(
            self.registry,
            settings=SETTINGS,
            clock=clock,
            on_doubt=lambda: self.heard.append("doubt"),
            on_lost=lambda: self.heard.append("lost"),
            on_sure=lambda: self.heard.append("sure"),
        )


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

        async def away(*, host: str, now_ms: int, until_ms: int) -> Lease:
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
