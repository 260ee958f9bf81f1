"""Whether an endpoint may be sent to: the circuit breaker, pauses, and giving up on it for good.

    closed ──(failures in a row reach the threshold)──▶ open ──(pause over)──▶ one probe
      ▲                                                  ▲                        │
      └──────────────── success ─────────────────────────┼──────────── success ───┤
                                        doubled pause ────┴──────────── failure ───┘

While it is open nothing is attempted, so no delivery spends an attempt on a receiver that is known
to be down; a real delivery is the probe. Only trouble counts (no response, 429, 5xx): a receiver
that answers 404 at once is not overloaded, it is misconfigured.
"""

import math
from typing import Final

from msgspec import Struct

TOO_MANY_REQUESTS: Final = 429
UNAVAILABLE: Final = 503
HOUR_MS: Final = 3_600_000


class Breaker(Struct, frozen=True):
    """`failures` in a row; `open_until_s` on the monotonic clock, `pause_s` the pause behind it."""

    failures: int = 0
    open_until_s: float = 0.0
    pause_s: float = 0.0

    @property
    def is_closed(self) -> bool:
        return self.pause_s == 0.0


class BreakerRules(Struct, frozen=True):
    failures: int
    open_s: float
    open_s_max: float


CLOSED: Final = Breaker()


def is_trouble(status: int) -> bool:
    """Whether an answer (0: none) says that the receiver cannot keep up or is down."""
    return status in (0, TOO_MANY_REQUESTS) or status >= 500


def troubled(
    breaker: Breaker, rules: BreakerRules, now_s: float, *, began_s: float = math.inf
) -> Breaker:
    """After trouble of an attempt that began at `began_s`.

    Once the breaker is open only the probe counts: an attempt that began before the pause was over
    is not it, however late it fails.
    """
    failures = breaker.failures + 1
    if breaker.is_closed:
        if failures < rules.failures:
            return Breaker(failures)
        pause_s = min(rules.open_s, rules.open_s_max)
        return Breaker(failures, now_s + pause_s, pause_s)
    if min(began_s, now_s) < breaker.open_until_s:
        return breaker
    pause_s = min(breaker.pause_s * 2, rules.open_s_max)
    return Breaker(failures, now_s + pause_s, pause_s)


def should_disable(failing_since_ms: int | None, now_ms: int, after_h: float) -> bool:
    """Whether an endpoint has done nothing but fail for long enough. `after_h` 0: never."""
    if not after_h or failing_since_ms is None:
        return False
    return now_ms - failing_since_ms >= after_h * HOUR_MS
