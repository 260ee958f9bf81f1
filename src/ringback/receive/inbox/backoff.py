"""What follows from a failed attempt: a pure decision."""

from collections.abc import Sequence


def next_wait_s(
    attempt: int, schedule_s: Sequence[float], *, jitter: float, luck: float
) -> float | None:
    """How long to wait after attempt `attempt` (from 1); None if it was the last one.

    `luck` in [0, 1) moves the wait by at most `jitter` of itself, either way.
    """
    if attempt > len(schedule_s):
        return None
    return schedule_s[attempt - 1] * (1 + jitter * (2 * luck - 1))
