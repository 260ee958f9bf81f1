"""The lookup cache: how long answers serve, what failures cost, and that memory is bounded."""

import asyncio
import socket
from collections.abc import Coroutine, Sequence
from ipaddress import ip_network
from typing import Any

import pytest

from ringback.config import Settings
from ringback.rules.egress import Policy
from ringback.wire.port import Reason
from ringback.wire.problem import Problem
from ringback.wire.resolve import NEGATIVE_S, Resolver, system_lookup

POLICY = Policy((ip_network("127.0.0.0/8"),))


class World:
    """A resolver over names that the test sets, on a clock that the test moves."""

    def __init__(self, **settings: Any) -> None:
        self.at = 1_000.0
        self.answers: dict[str, Sequence[str] | OSError] = {}
        self.asked: list[str] = []
        self.resolver = Resolver(
            Settings(dns_cache_s=30.0, **settings),
            POLICY,
            now=lambda: self.at,
            lookup=self._look_up,
        )

    def _look_up(self, host: str) -> Sequence[str]:
        self.asked.append(host)
        answer = self.answers.get(host, ())
        if isinstance(answer, OSError):
            raise answer
        return answer

    def cached(self, host: str) -> tuple[str, ...]:
        return self.resolver.cached(host, self.at)

    async def settle(self) -> None:
        """Until no lookup is under way."""
        await asyncio.gather(*self.resolver._waiting.values())


def run(story: Coroutine[Any, Any, None]) -> None:
    asyncio.run(story)


def test_an_answer_serves_its_time_and_once_more_while_it_is_renewed() -> None:
    async def story() -> None:
        world = World()
        world.answers["a.test"] = ["127.0.0.1"]
        assert world.cached("a.test") == ()
        assert await world.resolver.resolve("a.test") == ("127.0.0.1",)
        world.at += 29.9
        assert world.cached("a.test") == ("127.0.0.1",)
        assert world.asked == ["a.test"]
        world.answers["a.test"] = ["127.0.0.9"]
        world.at += 0.2
        assert world.cached("a.test") == ("127.0.0.1",)  # and asks in the background
        await world.settle()
        assert world.cached("a.test") == ("127.0.0.9",)
        assert world.asked == ["a.test"] * 2
        world.at += 60.1
        assert world.cached("a.test") == ()
        world.resolver.close()

    run(story())


def test_a_renewal_that_fails_keeps_the_old_answer_to_its_end_and_one_that_is_denied_does_not() -> (
    None
):
    async def story() -> None:
        world = World()
        world.answers["a.test"] = world.answers["b.test"] = ["127.0.0.1"]
        await world.resolver.resolve("a.test")
        await world.resolver.resolve("b.test")
        world.answers["a.test"] = OSError("try again")
        world.answers["b.test"] = ["10.0.0.1"]
        world.at += 30.1
        world.cached("a.test"), world.cached("b.test")
        await world.settle()
        assert world.cached("a.test") == ("127.0.0.1",)
        assert world.cached("b.test") == ()
        assert len(world.asked) == 4  # The failed one is not asked again at once.
        world.at += 30.0
        assert world.cached("a.test") == ()
        world.resolver.close()

    run(story())


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (socket.gaierror(socket.EAI_NONAME, "x"), "has no address"),
        (socket.gaierror(socket.EAI_AGAIN, "x"), "could not be resolved just now"),
        (OSError("x"), "could not be resolved just now"),
    ],
)
def test_failures_are_remembered_for_a_short_while(error: OSError, said: str) -> None:
    async def story() -> None:
        world = World()
        world.answers["a.test"] = error
        for _ in range(3):
            problem = await world.resolver.resolve("a.test")
            assert isinstance(problem, Problem)
            assert problem.reason is Reason.DNS
            assert said in problem.detail
        assert world.asked == ["a.test"]
        world.answers["a.test"] = ["127.0.0.1"]
        world.at += NEGATIVE_S
        assert await world.resolver.resolve("a.test") == ("127.0.0.1",)
        world.resolver.close()

    run(story())


def test_denied_addresses_are_left_out_and_literals_are_never_looked_up() -> None:
    async def story() -> None:
        world = World()
        world.answers["a.test"] = ["10.0.0.1", "127.0.0.1", "::1", "127.0.0.1", "fe80::1%eth0"]
        assert await world.resolver.resolve("a.test") == ("127.0.0.1",)
        assert await world.resolver.resolve("127.0.0.5") == ("127.0.0.5",)
        denied = await world.resolver.resolve("10.0.0.1")
        assert isinstance(denied, Problem)
        assert denied.reason is Reason.BLOCKED
        world.at += 1_000_000
        assert world.cached("127.0.0.5") == ("127.0.0.5",)
        assert world.asked == ["a.test"]
        world.resolver.close()

    run(story())


def test_the_cache_is_bounded() -> None:
    async def story() -> None:
        world = World(dns_cache_max=3)
        for number in range(10):
            world.answers[f"{number}.test"] = ["127.0.0.1"]
            await world.resolver.resolve(f"{number}.test")
        assert [number for number in range(10) if world.cached(f"{number}.test")] == [7, 8, 9]
        world.resolver.close()

    run(story())


def test_a_lookup_that_breaks_in_an_unforeseen_way_leaves_nobody_waiting() -> None:
    async def story() -> None:
        def broken(host: str) -> Sequence[str]:
            raise RuntimeError(host)

        resolver = Resolver(Settings(), POLICY, now=lambda: 0.0, lookup=broken)
        problem = await resolver.resolve("a.test")
        assert isinstance(problem, Problem)
        assert problem.reason is Reason.DNS
        resolver.close()

    run(story())


def test_the_system_knows_this_machine() -> None:
    assert {"127.0.0.1", "::1"} & set(system_lookup("localhost"))
