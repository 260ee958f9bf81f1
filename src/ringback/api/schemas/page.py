"""The shape of every list."""

from typing import Annotated, Generic, TypeVar

from msgspec import UNSET, Meta, Struct, UnsetType

from ringback.api.schemas.words import PAGE_ROWS, Iterator, Limit, Order

T = TypeVar("T")


class ListResponse(Struct, Generic[T], frozen=True, kw_only=True, rename="camel"):
    """One page. `iterator` leads on, `prevIterator` leads back; `done` when nothing follows."""

    data: list[T]
    iterator: Annotated[
        str | None, Meta(description="Send as `iterator` for the next page; null if empty.")
    ]
    done: Annotated[bool, Meta(description="Nothing follows in the direction that was walked.")]
    prev_iterator: Annotated[
        str | UnsetType, Meta(description="Send as `iterator` for the page before.")
    ] = UNSET


class PageQuery(Struct, frozen=True, kw_only=True):
    limit: Limit = PAGE_ROWS
    iterator: Iterator | None = None


class OrderedPageQuery(Struct, frozen=True, kw_only=True):
    limit: Limit = PAGE_ROWS
    iterator: Iterator | None = None
    order: Order | None = None
