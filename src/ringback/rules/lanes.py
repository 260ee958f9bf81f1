"""How fast an endpoint is sent to: its window, its rate, and its share of claimed work.

A window bounds attempts in flight and adapts like TCP's: it grows by one with every success while
it is the limit (slow start), after the first trouble by one per windowful, and halves on trouble,
at most once per windowful of results. Answers that come late, measured by the fastest one, say that
more at once would only queue somewhere: then slow start goes no faster than one per windowful.
"""

from collections.abc import Sequence
from typing import Final

from msgspec import Struct

LATE_FACTOR: Final = 2.0
LATE_SLACK_MS: Final = 5.0  # what a busy machine adds to any answer
BURST_SHARE: Final = 10  # a throttled lane may send a tenth of a second's worth at once


class Window(Struct, frozen=True):
    """`limit` attempts may be in flight. `settled` counts results since it last moved."""

    limit: int
    is_slow_start: bool = True
    settled: int = 0


def succeeded(window: Window, in_flight: int, limit_max: int, *, is_late: bool = False) -> Window:
    """After a success, `in_flight` attempts having been out. Unchanged unless it was the limit."""
    if in_flight < window.limit or window.limit >= limit_max:
        return window
    if window.is_slow_start and not is_late:
        return Window(window.limit + 1)
    if window.settled + 1 < window.limit:
        return Window(window.limit, window.is_slow_start, window.settled + 1)
    return Window(window.limit + 1, window.is_slow_start)


def is_late(took_ms: float, fastest_ms: float) -> bool:
    """Whether an answer took so much longer than the fastest that it must have queued."""
    return took_ms > LATE_FACTOR * fastest_ms + LATE_SLACK_MS


def troubled(window: Window) -> Window:
    """After a timeout, a refused connection, 429 or 5xx."""
    if not window.is_slow_start and window.settled + 1 < window.limit:
        return Window(window.limit, is_slow_start=False, settled=window.settled + 1)
    return Window(max(1, window.limit // 2), is_slow_start=False)


def paced(next_s: float, rate: int, now_s: float) -> tuple[float, float]:
    """Take one send of a rate (per second) if it is time: `(next_s, 0)`, else `(next_s, wait_s)`.

    `next_s` is all the state: the instant at which a steady stream at that rate would send next
    (the generic cell rate algorithm). A tenth of a second's worth may go at once, so no second
    sees more than 1.1 times the rate.
    """
    interval_s = 1 / rate
    ahead_s = (max(1, rate // BURST_SHARE) - 1) * interval_s
    wait_s = next_s - ahead_s - now_s
    if wait_s > 0:
        return next_s, wait_s
    return max(next_s, now_s) + interval_s, 0.0


def share(total: int, wants: Sequence[int]) -> list[int]:
    """Divide `total` fairly: nobody gets more than they want, nobody less than an equal part."""
    shares = [0] * len(wants)
    hungry = [index for index, want in enumerate(wants) if want > 0]
    while total > 0 and hungry:
        part = max(1, total // len(hungry))
        for index in hungry[:total]:
            given = min(part, wants[index] - shares[index], total)
            shares[index] += given
            total -= given
        hungry = [index for index in hungry if shares[index] < wants[index]]
    return shares
