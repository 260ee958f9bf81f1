"""Plaid: `Plaid-Verification: <JWT>`.

    ES256 by a key that Plaid's API gives for the token's `kid`
    claims    `request_body_sha256`, the hex SHA-256 of the body, and `iat`, at most 5 minutes old

The window is Plaid's own.

The key comes from a POST to `/webhook_verification_key/get` with the client's own credentials, so
whoever fetches it must have them: KeyNeeded names the URL with the `kid` behind a `#`, and the
document is the JSON of the answer, `{"key": {…}}`. No secret is in the request; what a receiver
must say is the environment, `production` or `sandbox`. There is no id, and the same account has
the same bytes again when it has something new (SYNC_UPDATES_AVAILABLE), so they are not deduped.

Documentation: https://plaid.com/docs/api/webhooks/webhook-verification/. Sure about the format;
Plaid publishes no vectors.
"""

import re
from functools import lru_cache
from hashlib import sha256
from hmac import compare_digest
from typing import TYPE_CHECKING, Any, Final

from ringback.errors import KeyNeeded, Malformed, Mismatch, SecretError
from ringback.sign.hmac_scheme import beside
from ringback.sign.instant import TOLERANCE_S, check_fresh
from ringback.sign.payload import as_json, json_of
from ringback.sign.request import Request
from ringback.sign.scheme import (
    KEYS_CACHED_MAX,
    Draft,
    Field,
    Joined,
    KeyPair,
    Proof,
    Scheme,
    Signed,
    Terms,
)
from ringback.sign.secret_text import check_text
from ringback.sign.web_token import bytes_of, object_of, text_of

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import (
        EllipticCurvePrivateKey,
        EllipticCurvePublicKey,
    )

SECRET: Final = "the name of the environment, as in the host of Plaid's API"  # noqa: S105
ENVIRONMENTS: Final = ("sandbox", "production")
JWT: Final = re.compile(r"([A-Za-z0-9_-]{1,1024})\.([A-Za-z0-9_-]{1,2048})\.([A-Za-z0-9_-]{86})")
KID: Final = re.compile("[A-Za-z0-9-]{1,64}")
DIGEST: Final = re.compile("[0-9a-f]{64}")
IAT_MAX: Final = 10**12
TYPE: Final = (Joined((Field("webhook_type"), Field("webhook_code")), separator="."),)


def check(request: Request, terms: Terms) -> Proof:
    form = JWT.fullmatch(request.header("plaid-verification"))
    if not form:
        raise Malformed("the header plaid-verification is not a token signed with ES256")
    kid = _kid(object_of(form[1]))
    signature, content = bytes_of(form[3]), f"{form[1]}.{form[2]}".encode()
    found = _matching(kid, signature, content, terms)
    timestamp_s = _issued_at(object_of(form[2]), request.body)
    check_fresh(timestamp_s, now_s=terms.now_s, tolerance_s=terms.tolerance_s)
    return Proof(found, timestamp_s)


def sign(draft: Draft, signing: str) -> Signed:
    """`signing` is the environment, a colon and a number in hex from which the key is made."""
    environment, _, number = signing.partition(":")
    kid = f"test-{sha256(number.encode()).hexdigest()[:16]}"
    claims = {
        "iat": draft.timestamp_s,
        "request_body_sha256": sha256(draft.body).hexdigest(),
    }
    header = {"alg": "ES256", "kid": kid, "typ": "JWT"}
    content = f"{text_of(as_json(header))}.{text_of(as_json(claims))}"
    token = f"{content}.{text_of(_signature(_private(number), content.encode()))}"
    # The other environment has another key of the same name, as a test of the wrong one needs.
    documents = {
        _url(name, kid): _document(kid, _private(number if name == environment else number + name))
        for name in ENVIRONMENTS
    }
    fields = (*beside(draft, id=(), type=()), ("plaid-verification", token))
    return Signed(draft.method, draft.url, fields, draft.body, documents)


def keys(random_bytes: bytes) -> KeyPair:
    environment = ENVIRONMENTS[random_bytes[0] % 2]
    return KeyPair(f"{environment}:{random_bytes.hex()}", environment)


def envelope(draft: Draft, payload: object) -> bytes:
    inner = payload if isinstance(payload, dict) else {}
    kind, _, code = draft.type.partition(".")
    return as_json({**inner, "webhook_type": kind, "webhook_code": code})


def _kid(header: Any) -> str:
    if header.get("alg") != "ES256" or "crit" in header:
        raise Malformed("the token is not signed with ES256")
    kid = header.get("kid")
    if not isinstance(kid, str) or not KID.fullmatch(kid):
        raise Malformed("the token names no key of Plaid")
    return kid


def _matching(kid: str, signature: bytes, content: bytes, terms: Terms) -> int:
    urls = [_url(_environment(secret), kid) for secret in terms.secrets]
    found = -1
    for index, url in enumerate(urls):
        document = terms.documents.get(url)
        if document is not None and _is_signed(document, kid, signature, content) and found < 0:
            found = index
    missing = [url for url in urls if url not in terms.documents]
    if found < 0 and missing:
        raise KeyNeeded(missing[0])
    if found < 0:
        raise Mismatch("the token's signature does not fit: another environment's, or forged")
    return found


def _issued_at(claims: Any, body: bytes) -> int:
    given, issued_at_s = claims.get("request_body_sha256"), claims.get("iat")
    if not isinstance(given, str) or not DIGEST.fullmatch(given):
        raise Malformed("the token has no SHA-256 of the body")
    if type(issued_at_s) is not int or not 0 <= issued_at_s < IAT_MAX:
        raise Malformed("the token does not say when it was made")
    if not compare_digest(given, sha256(body).hexdigest()):
        raise Mismatch("the body is not the one that the token was made for")
    return issued_at_s


def _environment(text: str) -> str:
    check_text(text, SECRET)
    if text not in ENVIRONMENTS:
        raise SecretError(f"this is no environment of Plaid; give {SECRET}")
    return text


def _url(environment: str, kid: str) -> str:
    return f"https://{environment}.plaid.com/webhook_verification_key/get#{kid}"


def _is_signed(document: bytes, kid: str, signature: bytes, content: bytes) -> bool:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
    from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
    from cryptography.hazmat.primitives.hashes import SHA256

    key = _public(document, kid)
    halves = int.from_bytes(signature[:32]), int.from_bytes(signature[32:])
    try:
        key.verify(encode_dss_signature(*halves), content, ECDSA(SHA256()))
    except InvalidSignature:
        return False
    return True


@lru_cache(maxsize=KEYS_CACHED_MAX)
def _public(document: bytes, kid: str) -> "EllipticCurvePublicKey":
    """Raises Mismatch for a document without the key, or with one that Plaid has retired."""
    from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicNumbers

    try:
        key = json_of(document)["key"]
        if (key["kty"], key["crv"], key["kid"]) != ("EC", "P-256", kid):
            raise ValueError
        x, y = (int.from_bytes(bytes_of(key[name])) for name in ("x", "y"))
        public = EllipticCurvePublicNumbers(x, y, SECP256R1()).public_key()
    except (Malformed, KeyError, TypeError, ValueError):
        raise Mismatch("what was fetched is not the key that the token names") from None
    if key.get("expired_at") is not None:
        raise Mismatch("Plaid has retired the key that the token names")
    return public


def _private(number: str) -> "EllipticCurvePrivateKey":
    from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, derive_private_key

    return derive_private_key(int.from_bytes(sha256(number.encode()).digest()), SECP256R1())


def _signature(key: "EllipticCurvePrivateKey", content: bytes) -> bytes:
    from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
    from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
    from cryptography.hazmat.primitives.hashes import SHA256

    algorithm = ECDSA(SHA256(), deterministic_signing=True)
    r, s = decode_dss_signature(key.sign(content, algorithm))
    return r.to_bytes(32) + s.to_bytes(32)


def _document(kid: str, private: "EllipticCurvePrivateKey") -> bytes:
    numbers = private.public_key().public_numbers()
    key = {
        "kty": "EC",
        "crv": "P-256",
        "alg": "ES256",
        "use": "sig",
        "kid": kid,
        "x": text_of(numbers.x.to_bytes(32)),
        "y": text_of(numbers.y.to_bytes(32)),
        "created_at": 1,
        "expired_at": None,
    }
    return as_json({"key": key, "request_id": "test"})


SCHEME: Final = Scheme(
    name="plaid",
    title="Plaid",
    documentation="https://plaid.com/docs/api/webhooks/webhook-verification/",
    confidence="A",
    signature="Plaid-Verification: … (JWT, ES256, with the SHA-256 of the body)",
    secret=SECRET,
    vectors="local",
    check=check,
    sign=sign,
    keys=keys,
    tolerance_s=TOLERANCE_S,
    bodies_repeat=True,
    caution="no id is signed, and two webhooks may be the same bytes",
    type=TYPE,
    envelope=envelope,
)
