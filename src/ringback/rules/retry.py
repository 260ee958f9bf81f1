"""When a delivery is tried again, and when it is given up.

Any 2xx is success; everything else is a failure, 3xx included, because receivers deploy broken
routes that answer 404 or 302 for an hour (Standard Webhooks, "Retries"). 410 Gone ends the delivery
and disables the endpoint. `Retry-After` (RFC 9110, 10.2.3) is a lower bound for the next try.
"""

import math
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

from msgspec import Struct

GONE: Final = 410
RETRY_AFTER_CHARACTERS_MAX: Final = 64
ATTEMPTS_MAX: Final = 100
WAIT_S_MAX: Final = 2_592_000  # 30 days: any clock, and any column, holds the instant after it


class Delivered(Struct, frozen=True):
    """The receiver has it."""


class Retry(Struct, frozen=True):
    """Try again, not before `at_ms`."""

    at_ms: int
    why: str


class GiveUp(Struct, frozen=True):
    """No further attempt. `is_gone`: the receiver said 410, so the endpoint is to be disabled."""

    why: str
    is_gone: bool = False


Outcome = Delivered | Retry | GiveUp


class Rules(Struct, frozen=True):
    """`schedule_s[n]` is the wait after attempt n + 1; `jitter` the share it varies by."""

    schedule_s: tuple[float, ...]
    jitter: float
    retry_after_s_max: float


def decide(
    *,
    status: int,
    retry_after: str | None,
    number: int,
    is_manual: bool,
    rules: Rules,
    now_ms: int,
    luck: float,
) -> Outcome:
    """What follows from attempt `number` (from 1). `status` 0: no response. `luck` in [0, 1)."""
    if 200 <= status < 300:
        return Delivered()
    why = f"HTTP {status}" if status else "no response"
    if status == GONE:
        return GiveUp(why, is_gone=True)
    if is_manual or number > len(rules.schedule_s):
        return GiveUp(why)
    # Bounded here too, not only where it is set: a wait that cannot be stored would end the engine.
    wait_s = min(rules.schedule_s[number - 1], WAIT_S_MAX) * (1 + rules.jitter * (2 * luck - 1))
    asked_s = retry_after_s(retry_after, now_ms) if retry_after else None
    if asked_s is not None:
        wait_s = max(wait_s, min(asked_s, rules.retry_after_s_max))
    return Retry(now_ms + math.ceil(wait_s * 1000), why)


def retry_after_s(text: str, now_ms: int) -> float | None:
    """Seconds that a `Retry-After` asks for; None when it says nothing usable.

    Takes delta-seconds (decimals too), an HTTP-date in any of its three forms, and ISO 8601.
    """
    text = text.strip()
    if not text or len(text) > RETRY_AFTER_CHARACTERS_MAX or not text.isascii():
        return None
    if text.replace(".", "", 1).isdigit():
        return float(text)
    at = _http_date(text) or _iso_date(text)
    if at is None:
        return None
    wait_s = at.timestamp() - now_ms / 1000
    return wait_s if wait_s > 0 else None


def _http_date(text: str) -> datetime | None:
    try:
        at = parsedate_to_datetime(text)
    except (ValueError, IndexError, TypeError, OverflowError):
        return None
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def _iso_date(text: str) -> datetime | None:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    return at if at.tzinfo else None


def exponential(base_s: float, *, factor: float, cap_s: float, attempts: int) -> tuple[float, ...]:
    """The schedule base, base × factor, … up to the cap, for `attempts` attempts in all.

    Raises ValueError when a number makes no sense.
    """
    if not 1 <= attempts <= ATTEMPTS_MAX:
        raise ValueError(f"attempts must be from 1 to {ATTEMPTS_MAX}")
    if not (base_s > 0 and factor >= 1 and cap_s >= base_s) or not math.isfinite(cap_s):
        raise ValueError("base must be above 0, factor at least 1 and cap at least base")
    if cap_s > WAIT_S_MAX:
        raise ValueError(f"base and cap may be {WAIT_S_MAX} seconds (30 days) at most")
    schedule = []
    wait_s = base_s
    for _ in range(attempts - 1):
        schedule.append(wait_s)
        wait_s = min(wait_s * factor, cap_s)
    return tuple(schedule)
