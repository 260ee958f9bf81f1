"""Keyset paging: a page of the port as bounds on an id, and its rows as a slice."""

from collections.abc import Sequence
from typing import Final, TypeVar

from msgspec import Struct

from ringback.clock import first_id_at
from ringback.store.port import Page, Slice

T = TypeVar("T")

LAST: Final = "~"  # sorts after every id and name
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


def cut(rows: Sequence[T], steps: Walk) -> Slice[T]:
    """The page, in the list's order, whatever the direction it was read in."""
    kept = list(rows[: steps.limit])
    if steps.is_reversed:
        kept.reverse()
    return Slice(kept, len(rows) > steps.limit)
