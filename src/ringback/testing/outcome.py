"""What a fault did to what was accepted: a line for the table at the end of a run of tests.

A test that injects faults notes its outcome by the fixture `note_fault`, before it judges it.
"""

from collections.abc import Iterable
from typing import Final, Protocol

from msgspec import Struct

PROPERTY: Final = "fault"  # of a report of pytest, which carries a line from a worker to its master
HEAD: Final = (
    f"{'fault':<46}{'times':>6}{'accepted':>10}{'arrived':>10}{'lost':>6}{'twice':>7}"
    f"{'at most':>9}{'503s':>7}{'longest delay':>15}"
)


class Outcome(Struct, frozen=True):
    """Deliveries, but `accepted`, which are messages. `bound` is how many may arrive twice."""

    accepted: int
    arrived: int
    lost: int
    duplicates: int
    bound: int
    refused: int
    longest_delay_s: float

    def line(self, fault: str, times: int) -> str:
        """Of the table."""
        return (
            f"{fault:<46}{times:>6}{self.accepted:>10,}{self.arrived:>10,}{self.lost:>6}"
            f"{self.duplicates:>7}{self.bound:>9}{self.refused:>7}{self.longest_delay_s:>13.2f} s"
        )


class NoteFault(Protocol):
    def __call__(self, outcome: Outcome, fault: str, *, times: int = 1) -> None:
        """`times` is how often it struck."""
        ...


def table(lines: Iterable[str]) -> list[str]:
    """All of them under one head; nothing if there are none."""
    sorted_lines = sorted(lines)
    return [HEAD, *sorted_lines] if sorted_lines else []
