"""Most providers, declared: an HMAC of the body and of what stands beside it.

    layout      where the signature is (`Plain`, `Pairs`)
    timestamp   where the signed time is, if the layout does not have it
    content     the signed bytes, a template of `{body}`, `{timestamp}`, `{url}`, `{method}`
                and `{header:name}`; everything else is literal

Every candidate is compared with the tag of every secret, in constant time each and without an early
end. The time is judged last, so that Stale means authentic.
"""

import re
from collections.abc import Callable
from hmac import compare_digest
from typing import Any, Final

from msgspec import Struct

from ringback.errors import Malformed, Misconfigured, Mismatch
from ringback.sign.hmac_key import Algorithm, HmacKey
from ringback.sign.instant import READERS, TOLERANCE_S, Form, check_fresh, written
from ringback.sign.layout import Encoding, Layout, encoded, is_signature
from ringback.sign.payload import payload_of
from ringback.sign.request import Request
from ringback.sign.scheme import (
    Check,
    Confidence,
    Draft,
    Envelope,
    Fields,
    Header,
    HeaderAndBody,
    Parts,
    Place,
    Proof,
    Reply,
    Respond,
    Scheme,
    Sign,
    Signed,
    Terms,
    Vectors,
)
from ringback.sign.secret_text import SecretText, key_reader

_ANY_SECRET: Final = SecretText("the signing secret that the provider shows")
_TAG_BYTES: Final[dict[Algorithm, int]] = {"sha1": 20, "sha256": 32, "sha384": 48, "sha512": 64}
_PLACEHOLDER: Final = re.compile(r"\{([^{}]+)\}")

Piece = bytes | Callable[[Request, str], bytes]


class Timestamp(Struct, frozen=True):
    """Where the signed time is: in a header (its name lower-case), a name in the body, or neither.

    With neither, the layout has it.
    """

    header: str = ""
    field: str = ""
    form: Form = "s"
    tolerance_s: int = TOLERANCE_S


def hmac_scheme(
    name: str,
    title: str,
    *,
    documentation: str,
    confidence: Confidence | None = None,
    layout: Layout,
    content: str = "{body}",
    algorithm: Algorithm = "sha256",
    encoding: Encoding = "hex",
    timestamp: Timestamp | None = None,
    secret: SecretText = _ANY_SECRET,
    vectors: Vectors = "local",
    id: tuple[Place, ...] = (),
    type: tuple[Place, ...] = (),
    parts: Parts | None = None,
    respond: Respond | None = None,
    bodies_repeat: bool = False,
    may_be_form: bool = False,
    gives_secret: bool = False,
    caution: str = "",
    accepted: Reply = Reply(),  # noqa: B008  a frozen value
    envelope: Envelope | None = None,
) -> Scheme:
    """A provider that signs with HMAC. See `Scheme` for what is not said above.

    Raises ValueError for a template that cannot be: that is a mistake in the program.
    """
    if ("{timestamp}" in content) != (timestamp is not None and not timestamp.field):
        raise ValueError("a time that is signed stands in `content`, and one that is not is no use")
    mac = _Mac(
        layout=layout,
        pieces=_pieces(content),
        timestamp=timestamp,
        encoding=encoding,
        tag_bytes=_TAG_BYTES[algorithm],
        key=key_reader(secret, algorithm),
        signed_id=_signed_id(content, id),
    )
    return Scheme(
        name=name,
        title=title,
        documentation=documentation,
        confidence=confidence,
        signature=f"{layout.says()} ({encoding} HMAC-{algorithm.upper()} of {content})",
        secret=secret.says,
        vectors=vectors,
        check=_checker(mac),
        sign=_signer(mac, id=id, type=type),
        keys=secret.keys,
        respond=respond,
        tolerance_s=timestamp.tolerance_s if timestamp else None,
        covers_body="{body}" in content,
        needs_url="{url}" in content,
        id=id,
        type=type,
        parts=parts,
        bodies_repeat=bodies_repeat,
        may_be_form=may_be_form,
        gives_secret=gives_secret,
        caution=caution,
        accepted=accepted,
        envelope=envelope,
    )


class _Mac(Struct, frozen=True, kw_only=True):
    layout: Layout
    pieces: tuple[Piece, ...]
    timestamp: Timestamp | None
    encoding: Encoding
    tag_bytes: int
    key: Callable[[str], HmacKey]
    signed_id: str


def _checker(mac: _Mac) -> Check:
    stamp = mac.timestamp

    def check(request: Request, terms: Terms) -> Proof:
        if stamp is not None and stamp.field:
            return _proof_by_field(mac, stamp, request, terms)
        candidates, time_text = mac.layout.read(request)
        if stamp is None:
            return Proof(_matching(mac, request, terms, candidates), None, _id(mac, request))
        text = request.header(stamp.header) if stamp.header else time_text or ""
        timestamp_s = READERS[stamp.form](text)
        index = _matching(mac, request, terms, candidates, text)
        check_fresh(timestamp_s, now_s=terms.now_s, tolerance_s=terms.tolerance_s)
        return Proof(index, timestamp_s, _id(mac, request))

    return check


def _proof_by_field(mac: _Mac, stamp: Timestamp, request: Request, terms: Terms) -> Proof:
    """The body says when, and is decoded only after its signature was found good."""
    candidates, _ = mac.layout.read(request)
    index = _matching(mac, request, terms, candidates)
    payload = payload_of(request.body)
    timestamp_s = _time_in(payload, stamp)
    check_fresh(timestamp_s, now_s=terms.now_s, tolerance_s=terms.tolerance_s)
    return Proof(index, timestamp_s, _id(mac, request), payload)


def _matching(
    mac: _Mac, request: Request, terms: Terms, candidates: list[str], time_text: str = ""
) -> int:
    """The index of the first secret whose tag is among the candidates; Mismatch or Malformed."""
    content = [
        piece if isinstance(piece, bytes) else piece(request, time_text) for piece in mac.pieces
    ]
    given = [candidate.encode("utf-8", "surrogatepass") for candidate in candidates]
    found = -1
    for index, secret in enumerate(terms.secrets):
        tag = encoded(mac.key(secret).sign(*content), mac.encoding)
        for candidate in given:
            if compare_digest(candidate, tag) and found < 0:
                found = index
    if found < 0:
        raise _refusal(mac, candidates)
    return found


def _refusal(mac: _Mac, candidates: list[str]) -> Malformed | Mismatch:
    if any(is_signature(text, mac.encoding, mac.tag_bytes) for text in candidates):
        return Mismatch(
            "the signature does not fit: check that the secret is this endpoint's and that the body"
            " is the bytes as they were received; or the request is forged"
        )
    return Malformed(f"the signature is not the {mac.encoding} of {mac.tag_bytes} bytes")


def _time_in(payload: object, stamp: Timestamp) -> int:
    value = payload.get(stamp.field) if isinstance(payload, dict) else None
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise Malformed(f"the body has no time at {stamp.field}")
    return READERS[stamp.form](str(value))


def _id(mac: _Mac, request: Request) -> str | None:
    return request.visible(mac.signed_id) if mac.signed_id else None


def _signer(mac: _Mac, *, id: tuple[Place, ...], type: tuple[Place, ...]) -> Sign:
    def sign(draft: Draft, signing: str) -> Signed:
        stamp = mac.timestamp
        time_text = written(draft.timestamp_s, stamp.form) if stamp else ""
        fields = beside(draft, id=id, type=type)
        if stamp and stamp.header:
            fields += ((stamp.header, time_text),)
        request = Request(draft.method, draft.url, dict[str, str | None](fields), draft.body)
        content = [
            piece if isinstance(piece, bytes) else piece(request, time_text) for piece in mac.pieces
        ]
        tag = encoded(mac.key(signing).sign(*content), mac.encoding).decode()
        fields += mac.layout.write(tag, time_text)
        return Signed(draft.method, draft.url, fields, draft.body)

    return sign


def beside(draft: Draft, *, id: tuple[Place, ...], type: tuple[Place, ...]) -> Fields:
    """The headers of a test's request that are no signature: its kind, and its id and type."""
    fields: list[tuple[str, str]] = [("content-type", "application/json")]
    for places, text in ((id, draft.id), (type, draft.type)):
        if places and isinstance(places[0], Header | HeaderAndBody):
            fields.append((places[0].name, text))
    return tuple(fields)


def _signed_id(content: str, places: tuple[Place, ...]) -> str:
    headers = [place.name for place in places if isinstance(place, Header)]
    return next((name for name in headers if f"{{header:{name}}}" in content), "")


def _pieces(content: str) -> tuple[Piece, ...]:
    parts = _PLACEHOLDER.split(content)
    literals = [part.encode() for part in parts[0::2]]
    values = [_value(part) for part in parts[1::2]]
    pieces: list[Any] = [literals[0]]
    for value, literal in zip(values, literals[1:], strict=True):
        pieces += [value, literal]
    return tuple(piece for piece in pieces if piece)


def _value(placeholder: str) -> Callable[[Request, str], bytes]:
    kind, _, name = placeholder.partition(":")
    match kind:
        case "body":
            return lambda request, _time: request.body
        case "timestamp":
            return lambda _request, time_text: time_text.encode()
        case "method":
            return lambda request, _time: request.method.encode("utf-8", "surrogatepass")
        case "url":
            return lambda request, _time: url_of(request).encode("utf-8", "surrogatepass")
        case "header":
            return lambda request, _time: request.visible(name).encode()
    raise ValueError(f"the content of a signature has no {{{placeholder}}}")


def url_of(request: Request) -> str:
    """The URL that the provider called. Raises Misconfigured if the receiver did not say it."""
    if not request.url:
        raise Misconfigured(
            "this provider signs the URL: give `url`, the public one that it was told to call,"
            " which behind a proxy is not the one that the framework sees"
        )
    return request.url
