"""Comparing a table on both sides: how many rows, and a sum over all that is in them.

The sum does not depend on the order in which rows are read: it is that of a 64-bit hash of each
row. Two sides that differ in one row agree by chance once in 2^64 times.
"""

from collections.abc import AsyncIterator, Callable, Iterable
from hashlib import blake2b
from typing import Final

import msgspec
from msgspec import Struct

from ringback.errors import StoreCorrupt
from ringback.store.sqlite.sql import Row
from ringback.store.transfer.tables import Table

HASH_BYTES: Final = 8
SUM_MAX: Final = 2 ** (8 * HASH_BYTES)
SEEN_EVERY: Final = 5_000

_encode: Final = msgspec.msgpack.Encoder().encode


class Checked(Struct, frozen=True):
    """A table that is the same on both sides; `checksum` in hex."""

    table: str
    rows: int
    checksum: str


class Sum:
    def __init__(self) -> None:
        self.rows = 0
        self._total = 0

    def add(self, row: Row) -> None:
        self.rows += 1
        self._total += int.from_bytes(blake2b(_encode(row), digest_size=HASH_BYTES).digest())

    @property
    def checksum(self) -> str:
        return f"{self._total % SUM_MAX:0{2 * HASH_BYTES}x}"


async def verify(
    table: Table,
    source: Iterable[Row],
    target: AsyncIterator[Row],
    *,
    opened: Callable[[Row], Row] | None,
    seen: Callable[[int], None],
) -> Checked:
    """`opened` makes rows comparable. Raises StoreCorrupt when the sides differ."""
    ours, theirs = Sum(), Sum()
    for row in source:
        ours.add(opened(row) if opened else row)
        if ours.rows % SEEN_EVERY == 0:
            seen(ours.rows)
    async for row in target:
        theirs.add(opened(row) if opened else row)
        if theirs.rows % SEEN_EVERY == 0:
            seen(ours.rows + theirs.rows)
    if (ours.rows, ours.checksum) != (theirs.rows, theirs.checksum):
        raise StoreCorrupt(
            f"after the transfer {table.name} has {theirs.rows} rows ({theirs.checksum}) of"
            f" {ours.rows} ({ours.checksum}); start over with --start-over, and report this"
        )
    return Checked(table.name, ours.rows, ours.checksum)
