"""Rates that several nodes keep together: what one of them may take for itself.

All that is shared of a rate is the instant at which its next send would be due in a steady stream.
A node takes a few sends ahead by moving that instant, and sends each at its time. So any two nodes
have different instants, and all of them together keep the rate.

An endpoint with a rate may belong to an application with one. Then a send takes from both: the
endpoint's next instant follows the send itself, because all its sends need the application's rate
as well; the application's moves by no more than what was taken, because others may send meanwhile.
"""

from typing import Final

from msgspec import Struct

SECOND_US: Final = 1_000_000
LEAD_US_MAX: Final = SECOND_US  # nothing is taken that is due later than this
# Nobody takes more than a second's worth at a time, so the lead is never longer than two seconds,
# unless the clock was put back.
_CREDIBLE_US: Final = 5 * SECOND_US


class Taken(Struct, frozen=True):
    """`count` sends from `at_us` on, and when the next ones are due; the instants are unchanged
    when `count` is 0, and `at_us` is when to ask again."""

    count: int
    at_us: int
    endpoint_next_us: int
    app_next_us: int


def interval_us(*rates: int) -> float:
    """Between two sends by the slowest of the rates (per second; 0 for none)."""
    return max((SECOND_US / rate for rate in rates if rate), default=0.0)


def take(
    count: int,
    now_us: int,
    *,
    endpoint_rate: int,
    app_rate: int,
    endpoint_next_us: int,
    app_next_us: int,
) -> Taken:
    """Take `count` sends, all or none. Rates are per second, 0 for none."""
    endpoint_us = _due(endpoint_next_us, now_us) if endpoint_rate else now_us
    app_us = _due(app_next_us, now_us) if app_rate else now_us
    at_us = max(endpoint_us, app_us)
    if at_us - now_us > LEAD_US_MAX:
        return Taken(0, at_us - LEAD_US_MAX // 2, endpoint_next_us, app_next_us)
    last_us = at_us + (count - 1) * interval_us(endpoint_rate, app_rate)
    return Taken(
        count,
        at_us,
        round(last_us + interval_us(endpoint_rate)),
        round(app_us + count * interval_us(app_rate)),
    )


def _due(next_us: int, now_us: int) -> int:
    return now_us if next_us - now_us > _CREDIBLE_US else max(next_us, now_us)
