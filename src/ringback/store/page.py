"""Pages of lists: which one is asked for, and what it has."""

from typing import Final, Generic, TypeVar

from msgspec import Struct

T = TypeVar("T")

PAGE_BYTES_MAX: Final = 4 * 1024 * 1024


class Page(Struct, frozen=True):
    """`limit` rows after `iterator` in the list's order; `is_backward`: the ones before it.

    Rows are always returned in the list's order. `from_oldest` starts at the far end without an
    iterator (the API's `after` without `iterator`).
    """

    limit: int
    iterator: str | None = None
    is_backward: bool = False
    is_descending: bool = True
    from_oldest: bool = False


class Slice(Struct, Generic[T], frozen=True):
    """One page. `has_more` speaks of the direction walked.

    Where rows are large it ends before its limit, with the one that reaches `PAGE_BYTES_MAX`.
    """

    rows: list[T]
    has_more: bool
