"""Batches of which this node does not know whether they were committed.

When a connection breaks between a statement and its answer, the statement may have been committed,
or still be about to be. Nobody sends what such a batch holds, so the node adopts it from itself if
it turns up: what was committed is sent, at the price of perhaps being sent by a caller once more.
"""

from typing import Final

from ringback.clock import Clock

KEPT_S: Final = 3_600.0  # a statement's limit does not bound a commit, which may wait for a standby
KEPT_MAX: Final = 10_000  # beyond these the oldest is left to whoever adopts after this node


class Doubts:
    """Those of the last hour."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._until_s: dict[int, float] = {}

    def add(self, batch_id: int) -> None:
        if len(self._until_s) >= KEPT_MAX:
            del self._until_s[next(iter(self._until_s))]
        self._until_s[batch_id] = self._clock.monotonic() + KEPT_S

    def resolve(self, batch_id: int) -> None:
        self._until_s.pop(batch_id, None)

    def current(self) -> list[int]:
        now_s = self._clock.monotonic()
        self._until_s = {one: until_s for one, until_s in self._until_s.items() if until_s > now_s}
        return list(self._until_s)
