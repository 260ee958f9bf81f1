"""Hook0: `X-Hook0-Signature: t=<seconds>,v0=<hex>,h=<names>,v1=<hex>`.

    v1    HMAC-SHA256 over {t}.{h}.{values of these headers, joined by full stops}.{body}
    key   the UTF-8 bytes of the subscription's secret

The window is that of Hook0's own example, five minutes.

Only `v1` is accepted: `v0` covers the body and not the headers, and the id is in one. Values and
body are joined by what may be in them too; so an id must be a UUID and a body a JSON object, and
nothing can be moved from one to the other.

Documentation: https://documentation.hook0.com/how-to-guides/secure-webhook-endpoints. Sure: the
vector of Hook0's own tests is in the test suite. Coinbase sends through it: see `coinbase`.
"""

import re
from hmac import compare_digest
from typing import Final
from uuid import NAMESPACE_OID, uuid5

from ringback.errors import Malformed, Mismatch
from ringback.sign.hmac_scheme import beside
from ringback.sign.instant import TOLERANCE_S, check_fresh, seconds
from ringback.sign.layout import Pairs, is_signature
from ringback.sign.payload import json_of
from ringback.sign.request import Request
from ringback.sign.scheme import (
    Confidence,
    Draft,
    Header,
    Place,
    Proof,
    Scheme,
    Signed,
    Terms,
    Vectors,
)
from ringback.sign.secret_text import SecretText, key_reader

SIGNATURE: Final = "X-Hook0-Signature"
SECRET: Final = SecretText("the subscription's `secret`")
NAMES: Final = re.compile("[a-z0-9-]{1,64}(?: [a-z0-9-]{1,64}){0,31}")
UUID: Final = re.compile("[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
ID_HEADERS: Final = ("x-event-id", "x-hook0-id")

_V1: Final = Pairs(SIGNATURE, "v1", timestamp="t")
_H: Final = Pairs(SIGNATURE, "h")
_key = key_reader(SECRET, "sha256")


def check(request: Request, terms: Terms) -> Proof:
    candidates, time_text = _V1.read(request)
    names = _names(request)
    timestamp_s = seconds(time_text or "")
    values = [request.header(name) for name in names.split(" ")]
    head, found = f"{time_text}.{names}", -1
    for index, secret in enumerate(terms.secrets):
        expected = tag(secret, head, values, request.body)
        for candidate in candidates:
            given = candidate.encode("utf-8", "surrogatepass")
            if compare_digest(given, expected.encode()) and found < 0:
                found = index
    if found < 0:
        raise _refusal(candidates)
    payload = json_of(request.body)
    if not isinstance(payload, dict):
        raise Malformed("the body is not a JSON object")
    check_fresh(timestamp_s, now_s=terms.now_s, tolerance_s=terms.tolerance_s)
    return Proof(found, timestamp_s, _id(request, names), payload)


def tag(secret: str, head: str, values: list[str], body: bytes) -> str:
    joined = f"{head}.{'.'.join(values)}.".encode("utf-8", "surrogatepass")
    return _key(secret).sign(joined, body).hex()


def scheme(
    name: str,
    title: str,
    *,
    documentation: str,
    confidence: Confidence,
    type: tuple[Place, ...],
    vectors: Vectors,
) -> Scheme:
    """Hook0 under its own name, or under that of one who sends through it."""

    def sign(draft: Draft, signing: str) -> Signed:
        others = (*beside(draft, id=(), type=type), ("x-event-id", _uuid(draft.id)))
        names = " ".join(sorted(name for name, _ in others))
        values = [text for _, text in sorted(others)]
        v1 = tag(signing, f"{draft.timestamp_s}.{names}", values, draft.body)
        signature = (SIGNATURE, f"t={draft.timestamp_s},h={names},v1={v1}")
        return Signed(draft.method, draft.url, (*others, signature), draft.body)

    return Scheme(
        name=name,
        title=title,
        documentation=documentation,
        confidence=confidence,
        signature=f"{SIGNATURE}: t=…,h=…,v1=… (hex HMAC-SHA256 of t.h.values of h.body)",
        secret=SECRET.says,
        vectors=vectors,
        check=check,
        sign=sign,
        keys=SECRET.keys,
        tolerance_s=TOLERANCE_S,
        type=type,
    )


def _uuid(text: str) -> str:
    """An id as it is if it is one of Hook0's, else one that stands for it alone."""
    return text if UUID.fullmatch(text) else str(uuid5(NAMESPACE_OID, text))


def _names(request: Request) -> str:
    found, _ = _H.read(request)
    if len(found) != 1 or not NAMES.fullmatch(found[0]):
        raise Malformed(f"the header {SIGNATURE} needs one h=… with the names of headers")
    if len(set(found[0].split(" "))) != found[0].count(" ") + 1:
        raise Malformed(f"the header {SIGNATURE} names a header twice")
    return found[0]


def _id(request: Request, names: str) -> str | None:
    for name in ID_HEADERS:
        if name in names.split(" "):
            text = request.visible(name)
            if not UUID.fullmatch(text):
                raise Malformed(f"the header {name} is not a UUID")
            return text
    return None


def _refusal(candidates: list[str]) -> Malformed | Mismatch:
    if any(is_signature(text, "hex", 32) for text in candidates):
        return Mismatch(
            "the signature does not fit: check that the secret is this subscription's and that the"
            " body and the headers are as they were received; or the request is forged"
        )
    return Malformed("v1 is not the hex of 32 bytes")


SCHEME: Final = scheme(
    "hook0",
    "Hook0",
    documentation="https://documentation.hook0.com/how-to-guides/secure-webhook-endpoints",
    confidence="A",
    type=(Header("x-event-type"),),
    vectors="vendor",
)
