"""Whether an endpoint may be sent to: the circuit breaker, and giving up on it for good.

    closed ──(failures in a row reach the threshold)──▶ open ──(pause over)──▶ on trial: one
      ▲                                                  ▲                     at a time
      │                                                  │                        │
      │                        doubled pause ────────────┼── strain or absence ───┤
      │                        first pause ──────────────┴── faults in a row ─────┤
      └──────────────── any success, any answer that is no fault ─────────────────┘

While it is open nothing is attempted, so no delivery spends an attempt on a receiver that is known
to be down. What a failure says, and of whom, is its symptom:

    ALIVE    3xx, 4xx                   somebody is there: misconfigured perhaps, but not down
    FAULT    500, and 5xx of its kind   the receiver is broken, or this message breaks it
    STRAIN   429, 502, 503, 504, no answer to a request that was sent
                                        it cannot keep up, or this message is too much for it
    ABSENCE  no connection              it is not there, whatever the message

A message may be the reason of its own failure, and then fails each time. So only the first attempt
of a delivery tells of the endpoint, and a row of failures is one of different messages; absence
tells at any attempt. Nothing else is known of a receiver that answers every new message with a
fault: it is given short pauses, and the benefit of the doubt after each. See decision 0013.
"""

import math
from enum import IntEnum
from typing import Final

from msgspec import Struct

TOO_MANY_REQUESTS: Final = 429
UNAVAILABLE: Final = 503
HOUR_MS: Final = 3_600_000
_STRAINED: Final = frozenset({TOO_MANY_REQUESTS, 502, UNAVAILABLE, 504})


class Symptom(IntEnum):
    ALIVE = 0
    FAULT = 1
    STRAIN = 2
    ABSENCE = 3


class Breaker(Struct, frozen=True):
    """`failures` in a row since it was closed or opened; `open_until_s` on the monotonic clock,
    `pause_s` the pause behind it, 0 when closed."""

    failures: int = 0
    open_until_s: float = 0.0
    pause_s: float = 0.0

    @property
    def is_closed(self) -> bool:
        return self.pause_s == 0.0


class BreakerRules(Struct, frozen=True):
    """`open_s` is the first pause, `open_s_max` the longest. `turn_s` comes on top of each: other
    nodes probe before this one, see `shared`."""

    failures: int
    open_s: float
    open_s_max: float
    turn_s: float = 0.0


CLOSED: Final = Breaker()


def symptom(status: int, *, is_unreached: bool = False) -> Symptom:
    """Of a failed attempt. `status` 0: no valid response; `is_unreached`: no request was sent."""
    if is_unreached:
        return Symptom.ABSENCE
    if status == 0 or status in _STRAINED:
        return Symptom.STRAIN
    return Symptom.FAULT if status >= 500 else Symptom.ALIVE


def is_telling(what: Symptom, *, is_first: bool) -> bool:
    """Whether a failure tells of the endpoint. `is_first`: of a delivery that never failed yet."""
    return what is Symptom.ABSENCE or (is_first and what is not Symptom.ALIVE)


def is_trouble(what: Symptom, *, is_first: bool) -> bool:
    """Whether less should be sent at a time: who cannot keep up says so by any message."""
    return what is Symptom.STRAIN or is_telling(what, is_first=is_first)


def troubled(
    breaker: Breaker,
    rules: BreakerRules,
    what: Symptom,
    *,
    now_s: float,
    began_s: float = math.inf,
) -> Breaker:
    """After a telling failure of an attempt that began at `began_s`.

    Once the breaker has opened only what was sent on trial counts: an attempt that began before the
    pause was over was not, however late it fails.
    """
    if min(began_s, now_s) < breaker.open_until_s:
        return breaker
    if not breaker.is_closed and what is not Symptom.FAULT:
        return _opened(breaker.pause_s * 2, rules, now_s)
    failures = breaker.failures + 1
    if failures < rules.failures:
        return Breaker(failures, breaker.open_until_s, breaker.pause_s)
    return _opened(rules.open_s, rules, now_s)


def probed(breaker: Breaker, rules: BreakerRules, pause_s: float, *, now_s: float) -> Breaker:
    """Another node has found the endpoint down, or probed it in vain, and pauses for `pause_s`. So
    does this one, unless it has seen no failure itself. No pause gets shorter by that."""
    if breaker.is_closed and not breaker.failures:
        return breaker
    return _opened(max(pause_s, breaker.pause_s), rules, now_s)


def on_trial(breaker: Breaker) -> Breaker:
    """Open no more: somebody else has had an answer. The next result decides."""
    return Breaker(breaker.failures, 0.0, breaker.pause_s)


def shared(rules: BreakerRules, *, nodes: int, rank: int) -> BreakerRules:
    """Several nodes, of which one probes. The first (`rank` 0) has the first turn, and each further
    one pauses a little longer, so it probes only if those before it did not: whoever probes tells
    the others. With its turn no pause is longer than one node's may be."""
    turn_s = min(rules.open_s, rules.open_s_max / (2 * nodes))
    open_s_max = rules.open_s_max - (nodes - 1) * turn_s
    return BreakerRules(rules.failures, rules.open_s, open_s_max, rank * turn_s)


def _opened(pause_s: float, rules: BreakerRules, now_s: float) -> Breaker:
    pause_s = min(pause_s, rules.open_s_max)
    return Breaker(0, now_s + pause_s + rules.turn_s, pause_s)


def should_disable(failing_since_ms: int | None, now_ms: int, after_h: float) -> bool:
    """Whether an endpoint has done nothing but fail for long enough. `after_h` 0: never."""
    if not after_h or failing_since_ms is None:
        return False
    return now_ms - failing_since_ms >= after_h * HOUR_MS
