"""What holds of a rate on a real clock: an arrival may be late, it is never early.

A busy machine brings in one bunch what was sent apart, so no single second can be judged by its
arrivals, and nothing can be said of how fast they come at least. Both are shown in virtual time.
"""

from collections.abc import Sequence
from typing import Final

from ringback.rules.lanes import BURST_SHARE
from ringback.testing.collector import Arrival

ABOVE_MAX: Final = 1.05


def assert_none_early(arrivals: Sequence[Arrival], rate: int, *, since_s: float) -> None:
    """Each as late as the rate demands, which was first used at `since_s` of the loop's clock."""
    for number, at_s in enumerate(sorted(one.at_s for one in arrivals)):
        due_s = since_s + (number - rate // BURST_SHARE) / (ABOVE_MAX * rate)
        if at_s < due_s:
            raise AssertionError(f"{number + 1} within {at_s - since_s:.3f} s at {rate} a second")
