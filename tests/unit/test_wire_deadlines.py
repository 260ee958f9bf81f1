"""One timer for many deadlines, on a loop that only remembers what it was asked for."""

import asyncio
from collections.abc import Callable
from typing import Any, cast

from ringback.wire.deadlines import Deadlines


class FakeLoop:
    """Time moves when told; a timer runs when time has passed it."""

    def __init__(self) -> None:
        self.at = 0.0
        self.timers: list[tuple[float, Callable[[], None]]] = []
        self.timers_set = 0

    def call_later(self, seconds: float, call: Callable[[], None]) -> Any:
        self.timers_set += 1
        timer = (self.at + seconds, call)
        self.timers.append(timer)
        loop = self

        class Handle:
            def cancel(self) -> None:
                loop.timers.remove(timer)

        return Handle()

    def move_to(self, at: float) -> None:
        while due := sorted(timer for timer in self.timers if timer[0] <= at):
            self.timers.remove(due[0])
            self.at = due[0][0]
            due[0][1]()
        self.at = at


def deadlines(loop: FakeLoop) -> tuple[Deadlines[str], list[tuple[str, float]]]:
    expired: list[tuple[str, float]] = []
    made: Deadlines[str] = Deadlines(
        10.0,
        lambda thing: expired.append((thing, loop.at)),
        loop=cast(asyncio.AbstractEventLoop, loop),
        now=lambda: loop.at,
    )
    return made, expired


def test_each_ends_after_its_own_span() -> None:
    loop = FakeLoop()
    watched, expired = deadlines(loop)
    for at, name in ((0.0, "a"), (1.0, "b"), (4.0, "c")):
        loop.move_to(at)
        watched.add(name, at)
    loop.move_to(100.0)
    assert expired == [("a", 10.0), ("b", 11.0), ("c", 14.0)]
    assert loop.timers == []


def test_what_was_discarded_does_not_end_and_costs_no_timer() -> None:
    loop = FakeLoop()
    watched, expired = deadlines(loop)
    for at in range(1_000):
        loop.move_to(at / 100)
        watched.add("thing", at / 100)
        watched.discard("thing")
    assert loop.timers_set == 1
    loop.move_to(100.0)
    assert expired == []
    assert loop.timers == []
    watched.add("later", 100.0)
    loop.move_to(200.0)
    assert expired == [("later", 110.0)]


def test_ending_one_thing_may_add_or_discard_others() -> None:
    loop = FakeLoop()
    expired: list[str] = []
    watched: Deadlines[str]

    def expire(thing: str) -> None:
        expired.append(thing)
        watched.discard("b")
        if thing == "a":
            watched.add("new", loop.at)

    watched = Deadlines(
        10.0, expire, loop=cast(asyncio.AbstractEventLoop, loop), now=lambda: loop.at
    )
    watched.add("a", 0.0)
    loop.move_to(5.0)
    watched.add("b", 5.0)
    loop.move_to(100.0)
    assert expired == ["a", "new"]


def test_closing_leaves_no_timer() -> None:
    loop = FakeLoop()
    watched, expired = deadlines(loop)
    watched.add("a", 0.0)
    assert (len(watched), watched.oldest()) == (1, "a")
    watched.close()
    assert (len(watched), watched.oldest()) == (0, None)
    loop.move_to(100.0)
    assert (expired, loop.timers) == ([], [])
