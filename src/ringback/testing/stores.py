"""A store under test: a clock that stands still, a node, and short ways to make nouns.

The conformance suite is written against this and `store.port` alone, so it runs on any store.
"""

import asyncio
import random
from collections.abc import Coroutine, Sequence
from typing import Any, Final, TypeVar

import msgspec

from ringback.clock import Clock
from ringback.errors import NotFound
from ringback.model import (
    Application,
    Attempt,
    AttemptStatus,
    Delivery,
    Endpoint,
    EventType,
    Message,
    Timings,
    Trigger,
)
from ringback.store.nodes import NodeAbout, Standing
from ringback.store.port import (
    AcceptResult,
    DueLane,
    Lease,
    NewMessage,
    Record,
    Store,
    Take,
    Waiting,
)
from ringback.testing import nouns

T = TypeVar("T")

START_MS: Final = 1_750_000_000_000
LEASE_MS: Final = 3_600_000  # longer than any test


class StillClock(Clock):
    """Real ids and a seeded source; time moves only when a test moves it."""

    def __init__(self, at_ms: int = START_MS) -> None:
        super().__init__(random.Random(1))  # noqa: S311
        self.at_ms = at_ms

    def now_ms(self) -> int:
        return self.at_ms

    def monotonic(self) -> float:
        return self.at_ms / 1000


class World:
    """One store with one node that has joined. Methods that act on it run to the end."""

    def __init__(self, runner: asyncio.Runner, store: Store, clock: StillClock) -> None:
        self._runner = runner
        self.store = store
        self.clock = clock
        self.batch_id = 0
        self.lease = self.join()

    def run(self, action: Coroutine[Any, Any, T]) -> T:
        return self._runner.run(action)

    def join(self, *, host: str = "here", role: str = "all", lease_ms: int = LEASE_MS) -> Lease:
        return self.run(self.store.nodes.join(NodeAbout(host, role=role), lease_ms=lease_ms))

    def renew(self, lease: Lease | None = None, *, lease_ms: int = LEASE_MS) -> Standing:
        return self.run(self.store.nodes.renew(lease or self.lease, lease_ms=lease_ms))

    def next_batch(self) -> int:
        self.batch_id += 1
        return self.batch_id

    # ---- resources

    def app(self, *, org_id: str = "org_1", **columns: Any) -> Application:
        now_ms = self.clock.now_ms()
        app = Application(
            id=self.clock.new_id("app"),
            org_id=org_id,
            name="Shop",
            uid=None,
            throttle_rate=None,
            metadata={},
            version=0,
            created_at_ms=now_ms,
            updated_at_ms=now_ms,
        )
        return self.run(self.store.resources.create_app(msgspec.structs.replace(app, **columns)))

    def new_endpoint(self, app: Application, **columns: Any) -> Endpoint:
        now_ms = self.clock.now_ms()
        return nouns.endpoint(
            **{
                "id": self.clock.new_id("ep"),
                "app_id": app.id,
                "version": 0,
                "created_at_ms": now_ms,
                "updated_at_ms": now_ms,
                **columns,
            }
        )

    def endpoint(self, app: Application, **columns: Any) -> Endpoint:
        endpoint = self.new_endpoint(app, **columns)
        return self.run(self.store.resources.create_endpoint(endpoint, endpoints_max=10_000))

    def event_type(self, name: str, *, org_id: str = "org_1", **columns: Any) -> EventType:
        now_ms = self.clock.now_ms()
        event_type = EventType(
            org_id=org_id,
            name=name,
            description="",
            is_archived=False,
            is_deprecated=False,
            schemas=None,
            feature_flag=None,
            group_name=None,
            created_at_ms=now_ms,
            updated_at_ms=now_ms,
        )
        event_type = msgspec.structs.replace(event_type, **columns)
        return self.run(self.store.resources.create_event_type(event_type))

    def version(self, app: Application) -> int:
        routing = self.run(self.store.path.routing_of(app.id))
        if routing is None:
            raise NotFound
        return routing.app.version

    # ---- the path

    def message(self, app: Application, **columns: Any) -> Message:
        """Not accepted yet."""
        message = Message(
            id=self.clock.new_id("msg"),
            app_id=app.id,
            event_type="invoice.paid",
            event_id=None,
            channels=None,
            payload=b'{"amount":100}',
            raw_body=None,
            content_type=None,
            payload_expires_at_ms=None,
            created_at_ms=self.clock.now_ms(),
        )
        return msgspec.structs.replace(message, **columns)

    def routed(
        self,
        message: Message,
        app: Application,
        *,
        now: Sequence[Endpoint] = (),
        waiting: Sequence[Endpoint] = (),
        due_at_ms: int | None = None,
        **columns: Any,
    ) -> NewMessage:
        due_at_ms = self.clock.now_ms() if due_at_ms is None else due_at_ms
        new = NewMessage(
            message,
            self.version(app),
            tuple(delivery(message, endpoint) for endpoint in now),
            tuple(Waiting(delivery(message, endpoint), due_at_ms) for endpoint in waiting),
            None,
        )
        return msgspec.structs.replace(new, **columns)

    def accept(self, *messages: NewMessage, lease: Lease | None = None) -> list[AcceptResult]:
        return self.run(self.store.path.accept(lease or self.lease, self.next_batch(), messages))

    def sent(self, app: Application, *endpoints: Endpoint, **columns: Any) -> Message:
        """A message that was accepted and is in flight to the endpoints, in `batch_id`."""
        message = self.message(app, **columns)
        self.accept(self.routed(message, app, now=endpoints))
        return message

    def queued(
        self, app: Application, endpoint: Endpoint, *, due_at_ms: int | None = None, **columns: Any
    ) -> Message:
        """A message that was accepted and waits for the endpoint."""
        message = self.message(app, **columns)
        self.accept(self.routed(message, app, waiting=[endpoint], due_at_ms=due_at_ms))
        return message

    def attempt(self, message: Message, endpoint: Endpoint, **columns: Any) -> Attempt:
        """Not recorded yet."""
        attempt = Attempt(
            id=self.clock.new_id("atmpt"),
            app_id=message.app_id,
            msg_id=message.id,
            endpoint_id=endpoint.id,
            batch_id=self.batch_id,
            number=1,
            trigger=Trigger.SCHEDULED,
            status=AttemptStatus.SUCCESS,
            status_code=200,
            url=endpoint.url,
            response=b"thanks",
            response_headers=(("content-type", "text/plain"),),
            error=None,
            timings=Timings(connect_ms=0.5, first_byte_ms=1.25, total_ms=2.5),
            started_at_ms=self.clock.now_ms(),
            next_at_ms=None,
        )
        return msgspec.structs.replace(attempt, **columns)

    def failure(self, message: Message, endpoint: Endpoint, **columns: Any) -> Attempt:
        """An attempt that got a 500. Not recorded yet."""
        columns = {"status": AttemptStatus.FAIL, "status_code": 500, **columns}
        return self.attempt(message, endpoint, **columns)

    def record(self, *attempts: Attempt, lease: Lease | None = None, **rest: Any) -> None:
        what = Record(attempts=attempts, **rest)
        self.run(self.store.path.record(lease or self.lease, what))

    def due(self) -> list[DueLane]:
        now_ms = self.clock.now_ms()
        return self.run(self.store.path.due_lanes(now_ms, after=None, limit=1_000))

    def claim(self, *takes: Take, lease: Lease | None = None) -> list[Delivery]:
        claimed = self.run(
            self.store.path.claim(
                lease or self.lease, self.next_batch(), takes, now_ms=self.clock.now_ms()
            )
        )
        return [one.delivery for one in claimed]

    def claim_all(self, endpoint: Endpoint) -> list[Delivery]:
        return self.claim(Take(endpoint.id, 1_000))

    def adopt(self, lease: Lease | None = None, *, limit: int = 1_000) -> int:
        now_ms = self.clock.now_ms()
        return self.run(self.store.path.adopt(lease or self.lease, now_ms=now_ms, limit=limit))

    def crash(self) -> None:
        """The node dies with what it has in flight; after its lease a new one takes its place."""
        self.renew(lease_ms=0)
        self.lease = self.join()


def delivery(message: Message, endpoint: Endpoint, **columns: Any) -> Delivery:
    return msgspec.structs.replace(Delivery(message.app_id, message.id, endpoint.id), **columns)
