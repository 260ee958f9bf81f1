"""Contentful: `x-contentful-signature: <hex>`.

    HMAC-SHA256 over {method}\\n{path}\\n{headers}\\n{body}, lower-case hex
    key    the UTF-8 bytes of the space's signing secret, 64 characters

The headers are those that `x-contentful-signed-headers` names, sorted, as `name:value` joined by
semicolons; itself and `x-contentful-timestamp`, in milliseconds, are always among them. The path
is that of the URL, escaped as JavaScript's `encodeURI` does, and a query twice. The window is that
of Contentful's own toolkit, 30 seconds.

Dedupe by `X-Contentful-Idempotency-Key`, signed where it is among the signed headers: a webhook
that transforms its body may send the same bytes for two events.

Documentation: https://www.contentful.com/developers/docs/webhooks/request-verification/. Sure about
the format, which is that of the official toolkit; there are no published vectors.
"""

import re
from hmac import compare_digest
from typing import Final
from urllib.parse import quote, urlsplit

from ringback.errors import Malformed, Mismatch
from ringback.sign.hmac_scheme import beside, url_of
from ringback.sign.instant import check_fresh, milliseconds, written
from ringback.sign.layout import encoded, is_signature
from ringback.sign.request import Request
from ringback.sign.scheme import Draft, Fields, Header, Place, Proof, Scheme, Signed, Terms
from ringback.sign.secret_text import SecretText, key_reader

TOLERANCE_S: Final = 30
SECRET: Final = SecretText(
    "the space's webhook signing secret (Settings → Webhooks)", not_these=("CFPAT-",)
)
SIGNATURE: Final = "x-contentful-signature"
SIGNED: Final = "x-contentful-signed-headers"
TIMESTAMP: Final = "x-contentful-timestamp"
KEY: Final = "x-contentful-idempotency-key"
ID: Final[tuple[Place, ...]] = (Header(KEY),)
TYPE: Final[tuple[Place, ...]] = (Header("x-contentful-topic"),)
NAMES: Final = re.compile("[a-z0-9_-]{1,64}(?:,[a-z0-9_-]{1,64}){0,63}")

_URI: Final = ";,/?:@&=+$-_.!~*'()#"
_COMPONENT: Final = "-_.!~*'()"
_key = key_reader(SECRET, "sha256")


def check(request: Request, terms: Terms) -> Proof:
    given = request.header(SIGNATURE)
    timestamp_s = milliseconds(request.header(TIMESTAMP))
    names = request.header(SIGNED)
    listed = set(names.split(",")) if NAMES.fullmatch(names) else set()
    if SIGNED not in listed or TIMESTAMP not in listed:
        raise Malformed(f"the header {SIGNED} does not name the headers that must be signed")
    head, presented, found = _head(request, listed), given.encode("utf-8", "surrogatepass"), -1
    for index, secret in enumerate(terms.secrets):
        tag = encoded(_key(secret).sign(head, request.body), "hex")
        if compare_digest(presented, tag) and found < 0:
            found = index
    if found < 0:
        raise _refusal(given)
    check_fresh(timestamp_s, now_s=terms.now_s, tolerance_s=terms.tolerance_s)
    return Proof(found, timestamp_s, request.visible(KEY) if KEY in listed else None)


def sign(draft: Draft, signing: str) -> Signed:
    time_text = written(draft.timestamp_s, "ms")
    others: Fields = (*beside(draft, id=ID, type=TYPE), (TIMESTAMP, time_text))
    names = ",".join(sorted([SIGNED, *(name for name, _ in others)]))
    fields = (*others, (SIGNED, names))
    request = Request(draft.method, draft.url, dict[str, str | None](fields), draft.body)
    tag = _key(signing).sign(_head(request, set(names.split(","))), draft.body).hex()
    return Signed(draft.method, draft.url, (*fields, (SIGNATURE, tag)), draft.body)


def _head(request: Request, names: set[str]) -> bytes:
    values = ";".join([f"{name}:{request.header(name).strip()}" for name in sorted(names)])
    if "\n" in values:
        raise Malformed("a signed header has a line break")
    lines = (request.method, _path(url_of(request)), values, "")
    return "\n".join(lines).encode("utf-8", "surrogatepass")


def _path(url: str) -> str:
    try:
        parts = urlsplit(url)
    except ValueError:
        raise Malformed("the URL cannot be read") from None
    query = f"?{_escaped(_escaped(parts.query, _COMPONENT), _URI)}" if parts.query else ""
    return _escaped(parts.path or "/", _URI) + query


def _escaped(text: str, safe: str) -> str:
    return quote(text, safe=safe, errors="surrogatepass")


def _refusal(given: str) -> Malformed | Mismatch:
    if not is_signature(given, "hex", 32):
        return Malformed(f"the header {SIGNATURE} is not the hex of 32 bytes")
    return Mismatch(
        "the signature does not fit: check that the secret is this space's, that `url` is the one"
        " that Contentful calls and that headers and body are as received; or it is forged"
    )


SCHEME: Final = Scheme(
    name="contentful",
    title="Contentful",
    documentation="https://www.contentful.com/developers/docs/webhooks/request-verification/",
    confidence="B",
    signature=f"{SIGNATURE}: … (hex HMAC-SHA256 of method, path, headers and body)",
    secret=SECRET.says,
    vectors="local",
    check=check,
    sign=sign,
    keys=SECRET.keys,
    tolerance_s=TOLERANCE_S,
    needs_url=True,
    id=ID,
    type=TYPE,
)
