"""Many things that each end after the same number of seconds, watched by a single timer.

As the span is the same for all, they end in the order in which they were added, so the oldest is
always next: adding and discarding are one dictionary operation each, and the timer is set anew only
when it fires. A timer for each would cost more than the rest of a request.
"""

import asyncio
from collections.abc import Callable
from typing import Final, Generic, TypeVar

Thing = TypeVar("Thing")

# Loops round their timers to milliseconds, so they may fire a little early.
_EARLY_S: Final = 0.001


class Deadlines(Generic[Thing]):
    """Calls `expire(thing)` about `seconds` after its start, unless it was discarded before."""

    def __init__(
        self,
        seconds: float,
        expire: Callable[[Thing], None],
        *,
        loop: asyncio.AbstractEventLoop,
        now: Callable[[], float],
    ) -> None:
        self._seconds = seconds
        self._expire = expire
        self._loop = loop
        self._now = now
        self._since: dict[Thing, float] = {}
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._since)

    def add(self, thing: Thing, since: float) -> None:
        """`since` is on the `now` clock and must not be earlier than that of the thing before."""
        self._since[thing] = since
        if self._timer is None:
            self._arm(since)

    def discard(self, thing: Thing) -> None:
        self._since.pop(thing, None)

    def oldest(self) -> Thing | None:
        return next(iter(self._since), None)

    def everything(self) -> list[Thing]:
        return list(self._since)

    def close(self) -> None:
        self._since.clear()
        if self._timer is not None:
            self._timer.cancel()

    def _arm(self, since: float) -> None:
        left = max(since + self._seconds - self._now(), _EARLY_S)
        self._timer = self._loop.call_later(left, self._sweep)

    def _sweep(self) -> None:
        self._timer = None
        due = self._now() - self._seconds + _EARLY_S
        over = []
        for thing, since in self._since.items():
            if since > due:
                self._arm(since)
                break
            over.append(thing)
        for thing in over:
            del self._since[thing]
        for thing in over:
            self._expire(thing)
