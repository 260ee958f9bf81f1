"""FusionAuth, with an HMAC key: `X-FusionAuth-Signature-JWT: <JWT>`.

    HS256, HS384 or HS512
    key       the UTF-8 bytes of the HMAC key's secret
    claims    `request_body_sha256`, the base64 SHA-256 of the body

The token names its algorithm, and only these three are taken: a webhook that signs with an RSA or
an elliptic curve key is refused. No age is checked, as nothing says what the other claims mean.

Documentation: https://fusionauth.io/docs/extend/events-and-webhooks/signing. From excerpts of the
page; there are no published vectors.
"""

import re
from binascii import b2a_base64
from hashlib import sha256
from hmac import compare_digest
from typing import Any, Final

from ringback.errors import Malformed, Mismatch
from ringback.sign.hmac_key import Algorithm
from ringback.sign.hmac_scheme import beside
from ringback.sign.payload import as_json
from ringback.sign.request import Request
from ringback.sign.scheme import Draft, Field, Proof, Scheme, Signed, Terms
from ringback.sign.secret_text import SecretText, key_reader
from ringback.sign.web_token import object_of, text_of

HEADER: Final = "x-fusionauth-signature-jwt"
SECRET: Final = SecretText("the secret of the webhook's HMAC key (Settings → Key Master)")
JWT: Final = re.compile(r"([A-Za-z0-9_-]{1,1024})\.([A-Za-z0-9_-]{1,2048})\.([A-Za-z0-9_-]{1,86})")
ALGORITHMS: Final[dict[str, Algorithm]] = {"HS256": "sha256", "HS384": "sha384", "HS512": "sha512"}

_KEYS: Final = {name: key_reader(SECRET, algorithm) for name, algorithm in ALGORITHMS.items()}


def check(request: Request, terms: Terms) -> Proof:
    form = JWT.fullmatch(request.header(HEADER))
    key = _KEYS.get(_algorithm(object_of(form[1]))) if form else None
    if not form or not key:
        raise Malformed(f"the header {HEADER} is not a token signed with HS256, HS384 or HS512")
    content, given, found = f"{form[1]}.{form[2]}".encode(), form[3].encode(), -1
    for index, secret in enumerate(terms.secrets):
        tag = text_of(key(secret).sign(content)).encode()
        if compare_digest(given, tag) and found < 0:
            found = index
    if found < 0:
        raise Mismatch("the token's signature does not fit: another webhook's key, or forged")
    _check_body(object_of(form[2]).get("request_body_sha256"), request.body)
    return Proof(found)


def sign(draft: Draft, signing: str) -> Signed:
    header = {"alg": "HS256", "typ": "JWT"}
    claims = {"iat": draft.timestamp_s, "request_body_sha256": _digest(draft.body)}
    content = f"{text_of(as_json(header))}.{text_of(as_json(claims))}"
    token = f"{content}.{text_of(_KEYS['HS256'](signing).sign(content.encode()))}"
    return Signed(
        draft.method, draft.url, (*beside(draft, id=(), type=()), (HEADER, token)), draft.body
    )


def envelope(draft: Draft, payload: object) -> bytes:
    return as_json({"event": {"id": draft.id, "type": draft.type, "test": payload}})


def _algorithm(header: dict[str, Any]) -> str:
    """Empty where there is none, or where the token wants more than these words can tell."""
    name = header.get("alg")
    return name if isinstance(name, str) and "crit" not in header else ""


def _check_body(given: object, body: bytes) -> None:
    if not isinstance(given, str):
        raise Malformed("the token has no SHA-256 of the body")
    if not compare_digest(given.encode("utf-8", "surrogatepass"), _digest(body).encode()):
        raise Mismatch("the body is not the one that the token was made for")


def _digest(body: bytes) -> str:
    return b2a_base64(sha256(body).digest(), newline=False).decode()


SCHEME: Final = Scheme(
    name="fusionauth",
    title="FusionAuth (HMAC key)",
    documentation="https://fusionauth.io/docs/extend/events-and-webhooks/signing",
    confidence="B",
    signature="X-FusionAuth-Signature-JWT: … (JWT, HMAC, with the SHA-256 of the body)",
    secret=SECRET.says,
    vectors="local",
    check=check,
    sign=sign,
    keys=SECRET.keys,
    id=(Field("event.id"),),
    type=(Field("event.type"),),
    caution="no age is checked",
    envelope=envelope,
)
