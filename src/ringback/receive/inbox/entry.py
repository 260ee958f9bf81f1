"""What a verified event becomes in the inbox: one entry, or one a part and one for the request.

Entries are checked before they are gathered with others, so that none can spoil the group.
"""

import re
from collections.abc import Callable
from typing import Any, Final, TypeVar

from msgspec import Struct

from ringback.errors import ConfigError, PayloadTooLarge
from ringback.receive.inbox.event import State
from ringback.sign.event import VerifiedEvent
from ringback.sign.payload import as_json

TEXT_CHARS_MAX: Final = 512
_OPENINGS: Final = (b"{", b"[")
_UNFIT: Final = re.compile("[\0\ud800-\udfff]")
_REQUEST: Final = "request:"  # so that a request never has the id of one of its events

T = TypeVar("T")


class Entry(Struct, frozen=True, kw_only=True):
    """A row before it has a number. `body` is None for a part: its request has the bytes."""

    source: str
    id: str
    type: str | None
    timestamp_s: int | None
    is_id_signed: bool
    body: bytes | None
    decoded: bytes | None
    request: str | None
    order_key: str | None
    origin: str
    state: State

    @property
    def size_bytes(self) -> int:
        return len(self.body or b"") + len(self.decoded or b"")


class Reading(Struct, frozen=True):
    """How the app reads events. `identify` is what they are deduped by, `key_of` what orders them.

    Both get each event by itself, and what they raise refuses the request. `fresh` makes an id that
    no event has: for one that cannot be told from another, which must not be taken for that.
    """

    identify: Callable[[VerifiedEvent], str] | None
    key_of: Callable[[VerifiedEvent], str | None] | None
    body_bytes_max: int
    fresh: Callable[[], str]


def entries_of(
    event: VerifiedEvent, reading: Reading, *, source: str | None, origin: str
) -> list[Entry]:
    """Raises PayloadTooLarge, or ConfigError for what the app's functions return."""
    if len(event.body) > reading.body_bytes_max:
        raise PayloadTooLarge(
            f"the body exceeds {reading.body_bytes_max} bytes; raise body_bytes_max, or let the"
            " provider send less"
        )
    source = _text("source", source or event.provider)
    if event.parts is None:
        return [_whole(event, reading, source=source, origin=origin)]
    request = _REQUEST + _text("event.id", event.id)
    parts = [
        _part(one, reading, source=source, request=request, origin=origin) for one in event.events()
    ]
    return [_request(event, source=source, id=request, origin=origin), *parts]


def _whole(event: VerifiedEvent, reading: Reading, *, source: str, origin: str) -> Entry:
    is_plain = event.payload is None or event.body.lstrip()[:1] in _OPENINGS
    return Entry(
        source=source,
        id=_id(event, reading),
        type=_optional("event.type", event.type),
        timestamp_s=event.timestamp_s,
        is_id_signed=event.is_id_signed,
        body=event.body,
        decoded=None if is_plain else as_json(event.payload),
        request=None,
        order_key=_key(event, reading),
        origin=origin,
        state=State.WAITING,
    )


def _part(
    event: VerifiedEvent, reading: Reading, *, source: str, request: str, origin: str
) -> Entry:
    return Entry(
        source=source,
        id=_id(event, reading),
        type=_optional("event.type", event.type),
        timestamp_s=event.timestamp_s,
        is_id_signed=event.is_id_signed,
        body=None,
        decoded=as_json(event.payload),
        request=request,
        order_key=_key(event, reading),
        origin=origin,
        state=State.WAITING,
    )


def _request(event: VerifiedEvent, *, source: str, id: str, origin: str) -> Entry:
    return Entry(
        source=source,
        id=id,
        type=_optional("event.type", event.type),
        timestamp_s=event.timestamp_s,
        is_id_signed=event.is_id_signed,
        body=event.body,
        decoded=None,
        request=None,
        order_key=None,
        origin=origin,
        state=State.REQUEST,
    )


def _id(event: VerifiedEvent, reading: Reading) -> str:
    if reading.identify is None:
        return _text("event.id", event.id if event.is_id_unique else reading.fresh())
    return _text("what `identify` returns", reading.identify(event))


def _key(event: VerifiedEvent, reading: Reading) -> str | None:
    if reading.key_of is None:
        return None
    return _optional("what `key_of` returns", reading.key_of(event))


def _optional(name: str, text: Any) -> str | None:
    return None if text is None else _text(name, text)


def _text(name: str, text: Any) -> str:
    """Raises ConfigError for what no database keeps: the whole group would fail with it."""
    if not isinstance(text, str) or not 0 < len(text) <= TEXT_CHARS_MAX or _UNFIT.search(text):
        raise ConfigError(f"{name} must be a text of 1 to {TEXT_CHARS_MAX} characters without NUL")
    return text
