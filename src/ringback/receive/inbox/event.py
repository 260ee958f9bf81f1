"""What the inbox gives out: events to handle, records to look at, and how things stand."""

from collections.abc import Sequence
from enum import StrEnum
from functools import cached_property
from typing import Any, Final

from msgspec import Struct

from ringback.sign.payload import payload_of


class State(StrEnum):
    """
    waiting ──► done       its handler has succeeded
       ▲   ├──► ignored    there was no handler for it
       │   └──► dead       every attempt has failed, or one said Unprocessable
       └─────── replay

    request                not an event: the bytes of a request that carried several
    """

    WAITING = "waiting"
    DONE = "done"
    IGNORED = "ignored"
    DEAD = "dead"
    REQUEST = "request"


class InboxEvent(Struct, frozen=True, kw_only=True, dict=True):
    """An event in the hands of its handler.

    number        the inbox's own number: where one was kept after another, it is higher
    source        who sent it: the provider, unless `receive` was told otherwise
    id            unique for its source; the idempotency key for effects elsewhere
    type          the provider's word for what happened; None if it has none
    timestamp_s   the instant that the provider signed, if it signs one
    body          the bytes as received; those of this event alone if the request carried several
    origin        "webhook", or "backfill" if it was found by `reconcile`
    attempt       counts from 1
    lease         the proof that this attempt has the event, which `finish` asks for
    decoded       the payload as JSON, where it is not simply that of the body
    """

    number: int
    source: str
    id: str
    type: str | None
    timestamp_s: int | None
    body: bytes
    origin: str
    order_key: str | None
    received_at_ms: int
    attempt: int
    lease: str
    decoded: bytes | None = None

    @cached_property
    def payload(self) -> Any:
        """What `VerifiedEvent.payload` was. Decoded when first asked for."""
        return payload_of(self.body if self.decoded is None else self.decoded)


class Record(Struct, frozen=True, kw_only=True):
    """An event as it stands, without its body: see `Inbox.bytes_of`.

    `due_at_ms` is when it may be tried next or, while it is being processed, when its lease ends.
    `error` says why the last attempt failed. `request` names the request that carried several.
    """

    number: int
    source: str
    id: str
    type: str | None
    timestamp_s: int | None
    origin: str
    order_key: str | None
    request: str | None
    state: State
    attempts: int
    is_leased: bool
    error: str | None
    due_at_ms: int
    received_at_ms: int
    ended_at_ms: int | None
    is_id_signed: bool


class Receipt(Struct, frozen=True):
    """How many events of a request are new, and how many were here already."""

    stored: int
    duplicates: int

    @property
    def is_duplicate(self) -> bool:
        """Nothing of it is new. It is acknowledged all the same: it is kept."""
        return not self.stored and self.duplicates > 0


class Health(Struct, frozen=True):
    """waiting   all that is not processed yet, with
    running   those of them that a worker has, and
    retrying  those that have failed before
    dead      what needs somebody to look at it
    oldest_s  how long the oldest waiting one has been here; 0 if none waits
    """

    waiting: int
    running: int
    retrying: int
    dead: int
    oldest_s: float


Row = Sequence[Any]


def event_of(row: Row) -> InboxEvent:
    """A row of `claim_due` or `claim_next`."""
    number, source, id_, type_, timestamp_s, body, decoded, origin, key, at_ms, attempt, lease = row
    return InboxEvent(
        number=number,
        source=source,
        id=id_,
        type=type_,
        timestamp_s=timestamp_s,
        body=bytes(decoded if body is None else body),
        decoded=None if decoded is None else bytes(decoded),
        origin=origin,
        order_key=key,
        received_at_ms=at_ms,
        attempt=attempt,
        lease=lease,
    )


_RECORD: Final = Record.__struct_fields__


def record_of(row: Row) -> Record:
    """A row of `find_events`, whose columns are the fields of a record, in their order."""
    fields = dict(zip(_RECORD, row, strict=True))
    return Record(
        **fields
        | {
            "state": State(fields["state"]),
            "is_leased": bool(fields["is_leased"]),
            "is_id_signed": bool(fields["is_id_signed"]),
        }
    )
