"""Applications as they are sent and shown."""

from typing import Annotated

from msgspec import UNSET, Struct, UnsetType

from ringback.api.schemas.words import (
    DEPRECATED,
    PAGE_ROWS,
    AppUid,
    Instant,
    Iterator,
    Limit,
    Metadata,
    Name,
    Order,
    ThrottleRate,
)


class ApplicationIn(Struct, frozen=True, kw_only=True, rename="camel"):
    name: Name
    uid: AppUid | None = None
    throttle_rate: ThrottleRate | None = None
    rate_limit: Annotated[ThrottleRate | None, DEPRECATED] = None
    metadata: Metadata | None = None

    def rate(self) -> int | None:
        """`throttleRate` wins over its old name."""
        return self.throttle_rate if self.throttle_rate is not None else self.rate_limit


class ApplicationPatch(Struct, frozen=True, kw_only=True, rename="camel"):
    name: Name | UnsetType = UNSET
    uid: AppUid | UnsetType | None = UNSET
    throttle_rate: ThrottleRate | UnsetType | None = UNSET
    rate_limit: Annotated[ThrottleRate | UnsetType | None, DEPRECATED] = UNSET
    metadata: Metadata | UnsetType = UNSET


class ApplicationOut(Struct, frozen=True, kw_only=True, rename="camel"):
    id: str
    uid: str | None
    name: str
    throttle_rate: int | None
    rate_limit: Annotated[int | None, DEPRECATED]
    metadata: dict[str, str]
    created_at: Instant
    updated_at: Instant


class ApplicationListQuery(Struct, frozen=True, kw_only=True):
    limit: Limit = PAGE_ROWS
    iterator: Iterator | None = None
    order: Order = "ascending"


class ApplicationCreateQuery(Struct, frozen=True, kw_only=True):
    get_if_exists: bool = False
