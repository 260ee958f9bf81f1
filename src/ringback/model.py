"""The nouns. Frozen values, no behaviour beyond what can be read off them.

Instants are integers, milliseconds since the Unix epoch (`…_at_ms`); durations carry their unit.
Ids are text with a prefix (`app_`, `ep_`, `msg_`, `atmpt_`, `qtask_`), see `clock.py`.
"""

from collections.abc import Mapping
from enum import IntEnum, StrEnum
from typing import Any

from msgspec import Struct


class AttemptStatus(IntEnum):
    """The numbers of the Svix API (`MessageStatus`). Attempts are only ever SUCCESS or FAIL."""

    SUCCESS = 0
    PENDING = 1
    FAIL = 2
    SENDING = 3
    CANCELED = 4


class Trigger(IntEnum):
    """Why an attempt was made: by the schedule, or because somebody asked for it."""

    SCHEDULED = 0
    MANUAL = 1


class SignatureType(StrEnum):
    HMAC256 = "hmac256"
    ED25519 = "ed25519"


class SignatureScheme(StrEnum):
    """How an endpoint's deliveries are signed on the wire."""

    STANDARD = "standard"
    STRIPE = "stripe"
    GITHUB = "github"


class Secret(Struct, frozen=True):
    """A signing key as text (`whsec_…` or `whsk_…`); `expires_at_ms` is set on rotated-out keys.

    One that was sealed and does not open is still there: its `key` is the sealed text, to be stored
    again as it is, and `why_closed` says what to do. Nothing is signed with it.

    `repr` never shows the key: secrets must not reach a log.
    """

    key: str
    expires_at_ms: int | None = None
    why_closed: str = ""

    def __repr__(self) -> str:
        return f"Secret({self.key[:5]}_…, expires_at_ms={self.expires_at_ms})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [("expires_at_ms", self.expires_at_ms)]


class RetryPolicy(Struct, frozen=True):
    """Waits between attempts, in seconds: `len(schedule)` retries after the first attempt."""

    schedule_s: tuple[float, ...]


class Application(Struct, frozen=True):
    """One customer of the organization. `version` grows with each change of it or its endpoints."""

    id: str
    org_id: str
    name: str
    uid: str | None
    throttle_rate: int | None
    metadata: Mapping[str, str]
    version: int
    created_at_ms: int
    updated_at_ms: int


class Endpoint(Struct, frozen=True):
    """A URL that asked for events, with how to sign, filter, pace and retry them.

    `secrets` holds the current key first, then rotated-out keys that have not expired.
    `failing_since_ms` is the first failure after the last success, None when healthy.
    """

    id: str
    app_id: str
    uid: str | None
    url: str
    description: str
    is_disabled: bool
    event_types: tuple[str, ...] | None
    channels: tuple[str, ...] | None
    throttle_rate: int | None
    metadata: Mapping[str, str]
    headers: Mapping[str, str]
    secrets: tuple[Secret, ...]
    signature_scheme: SignatureScheme
    retry: RetryPolicy | None
    failing_since_ms: int | None
    version: int
    created_at_ms: int
    updated_at_ms: int


class EventType(Struct, frozen=True):
    org_id: str
    name: str
    description: str
    is_archived: bool
    is_deprecated: bool
    schemas: Mapping[str, object] | None
    feature_flag: str | None
    group_name: str | None
    created_at_ms: int
    updated_at_ms: int


class Message(Struct, frozen=True):
    """An event as it was accepted. `payload` is exactly the bytes posted, None once expunged.

    `raw_body` and `content_type` replace what is sent when the sender asked for that.
    `payload_expires_at_ms` is None for the server's default retention.
    """

    id: str
    app_id: str
    event_type: str
    event_id: str | None
    channels: tuple[str, ...] | None
    payload: bytes | None
    raw_body: bytes | None
    content_type: str | None
    payload_expires_at_ms: int | None
    created_at_ms: int

    @property
    def body(self) -> bytes | None:
        """The bytes to send and sign."""
        return self.payload if self.raw_body is None else self.raw_body

    @property
    def size(self) -> int:
        """How many bytes of it are in memory: the payload is, even when something else is sent."""
        return len(self.payload or b"") + len(self.raw_body or b"")


class Timings(Struct, frozen=True):
    """Milliseconds since the attempt began, of each phase that took place."""

    dns_ms: float | None = None
    connect_ms: float | None = None
    tls_ms: float | None = None
    first_byte_ms: float | None = None
    total_ms: float = 0.0


class Attempt(Struct, frozen=True):
    """One try, written once, never changed. `status_code` 0 means that there was no response.

    `number` counts from 1 within a delivery; 0 for a manual resend. `batch_id` is the hand-off that
    it fulfils. `error` says in words why there was no valid response. `next_at_ms` is the planned
    next try, None when this one was the last.
    """

    id: str
    app_id: str
    msg_id: str
    endpoint_id: str
    batch_id: int
    number: int
    trigger: Trigger
    status: AttemptStatus
    status_code: int
    url: str
    response: bytes
    response_headers: tuple[tuple[str, str], ...]
    error: str | None
    timings: Timings
    started_at_ms: int
    next_at_ms: int | None


class Delivery(Struct, frozen=True):
    """A message on its way to one endpoint: what a batch row or a waiting row holds."""

    app_id: str
    msg_id: str
    endpoint_id: str
    attempts_made: int = 0
    trigger: Trigger = Trigger.SCHEDULED


class TaskStatus(StrEnum):
    RUNNING = "running"
    FINISHED = "finished"
    FAILED = "failed"


class Task(Struct, frozen=True):
    """A background task with its progress; `cursor` is where it goes on after a restart."""

    id: str
    org_id: str
    app_id: str
    kind: str
    status: TaskStatus
    arguments: Mapping[str, object]
    cursor: str | None
    done_count: int
    created_at_ms: int
    updated_at_ms: int
