"""Keyset paging: a page of the port as bounds on an id, and its rows as a slice."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, TypeVar

from msgspec import Struct

from ringback.clock import first_id_at
from ringback.store.page import PAGE_BYTES_MAX, Page, Slice
from ringback.store.postgres.connection import Connection

T = TypeVar("T")

LAST: Final = "~"  # sorts after every id and name
ROWS_AHEAD: Final = 16  # of rows that may be large, as they come from the server
TICK_MS: Final = 4  # the precision of the time in an id


class Walk(Struct, frozen=True):
    """How to read one page: between two ids, both excluded, in a direction, one row too many."""

    low: str
    high: str
    is_descending: bool
    is_reversed: bool
    limit: int

    def bounds(self) -> tuple[str, str, int]:
        return self.low, self.high, self.limit + 1


def walk(
    page: Page, *, prefix: str = "", after_ms: int | None = None, before_ms: int | None = None
) -> Walk:
    """Both instants are excluded, in the precision of an id."""
    low = "" if after_ms is None else first_id_at(prefix, after_ms + TICK_MS)
    high = LAST if before_ms is None else first_id_at(prefix, before_ms)
    is_reversed = page.is_backward or (page.from_oldest and page.iterator is None)
    is_descending = page.is_descending is not is_reversed
    if page.iterator is not None and is_descending:
        high = min(high, page.iterator)
    elif page.iterator is not None:
        low = max(low, page.iterator)
    return Walk(low, high, is_descending, is_reversed, page.limit)


def cut(
    rows: Iterable[Sequence[Any]], steps: Walk, shape: Callable[[Sequence[Any]], T]
) -> Slice[T]:
    """The page, in the list's order, whatever the direction it was read in.

    For rows that are in memory already; `read_large` is for those that may be large.
    """
    kept: list[T] = []
    left = PAGE_BYTES_MAX
    has_more = False
    for row in rows:
        if len(kept) == steps.limit or left <= 0:
            has_more = True
            break
        kept.append(shape(row))
        left -= _row_bytes(row)
    return _in_order(kept, steps, has_more=has_more)


async def read_large(
    connection: Connection,
    text: str,
    *values: Any,
    steps: Walk,
    shape: Callable[[Sequence[Any]], T],
) -> Slice[T]:
    """The same, `ROWS_AHEAD` at a time: little more than a page is in memory. In a transaction."""
    kept: list[T] = []
    left = PAGE_BYTES_MAX
    async for row in connection.cursor(text, *values, prefetch=ROWS_AHEAD):
        if len(kept) == steps.limit or left <= 0:
            return _in_order(kept, steps, has_more=True)
        kept.append(shape(row))
        left -= _row_bytes(row)
    return _in_order(kept, steps, has_more=False)


def _in_order(kept: list[T], steps: Walk, *, has_more: bool) -> Slice[T]:
    if steps.is_reversed:
        kept.reverse()
    return Slice(kept, has_more)


def _row_bytes(row: Sequence[Any]) -> int:
    """About what it takes in memory: what is long in a row is text or bytes."""
    return sum(len(value) for value in row if isinstance(value, str | bytes))
