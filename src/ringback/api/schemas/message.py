"""Messages as they are sent and shown."""

from datetime import datetime
from typing import Annotated, Any, Final

from msgspec import Meta, Raw, Struct, field

from ringback.api.schemas.application import ApplicationIn
from ringback.api.schemas.words import (
    DEPRECATED,
    PAGE_ROWS,
    After,
    Before,
    ChannelQuery,
    Channels,
    EventId,
    EventTypeName,
    EventTypesQuery,
    Instant,
    Iterator,
    Limit,
    Payload,
    TagQuery,
    WithContent,
)

RETENTION_DAYS_MAX: Final = 90
RETENTION_HOURS_MAX: Final = 24 * RETENTION_DAYS_MAX


class TransformationsParams(Struct, frozen=True, kw_only=True, rename="camel"):
    raw_payload: Annotated[
        str | None, Meta(description="Sent instead of the payload, as it is.")
    ] = None
    headers: Annotated[
        dict[str, Any] | None, Meta(description="content-type of the raw payload.")
    ] = None


class MessageIn(Struct, frozen=True, kw_only=True, rename="camel"):
    event_type: EventTypeName
    payload: Payload = field(default_factory=Raw)
    data: Annotated[Payload, DEPRECATED] = field(default_factory=Raw)
    event_id: EventId | None = None
    channels: Channels | None = None
    payload_retention_period: Annotated[
        Annotated[int, Meta(ge=1, le=RETENTION_DAYS_MAX)] | None,
        Meta(description="Days to keep the payload; the server's default unless given."),
    ] = None
    payload_retention_hours: Annotated[
        Annotated[int, Meta(ge=1, le=RETENTION_HOURS_MAX)] | None,
        Meta(description="The same in hours; not together with payloadRetentionPeriod."),
    ] = None
    application: Annotated[
        ApplicationIn | None,
        Meta(description="Creates the application if the path names none; its uid is the path's."),
    ] = None
    transformations_params: TransformationsParams | None = None
    deliver_at: Annotated[
        datetime | None, Meta(description="Not supported: post the message when it is due.")
    ] = None


class MessageOut(Struct, frozen=True, kw_only=True, rename="camel"):
    id: str
    event_id: str | None
    event_type: str
    channels: list[str] | None
    payload: Payload
    timestamp: Instant


class ContentQuery(Struct, frozen=True, kw_only=True):
    with_content: WithContent = True


class MessageListQuery(Struct, frozen=True, kw_only=True):
    limit: Limit = PAGE_ROWS
    iterator: Iterator | None = None
    channel: ChannelQuery | None = None
    before: Before | None = None
    after: After | None = None
    with_content: WithContent = True
    event_types: EventTypesQuery | None = None
    tag: TagQuery | None = None


class MessagePrecheckIn(Struct, frozen=True, kw_only=True, rename="camel"):
    event_type: EventTypeName
    channels: Channels | None = None


class MessagePrecheckOut(Struct, frozen=True, kw_only=True, rename="camel"):
    active: Annotated[bool, Meta(description="Some enabled endpoint would get it.")]


class EmptyResponse(Struct, frozen=True):
    pass
