"""The verified event, and how its id, type and parts are found where a scheme says they are.

Ids are never empty and never longer than `ID_CHARS_MAX`. A digest stands in for an id that is
missing or unfit, so that two deliveries of the same bytes are known to be the same; where a
provider sends the same bytes for two events, `is_id_unique` says that they cannot be told apart.
"""

from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import Any, Final

from msgspec import Struct, structs

from ringback.errors import Malformed
from ringback.sign.payload import as_json, payload_of
from ringback.sign.request import ID_CHARS_MAX, Request
from ringback.sign.scheme import (
    Draft,
    Field,
    Header,
    HeaderAndBody,
    Joined,
    Part,
    Place,
    Proof,
    Scheme,
)

PARTS_MAX: Final = 10_000


class VerifiedEvent(Struct, frozen=True):
    """An authentic webhook.

    id             dedupe by provider and this; `sha256:…` of the body if the provider gives none
    type           the provider's word for what happened; None if it has none
    timestamp_s    the signed instant of this attempt in Unix seconds; None if none is signed
    payload        the JSON value, or a dict of a form's fields; None for any other body
    body           the bytes as they were received and signed
    is_id_signed   False if somebody who saw the request could send it again with another id
    secret_index   which of the secrets it was signed with
    is_id_unique   False if the id is a digest that another event may have too: do not dedupe by it
    parts          the events of a request that carries several, else nothing; see `events`
    """

    provider: str
    id: str
    type: str | None
    timestamp_s: int | None
    payload: Any
    body: bytes
    is_id_signed: bool
    secret_index: int
    parts: tuple[Part, ...] | None = None
    is_id_unique: bool = True

    def events(self) -> "Sequence[VerifiedEvent]":
        """Each event by itself, to be deduped and processed one by one; empty for an empty batch.

        A request with one event is its own only event.
        """
        if self.parts is None:
            return (self,)
        return [
            structs.replace(
                self,
                id=part.id or digest_of(as_json(part.payload)),
                is_id_unique=self.is_id_unique or part.id is not None,
                type=part.type,
                payload=part.payload,
                parts=None,
            )
            for part in self.parts
        ]


def event_of(scheme: Scheme, request: Request, proof: Proof) -> VerifiedEvent:
    """The event of a request that is proven. Raises Malformed if the body cannot be read."""
    payload = proof.payload
    if payload is ...:
        payload = payload_of(request.body, may_be_form=scheme.may_be_form)
    event_id, is_id_signed = proof.id, True
    if not event_id:
        event_id, is_id_signed = _id(scheme, request, payload)
    return VerifiedEvent(
        scheme.name,
        event_id or digest_of(request.body),
        _first(scheme.type, request, payload),
        proof.timestamp_s,
        payload,
        request.body,
        is_id_signed,
        proof.secret_index,
        _parts(scheme, payload) if scheme.parts else None,
        bool(event_id) or not scheme.bodies_repeat,
    )


def each(
    path: str = "", *, id: tuple[Place, ...] = (), type: tuple[Place, ...] = ()
) -> Callable[[Any], Sequence[Part]]:
    """A splitter: the objects of the list at `path` (the payload itself if empty), with places."""

    def split(payload: Any) -> Sequence[Part]:
        found = _at(payload, path) if path else payload
        if not isinstance(found, list):
            raise Malformed(f"the body has no list of events{f' at {path}' if path else ''}")
        return [Part(_first(id, None, one), _first(type, None, one), one) for one in found]

    return split


def enveloped(scheme: Scheme, draft: Draft, payload: object) -> bytes:
    """The body that the provider would send: the payload, with the draft's id and type in place."""
    if scheme.envelope is not None:
        return scheme.envelope(draft, payload)
    if not isinstance(payload, dict):
        return as_json(payload)
    body = dict(payload)
    for places, text in ((scheme.id, draft.id), (scheme.type, draft.type)):
        for place in places[:1]:
            if isinstance(place, Field):
                _put(body, place.path.split("."), text)
    return as_json(body)


def digest_of(body: bytes) -> str:
    """The id of an event that has none."""
    return f"sha256:{sha256(body).hexdigest()}"


def text_of(value: object) -> str | None:
    """A value as an id or a type: text of visible characters, or a whole number; else None."""
    if isinstance(value, str):
        return value if 0 < len(value) <= ID_CHARS_MAX and value.isprintable() else None
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**64:
        return str(value)
    return None


def _id(scheme: Scheme, request: Request, payload: object) -> tuple[str, bool]:
    """The id, empty if there is none, and whether it is signed; a digest is if the body is."""
    for place in scheme.id:
        if found := _find(place, request, payload):
            is_header = isinstance(place, Header | HeaderAndBody)
            return found, scheme.covers_body and not is_header
    return "", scheme.covers_body


def _first(places: tuple[Place, ...], request: Request | None, payload: object) -> str | None:
    for place in places:
        if found := _find(place, request, payload):
            return found
    return None


def _find(place: Place, request: Request | None, payload: object) -> str | None:
    if isinstance(place, Field):
        return text_of(_at(payload, place.path))
    if isinstance(place, Joined):
        return _joined(place, payload)
    if request is None or not request.has(place.name):
        return None
    text = request.visible(place.name)
    if isinstance(place, HeaderAndBody):
        return text_of(f"{text}:{sha256(request.body).hexdigest()}")
    return text


def _joined(place: Joined, payload: object) -> str | None:
    texts = []
    for field in place.fields:
        text = text_of(_at(payload, field.path))
        if text is None:
            return None
        texts.append(text)
    return text_of(place.separator.join(texts))


def _at(payload: object, path: str) -> object:
    if "." not in path:
        return payload.get(path) if isinstance(payload, dict) else None
    for name in path.split("."):
        if not isinstance(payload, dict):
            return None
        payload = payload.get(name)
    return payload


def _put(body: dict[str, Any], path: list[str], text: str) -> None:
    for name in path[:-1]:
        inner = body.get(name)
        body[name] = dict(inner) if isinstance(inner, dict) else {}
        body = body[name]
    body[path[-1]] = text


def _parts(scheme: Scheme, payload: object) -> tuple[Part, ...] | None:
    if scheme.parts is None:
        return None
    parts = tuple(scheme.parts(payload))
    if len(parts) > PARTS_MAX:
        raise Malformed(f"the body has more than {PARTS_MAX} events")
    return parts
