"""Attempts, and messages and endpoints with how far they got, as they are shown."""

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from ringback.api.schemas.endpoint import RetryOut
from ringback.api.schemas.message import MessageOut
from ringback.api.schemas.words import (
    DEPRECATED,
    PAGE_ROWS,
    UID,
    After,
    Before,
    ChannelQuery,
    EventTypesQuery,
    Instant,
    Iterator,
    Limit,
    Payload,
    TagQuery,
    WithContent,
    uid,
)
from ringback.model import AttemptStatus, SignatureScheme, Trigger

StatusText = Literal["success", "pending", "fail", "sending", "canceled"]
Status = Annotated[
    AttemptStatus, Meta(description="0 success, 1 pending, 2 fail, 3 sending, 4 canceled.")
]
StatusCodeClass = Annotated[
    Literal[0, 100, 200, 300, 400, 500], Meta(description="0 for no response.")
]


class TimingsOut(Struct, frozen=True, kw_only=True, rename="camel"):
    """Milliseconds since the attempt began; null for a phase that did not take place."""

    dns_ms: float | None
    connect_ms: float | None
    tls_ms: float | None
    first_byte_ms: float | None
    total_ms: float


class MessageAttemptOut(Struct, frozen=True, kw_only=True, rename="camel"):
    id: str
    msg_id: str
    endpoint_id: str
    url: str
    response: Annotated[
        str, Meta(description="The first bytes of the body; base64 when they are not text.")
    ]
    response_status_code: Annotated[int, Meta(description="0: there was no response.")]
    response_duration_ms: int
    response_headers: list[tuple[str, str]]
    status: Status
    status_text: StatusText
    trigger_type: Annotated[Trigger, Meta(description="0 scheduled, 1 manual.")]
    error: Annotated[str | None, Meta(description="Why there was no valid response.")]
    timings: TimingsOut
    next_attempt: Annotated[Instant | None, Meta(description="The planned next try.")]
    timestamp: Instant
    msg: MessageOut | UnsetType = UNSET


class EndpointMessageOut(Struct, frozen=True, kw_only=True, rename="camel"):
    """A message and how far it got at one endpoint."""

    id: str
    event_id: str | None
    event_type: str
    channels: list[str] | None
    payload: Payload
    timestamp: Instant
    status: Status
    status_text: StatusText
    next_attempt: Instant | None


class MessageEndpointOut(Struct, frozen=True, kw_only=True, rename="camel"):
    """An endpoint and what became of one message there."""

    id: str
    uid: str | None
    url: str
    description: str
    disabled: bool
    event_types: list[str] | None
    filter_types: Annotated[list[str] | None, DEPRECATED]
    channels: list[str] | None
    throttle_rate: int | None
    rate_limit: Annotated[int | None, DEPRECATED]
    metadata: dict[str, str]
    version: Annotated[int, DEPRECATED]
    signature_scheme: SignatureScheme
    retry: RetryOut | None
    created_at: Instant
    updated_at: Instant
    status: Status
    status_text: StatusText
    next_attempt: Instant | None


class EndpointAttemptsQuery(Struct, frozen=True, kw_only=True):
    limit: Limit = PAGE_ROWS
    iterator: Iterator | None = None
    status: Status | None = None
    status_code_class: StatusCodeClass | None = None
    channel: ChannelQuery | None = None
    before: Before | None = None
    after: After | None = None
    with_content: WithContent = True
    with_msg: Annotated[bool, Meta(description="Show the message too.")] = False
    event_types: EventTypesQuery | None = None
    tag: TagQuery | None = None


class MessageAttemptsQuery(Struct, frozen=True, kw_only=True):
    limit: Limit = PAGE_ROWS
    iterator: Iterator | None = None
    status: Status | None = None
    status_code_class: StatusCodeClass | None = None
    channel: ChannelQuery | None = None
    endpoint_id: Annotated[str, uid(UID, "Only attempts at this endpoint.")] | None = None
    before: Before | None = None
    after: After | None = None
    with_content: WithContent = True
    event_types: EventTypesQuery | None = None
    tag: TagQuery | None = None


class EndpointMessagesQuery(Struct, frozen=True, kw_only=True):
    limit: Limit = PAGE_ROWS
    iterator: Iterator | None = None
    channel: ChannelQuery | None = None
    status: Status | None = None
    before: Before | None = None
    after: After | None = None
    with_content: WithContent = True
    event_types: EventTypesQuery | None = None
    tag: TagQuery | None = None
