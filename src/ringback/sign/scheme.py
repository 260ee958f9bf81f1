"""What a provider is to us: a value that describes its webhooks, and the functions that know them.

    check     proves that a request is authentic, or raises; returns what the proof yields
    respond   answers the provider's handshake, if it has one
    sign      makes a request that `check` accepts, for tests and for the tools that need one

A scheme decides by the request, the terms and nothing else: no clock, no network, no cache. Where
it needs a certificate or a key of the provider it raises KeyNeeded with a URL that it has checked,
and finds the document in `Terms.documents` when it is asked again.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Literal

from msgspec import Struct

from ringback.sign.request import Request

Fields = tuple[tuple[str, str], ...]
"""Headers in the order of sending."""

Vectors = Literal["vendor", "local"]

Confidence = Literal["A", "B", "C"]
"""How well the signature's form is known.

A    from the primary source: the specification, the provider's own software, or its documentation
B    from excerpts of the documentation, or from a careful secondary source that quotes it
C    from general knowledge of the documentation: try it with a real webhook before you rely on it
"""

SECRETS_MAX: Final = 16
SIGNATURES_MAX: Final = 16
KEYS_CACHED_MAX: Final = 1_024


class Terms(Struct, frozen=True):
    """What a receiver brings along. `tolerance_s` is the scheme's own if it was left out."""

    secrets: tuple[str, ...]
    now_s: int
    tolerance_s: int
    documents: Mapping[str, bytes]


class Proof(Struct, frozen=True):
    """What a good signature yields.

    `timestamp_s` is the signed instant, `id` an id that is signed and not in the body, `payload`
    the body's value where the check had to decode it anyway, and `secret_index` says which secret
    it was, so that a rotation can be seen to be over.
    """

    secret_index: int = 0
    timestamp_s: int | None = None
    id: str | None = None
    payload: Any = ...


class Part(Struct, frozen=True):
    """One event of a request that carries several; without an id, its digest will serve."""

    id: str | None
    type: str | None
    payload: Any


class Header(Struct, frozen=True):
    """A place: the value of a header, its name lower-case; unsigned, unless a Proof says so."""

    name: str


class HeaderAndBody(Struct, frozen=True):
    """A place: a header that two events may share, and the digest of the body, together."""

    name: str


class Field(Struct, frozen=True):
    """A place: a name, or names separated by full stops, in the payload."""

    path: str


class Joined(Struct, frozen=True):
    """A place: several fields together, which must all be there."""

    fields: tuple[Field, ...]
    separator: str = ":"


Place = Header | HeaderAndBody | Field | Joined


class Draft(Struct, frozen=True, kw_only=True):
    """A request to be signed. `url` is the one that the receiver says it is called by."""

    body: bytes
    timestamp_s: int
    id: str = "evt_1"
    type: str = "test"
    url: str = "https://shop.example/webhooks"
    method: str = "POST"


class Signed(Struct, frozen=True):
    """A request as the provider would send it, and the documents that prove it."""

    method: str
    url: str
    headers: Fields
    body: bytes
    documents: Mapping[str, bytes] = {}


class KeyPair(Struct, frozen=True):
    """What signs and what verifies: the same text, unless the scheme is asymmetric."""

    signing: str
    verifying: str


class Reply(Struct, frozen=True):
    """An answer to the provider.

    `fetch_url`, if not empty, was checked and must be fetched once, by GET, for the handshake.
    `secret`, if not empty, is what the provider says that it signs with from now on.
    """

    status: int = 200
    headers: Fields = ()
    body: bytes = b""
    fetch_url: str = ""
    secret: str = ""


Check = Callable[[Request, Terms], Proof]
Respond = Callable[[Request, Terms], Reply | None]
Sign = Callable[[Draft, str], Signed]
Envelope = Callable[[Draft, object], bytes]
Keys = Callable[[bytes], KeyPair]
Parts = Callable[[Any], Sequence[Part]]


class Scheme(Struct, frozen=True, kw_only=True):
    """A provider's webhooks.

    name             what users write, and the name of the file
    title            what the provider calls itself
    documentation    the page that says how to verify
    signature        where the signature is, in words, for the table of providers
    secret           which text of the provider's pages is the secret, in words
    confidence       how well the form is known; None for a scheme of your own
    vectors          "vendor" if a signature that the provider published is tested, or its own
                     package is held against ours
    tolerance_s      the window of the signed timestamp; None if the provider signs none
    covers_body      False if the proof says nothing about the body (a token, a signed stamp)
    needs_url        True if the URL is signed, so that the receiver must know its public one
    id, type         the places to look, in order; a request without an id gets a digest as its id
    parts            splits a request that carries several events
    bodies_repeat    True if two events without an id may be the same bytes: they are not deduped
    may_be_form      True if the provider sends forms as well as JSON
    gives_secret     True if the secret comes with the handshake, so that `respond` needs none
    caution          what a receiver must know and cannot see, in one sentence
    accepted         the answer that the provider takes for a receipt
    envelope         the body that a test of an event has; by default the payload with `id`, `type`
    keys             from 32 bytes to a key pair for tests; None where that takes a certificate
    """

    name: str
    title: str
    documentation: str
    signature: str
    secret: str
    vectors: Vectors
    confidence: Confidence | None = None
    check: Check
    sign: Sign
    keys: Keys | None = None
    respond: Respond | None = None
    tolerance_s: int | None = None
    covers_body: bool = True
    needs_url: bool = False
    id: tuple[Place, ...] = ()
    type: tuple[Place, ...] = ()
    parts: Parts | None = None
    bodies_repeat: bool = False
    may_be_form: bool = False
    gives_secret: bool = False
    caution: str = ""
    accepted: Reply = Reply()
    envelope: Envelope | None = None
