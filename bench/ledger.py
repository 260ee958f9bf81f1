"""Which message arrived where, how often and when: the sink's bookkeeping.

A run sends messages numbered from 0; each must arrive once in each of `fan` lanes (endpoints of
its application). One byte a (message, lane) says whether it did. Invariants: a delivery is counted
once however often it arrives, a repeat is a duplicate, and what belongs to another run is stale and
touches nothing else.
"""

from array import array
from collections.abc import Iterable
from typing import Final

from msgspec import Struct

from bench.figures import Latency, latency, per_second

CELLS_MAX: Final = 100_000_000
GROWTH: Final = 65_536


class Account(Struct, frozen=True):
    """What became of a run's messages. `missing` and `unexpected` count deliveries."""

    missing: int
    unexpected: int  # arrived although the server had refused the message


class Window(Struct, frozen=True):
    """Arrivals in a window of time, and the latency of what was sent in it."""

    arrivals: int
    latency: Latency
    per_second: list[int]


class Ledger:
    """One run at a time; `begin` forgets the one before."""

    def __init__(self) -> None:
        self.begin(0, 1)

    def begin(self, run: int, fan: int) -> None:
        self.run, self.fan = run, fan
        self.arrived = self.duplicates = self.stale = self.last_ns = 0
        self._seen = bytearray()
        self._sent_ns = array("q")
        self._arrived_ns = array("q")

    def note(self, mark: tuple[int, int, int], lane: int, now_ns: int) -> None:
        """An arrival. Costs well under a microsecond."""
        run, sequence, sent_ns = mark
        cell = sequence * self.fan + lane
        if run != self.run or lane >= self.fan or cell >= CELLS_MAX:
            self.stale += 1
            return
        seen = self._seen
        if cell >= len(seen):
            seen.extend(bytes(cell - len(seen) + GROWTH))
        if seen[cell]:
            self.duplicates += 1
            return
        seen[cell] = 1
        self.arrived += 1
        self.last_ns = now_ns
        self._sent_ns.append(sent_ns)
        self._arrived_ns.append(now_ns)

    def account(self, messages: int, refused: Iterable[int] = ()) -> Account:
        """Holds `messages` sent against what arrived; those `refused` need not arrive."""
        cells = messages * self.fan
        seen = self._seen[:cells]
        missing = seen.count(0) + cells - len(seen)
        unexpected = 0
        for sequence in set(refused):
            lanes = seen[sequence * self.fan : (sequence + 1) * self.fan]
            unexpected += len(lanes) - lanes.count(0)
            missing -= self.fan - len(lanes) + lanes.count(0)
        return Account(missing, unexpected)

    def window(self, start_ns: int, end_ns: int) -> Window:
        """Figures of [start, end)."""
        pairs = zip(self._sent_ns, self._arrived_ns, strict=True)
        spans = (arrived - sent for sent, arrived in pairs if start_ns <= sent < end_ns)
        seconds = per_second(self._arrived_ns, start_ns=start_ns, end_ns=end_ns)
        return Window(sum(seconds), latency(spans), seconds)
