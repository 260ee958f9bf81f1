"""Event types as they are sent and shown."""

from typing import Annotated, Any

from msgspec import UNSET, Meta, Struct, UnsetType

from ringback.api.schemas.words import (
    DEPRECATED,
    PAGE_ROWS,
    Description,
    EventTypeName,
    FeatureFlag,
    Instant,
    Iterator,
    Limit,
    Order,
)

Schemas = Annotated[
    dict[str, Any],
    Meta(description='JSON Schemas (Draft 7) by version: {"1": {"type": "object", …}}.'),
]
FeatureFlags = Annotated[
    list[FeatureFlag], Meta(max_length=1, description="The same as featureFlag; at most one.")
]


class EventTypeIn(Struct, frozen=True, kw_only=True, rename="camel"):
    name: EventTypeName
    description: Description
    archived: bool = False
    deprecated: bool = False
    schemas: Schemas | None = None
    feature_flag: FeatureFlag | None = None
    feature_flags: FeatureFlags | None = None
    group_name: EventTypeName | None = None


class EventTypeUpdate(Struct, frozen=True, kw_only=True, rename="camel"):
    description: Description
    archived: bool = False
    deprecated: bool = False
    schemas: Schemas | None = None
    feature_flag: FeatureFlag | None = None
    feature_flags: FeatureFlags | None = None
    group_name: EventTypeName | None = None


class EventTypePatch(Struct, frozen=True, kw_only=True, rename="camel"):
    description: Description | UnsetType = UNSET
    archived: bool | UnsetType = UNSET
    deprecated: bool | UnsetType = UNSET
    schemas: Schemas | UnsetType | None = UNSET
    feature_flag: FeatureFlag | UnsetType | None = UNSET
    feature_flags: FeatureFlags | UnsetType | None = UNSET
    group_name: EventTypeName | UnsetType | None = UNSET


class EventTypeOut(Struct, frozen=True, kw_only=True, rename="camel"):
    name: str
    description: str
    archived: bool
    deprecated: bool
    schemas: dict[str, Any] | None
    feature_flag: Annotated[str | None, DEPRECATED]
    feature_flags: list[str]
    group_name: str | None
    created_at: Instant
    updated_at: Instant


class EventTypeListQuery(Struct, frozen=True, kw_only=True):
    limit: Limit = PAGE_ROWS
    iterator: Iterator | None = None
    order: Annotated[
        Order | None, Meta(description="Accepted and ignored: always by name, ascending.")
    ] = None
    include_archived: bool = False
    with_content: Annotated[bool, Meta(description="true shows the schemas.")] = False


class EventTypeDeleteQuery(Struct, frozen=True, kw_only=True):
    expunge: Annotated[bool, Meta(description="Remove it instead of archiving it.")] = False
