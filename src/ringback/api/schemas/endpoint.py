"""Endpoints as they are sent and shown. A secret is never part of an endpoint that is shown."""

from typing import Annotated, Final

from msgspec import UNSET, Meta, Raw, Struct, UnsetType, field

from ringback.api.schemas.words import (
    DEPRECATED,
    PAGE_ROWS,
    Channels,
    Description,
    EndpointUid,
    EventTypeName,
    EventTypes,
    Instant,
    Iterator,
    Limit,
    Metadata,
    Moment,
    Order,
    Payload,
    ThrottleRate,
    shown_as,
)
from ringback.model import SignatureScheme
from ringback.rules.retry import ATTEMPTS_MAX, WAIT_S_MAX

GRACE_S: Final = 86_400
GRACE_S_MAX: Final = 604_800
RETRIES_MAX: Final = 100
HEADERS_DELETED_MAX: Final = 100

Url = Annotated[
    str,
    Meta(min_length=1, description="http:// or https://; kept in its normal form."),
    shown_as(format="uri", examples=["https://shop.example/webhooks"]),
]
SecretText = Annotated[
    str,
    Meta(description="whsec_… (HMAC) or whsk_… (Ed25519). Leave it out to have one made."),
]
WaitSeconds = Annotated[float, Meta(ge=0, le=WAIT_S_MAX)]
PositiveWait = Annotated[float, Meta(gt=0, le=WAIT_S_MAX)]
Headers = Annotated[dict[str, str], Meta(description="Sent along with every delivery.")]


class RetryIn(Struct, frozen=True, kw_only=True, rename="camel"):
    """Either the waits one by one, or how they grow. Kept as the waits."""

    schedule: Annotated[
        list[WaitSeconds] | None,
        Meta(description="Seconds before each retry; empty for no retries."),
    ] = None
    base: Annotated[PositiveWait | None, Meta(description="The first wait in seconds.")] = None
    factor: Annotated[float, Meta(ge=1, description="Each wait is this many times the last.")] = 2.0
    cap: Annotated[PositiveWait, Meta(description="No wait is longer, in seconds.")] = 86_400.0
    attempts: Annotated[
        int, Meta(ge=1, le=ATTEMPTS_MAX, description="Attempts in all, the first included.")
    ] = 10


class RetryOut(Struct, frozen=True, kw_only=True, rename="camel"):
    schedule: Annotated[list[float], Meta(description="Seconds before each retry.")]


class EndpointIn(Struct, frozen=True, kw_only=True, rename="camel"):
    url: Url
    uid: EndpointUid | None = None
    description: Description | None = None
    disabled: bool | None = None
    event_types: EventTypes | None = None
    filter_types: Annotated[EventTypes | None, DEPRECATED] = None
    channels: Channels | None = None
    secret: SecretText | None = None
    throttle_rate: ThrottleRate | None = None
    rate_limit: Annotated[ThrottleRate | None, DEPRECATED] = None
    metadata: Metadata | None = None
    headers: Headers | None = None
    signature_scheme: SignatureScheme = SignatureScheme.STANDARD
    retry: RetryIn | None = None


class EndpointUpdate(Struct, frozen=True, kw_only=True, rename="camel"):
    """Replaces everything but the secret and the headers.

    What Ringback adds to the Svix API (`signatureScheme`, `retry`) is kept when it is left out, so
    that a client that does not know it does no harm.
    """

    url: Url
    uid: EndpointUid | None = None
    description: Description | None = None
    disabled: bool | None = None
    event_types: EventTypes | None = None
    filter_types: Annotated[EventTypes | None, DEPRECATED] = None
    channels: Channels | None = None
    throttle_rate: ThrottleRate | None = None
    rate_limit: Annotated[ThrottleRate | None, DEPRECATED] = None
    metadata: Metadata | None = None
    signature_scheme: SignatureScheme | UnsetType = UNSET
    retry: RetryIn | UnsetType | None = UNSET


class EndpointPatch(Struct, frozen=True, kw_only=True, rename="camel"):
    url: Url | UnsetType = UNSET
    uid: EndpointUid | UnsetType | None = UNSET
    description: Description | UnsetType = UNSET
    disabled: bool | UnsetType = UNSET
    event_types: EventTypes | UnsetType | None = UNSET
    filter_types: Annotated[EventTypes | UnsetType | None, DEPRECATED] = UNSET
    channels: Channels | UnsetType | None = UNSET
    throttle_rate: ThrottleRate | UnsetType | None = UNSET
    rate_limit: Annotated[ThrottleRate | UnsetType | None, DEPRECATED] = UNSET
    metadata: Metadata | UnsetType = UNSET
    signature_scheme: SignatureScheme | UnsetType = UNSET
    retry: RetryIn | UnsetType | None = UNSET


class EndpointOut(Struct, frozen=True, kw_only=True, rename="camel"):
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
    version: Annotated[int, Meta(description="Always 1."), DEPRECATED]
    signature_scheme: SignatureScheme
    retry: Annotated[RetryOut | None, Meta(description="null: the server's schedule.")]
    created_at: Instant
    updated_at: Instant


class EndpointListQuery(Struct, frozen=True, kw_only=True):
    limit: Limit = PAGE_ROWS
    iterator: Iterator | None = None
    order: Order = "descending"


class EndpointSecretOut(Struct, frozen=True, kw_only=True, rename="camel"):
    """What the receiver verifies with: the shared secret, or the public key (whpk_…)."""

    key: str


class EndpointSecretRotateIn(Struct, frozen=True, kw_only=True, rename="camel"):
    key: SecretText | None = None
    grace_period_seconds: Annotated[
        Annotated[int, Meta(ge=0, le=GRACE_S_MAX)] | None,
        Meta(description="How long the old secret goes on signing; a day unless given."),
    ] = None


class EndpointHeadersIn(Struct, frozen=True, kw_only=True, rename="camel"):
    headers: Headers


class EndpointHeadersPatchIn(Struct, frozen=True, kw_only=True, rename="camel"):
    headers: Annotated[
        dict[str, str | None] | None, Meta(description="null removes one; others are kept.")
    ] = None
    delete_headers: Annotated[
        Annotated[list[str], Meta(max_length=HEADERS_DELETED_MAX)] | None,
        Meta(description="Names to remove."),
    ] = None


class EndpointHeadersOut(Struct, frozen=True, kw_only=True, rename="camel"):
    headers: dict[str, str]
    sensitive: Annotated[list[str], Meta(description="Set, but their values are not shown.")]


class EndpointStatsOut(Struct, frozen=True, kw_only=True, rename="camel"):
    """Attempts by status."""

    success: int
    pending: int
    sending: int
    fail: int
    canceled: int


class EndpointAttemptStatsOut(Struct, frozen=True, kw_only=True, rename="camel"):
    success: int
    fail: int
    canceled: int


class StatsQuery(Struct, frozen=True, kw_only=True):
    since: Moment | None = None
    until: Moment | None = None


class EventExampleIn(Struct, frozen=True, kw_only=True, rename="camel"):
    event_type: EventTypeName
    example_index: Annotated[
        int, Meta(ge=0, description="Which of the schema's examples; the first unless given.")
    ] = 0
    payload: Annotated[Payload, Meta(description="Send this instead of an example.")] = field(
        default_factory=Raw
    )


class RecoverIn(Struct, frozen=True, kw_only=True, rename="camel"):
    since: Moment
    until: Moment | None = None


class RecoverOut(Struct, frozen=True, kw_only=True, rename="camel"):
    """The background task that does it."""

    id: str
    status: str
    task: str
    updated_at: Instant
