"""What a handler gets and what it gives: a call with everything decoded, and an answer.

Handlers never see a request or a header. They raise what is in `errors` for what cannot be served.
"""

from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final, Generic, Protocol, TypeVar

import msgspec
from msgspec import Struct

from ringback.api.access import Principal
from ringback.api.auth import Tokens
from ringback.clock import Clock
from ringback.config import Settings
from ringback.engine.accept import Draft
from ringback.model import Application, Endpoint, Message, Task
from ringback.store.port import Lease, Store
from ringback.telemetry.logging import Log

Q_co = TypeVar("Q_co", covariant=True)
B_co = TypeVar("B_co", covariant=True)

JSON: Final = b"application/json"
encode: Final = msgspec.json.Encoder().encode


class EngineState(Protocol):
    """How the engine is; seconds since the oldest delivery that is due became due; why the store
    cannot be written (empty: it can); how far the database's clock is ahead."""

    @property
    def is_alive(self) -> bool: ...
    @property
    def is_store_writable(self) -> bool: ...
    @property
    def oldest_due_age_s(self) -> float: ...
    @property
    def why_not(self) -> str: ...
    @property
    def clock_skew_ms(self) -> int: ...


class TenurePort(Protocol):
    """The node's place among others. `lease` raises Fenced while there is none."""

    @property
    def lease(self) -> Lease: ...


class EnginePort(Protocol):
    """What the API needs of the engine."""

    @property
    def tenure(self) -> TenurePort: ...
    async def accept(self, draft: Draft, /) -> Message: ...
    async def resend(self, app: Application, message: Message, endpoint: Endpoint) -> None: ...
    async def recover(
        self, app: Application, endpoint: Endpoint, *, since_ms: int, until_ms: int
    ) -> Task: ...
    def changed(self, app_id: str) -> None: ...
    async def health(self) -> EngineState: ...


class Services(Struct, frozen=True):
    """What the whole API works with."""

    store: Store
    engine: EnginePort
    settings: Settings
    clock: Clock
    tokens: Tokens
    log: Log
    portal_url: str


class Call(Struct, Generic[Q_co, B_co], frozen=True):
    """One request, decoded and allowed. `path` holds the values of the path's parameters."""

    services: Services
    principal: Principal
    path: Mapping[str, str]
    query: Q_co
    body: B_co


class Answer(Struct, frozen=True):
    """A response. `headers` come on top of content-type and content-length."""

    status: int
    body: bytes = b""
    headers: tuple[tuple[bytes, bytes], ...] = ()
    content_type: bytes = JSON


Handler = Callable[..., Awaitable[Answer]]


def reply(status: int, body: Struct | None = None) -> Answer:
    """An answer with a JSON body, or without a body."""
    return Answer(status, b"" if body is None else encode(body))


def rfc3339(at_ms: int) -> str:
    """Milliseconds since the epoch as `2026-01-31T12:00:00.123Z`."""
    seconds, ms = divmod(at_ms, 1000)
    return f"{_second(seconds)}{ms:03d}Z"


@lru_cache(maxsize=1024)
def _second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.")


def to_ms(at: datetime) -> int:
    """A moment as milliseconds since the epoch; without an offset it is UTC."""
    if at.tzinfo is None:
        at = at.replace(tzinfo=UTC)
    return int(at.timestamp() * 1000)
