"""Pages: iterators in, iterators out.

`iterator` is the id of the last row and leads on; `prevIterator` is `-` and the id of the first row
and leads back. The client passes either as `iterator`.
"""

import re
from collections.abc import Callable
from typing import TypeVar

from msgspec import UNSET

from ringback.api.schemas.page import ListResponse
from ringback.api.schemas.words import UID
from ringback.clock import decode_ksuid
from ringback.errors import Invalid
from ringback.store.page import Page, Slice

T = TypeVar("T")
U = TypeVar("U")


def page(
    limit: int,
    iterator: str | None,
    *,
    prefix: str | None,
    is_descending: bool = True,
    from_oldest: bool = False,
) -> Page:
    """The page that was asked for. `prefix` is that of the rows' ids, None for names.

    `from_oldest` holds only without an iterator. Raises Invalid for an iterator that is not one.
    """
    if iterator is None:
        return Page(limit=limit, is_descending=is_descending, from_oldest=from_oldest)
    is_backward = iterator.startswith("-")
    place = iterator.removeprefix("-")
    _check_place(place, prefix)
    return Page(limit=limit, iterator=place, is_backward=is_backward, is_descending=is_descending)


def _check_place(text: str, prefix: str | None) -> None:
    try:
        if prefix is None:
            if not re.search(UID, text):
                raise ValueError
            return
        if not text.startswith(prefix + "_"):
            raise ValueError
        decode_ksuid(text.removeprefix(prefix + "_"))
    except ValueError:
        raise Invalid(
            "not an iterator of this list; pass `iterator` or `prevIterator` of the page before",
            loc=("query", "iterator"),
        ) from None


def listed(found: Slice[T], show: Callable[[T], U], *, key: Callable[[T], str]) -> ListResponse[U]:
    """A page as it is shown; `key` gives the id or name that pages are cut by."""
    rows = found.rows
    return ListResponse(
        data=[show(row) for row in rows],
        iterator=key(rows[-1]) if rows else None,
        prev_iterator="-" + key(rows[0]) if rows else UNSET,
        done=not found.has_more,
    )
