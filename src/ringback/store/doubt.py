"""Batches of which this node does not know whether they were committed.

When a connection breaks between a call and its answer, the call may have been committed, or still
be about to be. Nobody sends what such a batch holds, so the node adopts it from itself if it turns
up: what was committed is sent, at the price of perhaps being sent by a caller once more.

A batch is in doubt only once nothing of it will be sent, and for good: else it would be adopted and
sent as well.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Final, TypeVar

from ringback.clock import Clock
from ringback.errors import StoreError, StoreUnavailable
from ringback.store.port import AcceptOutcome, AcceptResult, NewMessage

T = TypeVar("T")

KEPT_S: Final = 3_600.0  # a statement's limit does not bound a commit, which may wait for a standby
KEPT_MAX: Final = 10_000  # beyond these the oldest is left to whoever adopts after this node


class Doubts:
    """Those of the last hour. `may_be_committed` tells a lost answer from a call that was refused,
    or never went out."""

    def __init__(self, clock: Clock, may_be_committed: Callable[[StoreUnavailable], bool]) -> None:
        self._clock = clock
        self._may_be_committed = may_be_committed
        self._until_s: dict[int, float] = {}

    async def write(self, batch_id: int, write: Callable[[], Awaitable[T]]) -> T:
        """Write a batch; it is in doubt if the answer is lost."""
        try:
            return await write()
        except StoreUnavailable as error:
            if self._may_be_committed(error):
                self.add(batch_id)
            raise

    async def accept(
        self,
        batch_id: int,
        messages: Sequence[NewMessage],
        *,
        write: Callable[[], Awaitable[list[AcceptResult]]],
        find: Callable[[], Awaitable[set[str]]],
    ) -> list[AcceptResult]:
        """Accept messages. When the answer is lost, look which of them there are; see `Path`."""
        try:
            return await write()
        except StoreUnavailable as error:
            if not self._may_be_committed(error):
                raise
            found = await _found(find)
            if not found:
                self.add(batch_id)
                raise
        # It was committed. Who was refused, and why, is not known any more: route again.
        return [
            AcceptResult(
                AcceptOutcome.ACCEPTED if new.message.id in found else AcceptOutcome.STALE,
                new.message.id,
            )
            for new in messages
        ]

    async def adopt(self, adopt: Callable[[list[int]], Awaitable[list[int]]]) -> int:
        """Adopt from others and, of this node, what is in doubt; how many batches it were."""
        adopted = await adopt(self.current())
        for batch_id in adopted:
            self._until_s.pop(batch_id, None)
        return len(adopted)

    def add(self, batch_id: int) -> None:
        if len(self._until_s) >= KEPT_MAX:
            del self._until_s[next(iter(self._until_s))]
        self._until_s[batch_id] = self._clock.monotonic() + KEPT_S

    def current(self) -> list[int]:
        now_s = self._clock.monotonic()
        self._until_s = {one: until_s for one, until_s in self._until_s.items() if until_s > now_s}
        return list(self._until_s)


async def _found(find: Callable[[], Awaitable[set[str]]]) -> set[str]:
    """Nothing, if that cannot be said."""
    try:
        return await find()
    except StoreError:
        return set()
