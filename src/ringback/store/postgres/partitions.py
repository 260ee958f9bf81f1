"""Partitions of messages and attempts: a span of time each, made ahead and dropped whole.

Spans are aligned to the epoch, so that every node makes the same ones. There is always a partition
for now and for clocks that are off by less than a span; whatever else comes goes to the default
partition and costs nothing but a slower deletion.
"""

from datetime import UTC, datetime
from typing import Final

from msgspec import Struct

from ringback.clock import first_id_at
from ringback.store.postgres.connection import Connection
from ringback.store.postgres.sql import query

PREFIXES: Final = {"message": "msg", "attempt": "atmpt"}
HOUR_MS: Final = 3_600_000
SPANS_AHEAD: Final = 2  # besides the current one, and one behind
SPANS_MAX: Final = 400  # made at once for what is older; what is older still is kept as well


class Partition(Struct, frozen=True):
    """Rows whose ids were made from `low_ms` until before `high_ms`."""

    name: str
    low_ms: int
    high_ms: int


async def make_partitions(connection: Connection, *, now_ms: int, span_h: int) -> int:
    """Make what is missing around now; returns how many were. Runs in a transaction."""
    span_ms = span_h * HOUR_MS
    first_ms = now_ms // span_ms * span_ms - span_ms
    made = 0
    for parent in PREFIXES:
        have = await list_partitions(connection, parent)
        for place in range(SPANS_AHEAD + 2):
            low_ms = first_ms + place * span_ms
            if not any(one.low_ms < low_ms + span_ms and one.high_ms > low_ms for one in have):
                made += await _add(connection, parent, low_ms=low_ms, high_ms=low_ms + span_ms)
    return made


async def make_partitions_between(
    connection: Connection, parent: str, *, low_ms: int, high_ms: int, span_h: int
) -> int:
    """Make what is missing for what is to come of a time, if that is the last SPANS_MAX spans.

    Each is a transaction of its own, so nothing is held for long. Returns how many were made.
    """
    span_ms = span_h * HOUR_MS
    have = await list_partitions(connection, parent)
    last_ms = high_ms // span_ms * span_ms
    first_ms = max(low_ms // span_ms * span_ms, last_ms - (SPANS_MAX - 1) * span_ms)
    made = 0
    for start_ms in range(first_ms, last_ms + 1, span_ms):
        if not any(one.low_ms < start_ms + span_ms and one.high_ms > start_ms for one in have):
            made += await _add(connection, parent, low_ms=start_ms, high_ms=start_ms + span_ms)
    return made


async def list_partitions(connection: Connection, parent: str) -> list[Partition]:
    """Of `message` or `attempt`, the oldest first; without the default one."""
    return [Partition(*row) for row in await connection.fetch(query("list_partitions"), parent)]


async def _add(connection: Connection, parent: str, *, low_ms: int, high_ms: int) -> int:
    name = f"{parent}_{datetime.fromtimestamp(low_ms / 1000, UTC):%Y%m%d%H}"
    prefix = PREFIXES[parent]
    low, high = first_id_at(prefix, low_ms), first_id_at(prefix, high_ms)
    values = (parent, name, low_ms, high_ms, low, high)
    return int(await connection.fetchval(query("add_partition"), *values))
