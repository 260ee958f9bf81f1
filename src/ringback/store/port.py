"""What a store promises, as protocols and values. Not a public API: it may change with the engine.

`engine` and `api` know this module and never a concrete store. Six protocols, one a concern:

    Path       what every message goes through: accept, record, claim, adopt, and what they read
    Nodes      the lease of this process: who may send, and what nodes share (`store.nodes`)
    Notices    what nodes tell one another, so that nobody looks all the time (`store.nodes`)
    Resources  applications, endpoints, event types, idempotent answers
    History    messages and attempts, as people look at them
    Tending    what keeps the database small, and background tasks (`store.tending`)

Invariants that every implementation keeps, and `tests/conformance` checks:

1. A call that returns has committed. A call that raises has changed nothing; StoreUnavailable alone
   leaves that open, when the connection broke before the answer: so all calls may be repeated.
2. `accept` writes messages and their in-flight batch (or waiting rows) in one transaction.
3. An attempt is written once and never changed, except that its response can be expunged.
4. A delivery is in exactly one place: an in-flight batch, a waiting row, or finished.
5. A waiting row of a disabled endpoint stays and is not due; of a deleted one it is purged.
6. Uids are unique among what is not deleted; deleting frees them.

Every method may raise StoreUnavailable (try again), StoreCorrupt or StoreGone (for good, see
`Store.fault`), and the ones that take a lease Fenced.
"""

from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol, TypeVar

from msgspec import Struct

from ringback.errors import StoreError
from ringback.model import (
    Application,
    Attempt,
    AttemptStatus,
    Delivery,
    Endpoint,
    EventType,
    Message,
)
from ringback.store.page import Page, Slice

if TYPE_CHECKING:
    from ringback.store.nodes import Nodes, Notices
    from ringback.store.tending import Tending

T = TypeVar("T")

# ---- values of the path -------------------------------------------------------------------------


class Lease(Struct, frozen=True):
    """This process's right to send. `epoch` is unique for ever: a restart gets a new one."""

    node_id: str
    epoch: int


class IdempotencyKey(Struct, frozen=True):
    """A digest of (organization, method, path, key) and when it may be forgotten."""

    digest: bytes
    expires_at_ms: int


class Waiting(Struct, frozen=True):
    """A delivery that is not in flight. `batch_id` is the batch it came from, 0 for none."""

    delivery: Delivery
    due_at_ms: int
    batch_id: int = 0


class NewMessage(Struct, frozen=True):
    """A routed message to accept. `routing_version` is the application version it was routed by.

    `now` are the endpoints it is handed to at once (they go into the batch row), `waiting` those
    whose lane has no room.
    """

    message: Message
    routing_version: int
    now: tuple[Delivery, ...]
    waiting: tuple[Waiting, ...]
    idempotency: IdempotencyKey | None


class AcceptOutcome(StrEnum):
    ACCEPTED = "accepted"
    STALE = "stale"  # the application changed since it was routed: route again
    GONE = "gone"  # the application was deleted
    EVENT_ID_TAKEN = "event_id_taken"  # the application has a message with this eventId
    REPEATED = "repeated"  # the idempotency key is known; `message_id` is the first message's


class AcceptResult(Struct, frozen=True):
    """Only ACCEPTED wrote anything. `message_id` is the message that now stands for the request."""

    outcome: AcceptOutcome
    message_id: str


class Health(Struct, frozen=True):
    """The first failure after the last success of an endpoint, None when it is healthy again."""

    endpoint_id: str
    failing_since_ms: int | None


class Disable(Struct, frozen=True):
    """Disable an endpoint unless it changed after `version` (somebody acted in the meantime).

    With `failing_since_ms`, only if no attempt of it has succeeded since.
    """

    endpoint_id: str
    version: int
    at_ms: int
    failing_since_ms: int | None = None


class Record(Struct, frozen=True):
    """What became of deliveries in flight, committed together."""

    attempts: Sequence[Attempt] = ()
    waiting: Sequence[Waiting] = ()
    finished_batches: Sequence[int] = ()
    health: Sequence[Health] = ()
    disable: Sequence[Disable] = ()


class DueLane(Struct, frozen=True):
    """An endpoint with waiting work that is due, and its oldest due time."""

    endpoint_id: str
    app_id: str
    due_at_ms: int


class Take(Struct, frozen=True):
    """Claim up to `count` due deliveries of one endpoint."""

    endpoint_id: str
    count: int


class Claimed(Struct, frozen=True):
    """`app_version` is the application's version at the claim, to check caches against."""

    delivery: Delivery
    app_version: int


class Routing(Struct, frozen=True):
    """An application with all its endpoints that are not deleted, read at one instant."""

    app: Application
    endpoints: tuple[Endpoint, ...]


class Path(Protocol):
    async def accept(
        self, lease: Lease, batch_id: int, messages: Sequence[NewMessage]
    ) -> list[AcceptResult]:
        """Commit messages; results are in the order of `messages`.

        The batch row holds the `now` deliveries of the accepted ones; there is none if that is
        empty. Within one call, the first message with an event id or idempotency key wins.
        """
        ...

    async def hand_off(self, lease: Lease, batch_id: int, deliveries: Sequence[Delivery]) -> None:
        """Write a batch row for deliveries of messages that exist already (a manual resend)."""
        ...

    async def park(self, waiting: Sequence[Waiting]) -> None:
        """Write waiting rows for messages that exist already."""
        ...

    async def record(self, lease: Lease, record: Record) -> None: ...

    async def due_lanes(self, now_ms: int, *, after: DueLane | None, limit: int) -> list[DueLane]:
        """Lanes with due work by (due_at_ms, endpoint_id), after the given one.

        Costs by the number of due lanes returned, not by the number of waiting rows.
        """
        ...

    async def next_due_at_ms(self) -> int | None:
        """The earliest due time of any lane, None when nothing waits."""
        ...

    async def claim(
        self, lease: Lease, batch_id: int, takes: Sequence[Take], *, now_ms: int
    ) -> list[Claimed]:
        """Move due waiting rows, oldest first in each lane, into a new in-flight batch."""
        ...

    async def postpone(self, due_at_ms: Mapping[str, int]) -> None:
        """Make lanes (by endpoint id) not due before an instant, whatever their rows say.

        A row that starts waiting later with an earlier due time makes its lane due again.
        """
        ...

    async def hasten(self, endpoint_ids: Sequence[str]) -> None:
        """Undo `postpone`: lanes are due when their earliest row is."""
        ...

    async def adopt(self, lease: Lease, *, now_ms: int, limit: int) -> int:
        """Turn up to `limit` batches of dead nodes into waiting rows that are due at `now_ms`.

        Dead is whose lease has run out by the database's clock; it is fenced first. Only
        deliveries of which the batch recorded neither an attempt nor a waiting row come back.
        Returns how many batches were adopted.
        """
        ...

    async def routing(self, org_id: str, app_ref: str) -> Routing | None:
        """By id or uid. None when there is no such application."""
        ...

    async def routing_of(self, app_id: str) -> Routing | None:
        """By id, whatever the organization: for deliveries that are already on their way."""
        ...

    async def versions(self, app_ids: Sequence[str]) -> dict[str, int]:
        """Of those of some applications that are not deleted, by id."""
        ...

    async def messages(self, refs: Sequence[tuple[str, str]]) -> dict[str, Message]:
        """By (app id, message id): those that still exist, by message id, with payload."""
        ...


# ---- resources ----------------------------------------------------------------------------------


class Resources(Protocol):
    """Applications, endpoints and event types.

    `change` functions are pure; they run inside the transaction and may run more than once.
    `ref` is an id or a uid. Reads return None for what is not there; writes raise NotFound, and
    Conflict when a uid or name is taken. Every write to an application or one of its endpoints
    raises the application's `version` by one; the store sets `version`, callers don't.
    """

    async def list_apps(self, org_id: str, page: Page) -> Slice[Application]: ...
    async def get_app(self, org_id: str, ref: str) -> Application | None: ...
    async def create_app(self, app: Application) -> Application: ...
    async def update_app(
        self, org_id: str, ref: str, change: Callable[[Application], Application]
    ) -> Application: ...
    async def delete_app(self, org_id: str, ref: str, *, at_ms: int) -> Application:
        """Soft: its endpoints go with it, its messages stay until retention takes them."""
        ...

    async def list_endpoints(self, app_id: str, page: Page) -> Slice[Endpoint]: ...
    async def get_endpoint(self, app_id: str, ref: str) -> Endpoint | None: ...
    async def create_endpoint(self, endpoint: Endpoint, *, endpoints_max: int) -> Endpoint:
        """Raises BadRequest (`limit_reached`) when the application has `endpoints_max`."""
        ...

    async def update_endpoint(
        self, app_id: str, ref: str, change: Callable[[Endpoint], Endpoint]
    ) -> Endpoint:
        """Disabling parks the endpoint's waiting rows, enabling makes them due again."""
        ...

    async def delete_endpoint(self, app_id: str, ref: str, *, at_ms: int) -> Endpoint:
        """Soft: history shows it, without secrets. Its waiting rows are never claimed again."""
        ...

    async def is_id_taken(self, id_: str) -> bool:
        """Whether an application or endpoint of any organization has this id, or history does."""
        ...

    async def list_event_types(
        self, org_id: str, page: Page, *, include_archived: bool, flags: Sequence[str] | None
    ) -> Slice[EventType]:
        """By name, ascending; the iterator is a name. `flags`: only types without a feature flag
        or with one of these; None for all."""
        ...

    async def get_event_type(self, org_id: str, name: str) -> EventType | None: ...
    async def create_event_type(self, event_type: EventType) -> EventType:
        """An archived one of that name is replaced. Conflict code `event_type_exists`."""
        ...

    async def update_event_type(
        self, org_id: str, name: str, change: Callable[[EventType], EventType]
    ) -> EventType: ...
    async def delete_event_type(self, org_id: str, name: str, *, expunge: bool, at_ms: int) -> None:
        """Archive it, or with `expunge` remove it."""
        ...

    async def unknown_event_types(self, org_id: str, names: Sequence[str]) -> list[str]:
        """Those of `names` that the organization does not have (archived ones exist)."""
        ...

    async def recall(self, digest: bytes, *, now_ms: int) -> bytes | None:
        """The answer remembered under an idempotency key, None when unknown or expired."""
        ...

    async def remember(self, key: IdempotencyKey, answer: bytes) -> None:
        """Keep an answer; the first one stays."""
        ...


# ---- history ------------------------------------------------------------------------------------


class MessageFilter(Struct, frozen=True):
    """`before_ms` and `after_ms` are exclusive bounds on when the row's id was made."""

    channel: str | None = None
    before_ms: int | None = None
    after_ms: int | None = None
    event_types: tuple[str, ...] | None = None
    with_payload: bool = True


class AttemptFilter(Struct, frozen=True):
    """`status_class` is 0 for no response, else 100, 200, … 500. Event type and channel are the
    message's."""

    status: AttemptStatus | None = None
    status_class: int | None = None
    channel: str | None = None
    before_ms: int | None = None
    after_ms: int | None = None
    event_types: tuple[str, ...] | None = None
    endpoint_id: str | None = None
    with_response: bool = True


class EndpointStats(Struct, frozen=True):
    success: int
    pending: int
    sending: int
    fail: int
    canceled: int


class History(Protocol):
    async def list_messages(
        self, app_id: str, page: Page, where: MessageFilter
    ) -> Slice[Message]: ...
    async def get_message(self, app_id: str, ref: str) -> Message | None:
        """By id or event id."""
        ...

    async def expunge_message(self, app_id: str, ref: str) -> None:
        """Delete the payload. Raises NotFound."""
        ...

    async def list_attempts_of_endpoint(
        self, endpoint_id: str, page: Page, where: AttemptFilter
    ) -> Slice[Attempt]: ...
    async def list_attempts_of_message(
        self, msg_id: str, page: Page, where: AttemptFilter
    ) -> Slice[Attempt]: ...
    async def get_attempt(self, msg_id: str, attempt_id: str) -> Attempt | None: ...
    async def expunge_attempt(self, msg_id: str, attempt_id: str) -> None:
        """Replace the stored response by `EXPUNGED`, without its headers. Raises NotFound."""
        ...

    async def list_messages_of_endpoint(
        self,
        endpoint_id: str,
        page: Page,
        where: MessageFilter,
        *,
        status: AttemptStatus | None,
    ) -> Slice[tuple[Message, Attempt]]:
        """Messages tried at an endpoint, each with its latest attempt there; pages by message id.

        `status` SUCCESS: some attempt succeeded. FAIL: the last one failed for good and none
        succeeded. SENDING: the latest attempt has a next one. PENDING: nothing matches.
        """
        ...

    async def list_endpoints_of_message(
        self, msg_id: str, page: Page
    ) -> Slice[tuple[Endpoint, Attempt]]:
        """Endpoints that a message was tried at, deleted ones too, each with the latest attempt."""
        ...

    async def endpoint_stats(
        self, endpoint_id: str, *, since_ms: int, until_ms: int
    ) -> EndpointStats:
        """Attempts by status; `sending` counts waiting rows, `pending` is always 0."""
        ...


# ---- the store ----------------------------------------------------------------------------------


class Store(Protocol):
    """One open database."""

    path: Path
    nodes: "Nodes"
    notices: "Notices"
    resources: Resources
    history: History
    tending: "Tending"

    @property
    def fault(self) -> StoreError | None:
        """Why nothing is written any more until the store is opened anew (a StoreCorrupt, a
        StoreGone); None while it is well."""
        ...

    @property
    def hindrance(self) -> StoreError | None:
        """Why some writes fail just now, as on a disk that is full; None while they succeed."""
        ...

    async def close(self) -> None:
        """Finish what was handed in, then close. Safe to call twice."""
        ...
