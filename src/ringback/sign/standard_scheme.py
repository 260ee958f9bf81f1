"""Standard Webhooks as a receiver sees it, for every provider that sends it.

    {family}-id, {family}-timestamp, {family}-signature: v1,<base64> v1a,<base64> …

A secret decides what counts: for `whsec_…` the items `v1`, for `whpk_…` the items `v1a`. Items of
other versions, or that cannot be read, are skipped, as new ones may be added. The header texts are
what is signed, so they are read strictly: an id without a full stop, or the three signed parts
could be divided in another way, and a timestamp in digits. Header families are never mixed. The
window is that of the reference libraries, five minutes; each attempt is signed anew.
"""

from base64 import b64decode
from binascii import a2b_base64
from functools import lru_cache
from hmac import compare_digest
from typing import Final

from ringback.errors import Malformed, Mismatch, Missing, SecretError
from ringback.sign import standard
from ringback.sign.ed25519 import PUBLIC_KEY_BYTES, SIGNATURE_BYTES, is_signed
from ringback.sign.hmac_key import HmacKey
from ringback.sign.instant import TOLERANCE_S, check_fresh, seconds
from ringback.sign.layout import encoded, is_signature
from ringback.sign.request import Request
from ringback.sign.scheme import (
    KEYS_CACHED_MAX,
    SIGNATURES_MAX,
    Confidence,
    Draft,
    Field,
    KeyPair,
    Place,
    Proof,
    Scheme,
    Signed,
    Terms,
    Vectors,
)
from ringback.sign.secret import HMAC_PREFIX, PRIVATE_PREFIX, PUBLIC_PREFIX, parse
from ringback.sign.secret_text import SecretText, check_text

SECRET: Final = SecretText("the endpoint's signing secret", prefix=HMAC_PREFIX, form="base64")
DOCUMENTATION: Final = (
    "https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md"
)
Families = tuple[standard.HeaderFamily, ...]


def standard_scheme(
    name: str,
    title: str,
    *,
    documentation: str,
    confidence: Confidence | None = None,
    families: Families = ("webhook",),
    secret: str = "the endpoint's signing secret, whsec_…",  # noqa: S107  words about it
    vectors: Vectors = "local",
    type: tuple[Place, ...] = (Field("type"),),
    caution: str = "",
) -> Scheme:
    """A provider that sends Standard Webhooks, under the first of the `families` that is there."""

    def check(request: Request, terms: Terms) -> Proof:
        return check_standard(request, terms, families)

    def sign(draft: Draft, signing: str) -> Signed:
        return sign_standard(draft, signing, families[0])

    return Scheme(
        name=name,
        title=title,
        documentation=documentation,
        confidence=confidence,
        signature=f"{families[0]}-signature: v1,… (base64 HMAC-SHA256 of id.timestamp.body)",
        secret=secret,
        vectors=vectors,
        check=check,
        sign=sign,
        keys=SECRET.keys,
        tolerance_s=TOLERANCE_S,
        type=type,
        caution=caution,
    )


def check_standard(request: Request, terms: Terms, families: Families) -> Proof:
    """The proof of a Standard Webhooks request; raises as a `Check` does."""
    family = _family(request, families)
    msg_id, time_text = request.visible(f"{family}-id"), request.header(f"{family}-timestamp")
    if "." in msg_id:
        raise Malformed(f"the header {family}-id has a full stop, which makes it ambiguous")
    timestamp_s = seconds(time_text)
    items = _items(request.header(f"{family}-signature"))
    head = f"{msg_id}.{time_text}.".encode()
    index = _matching(items, terms.secrets, head, request.body)
    check_fresh(timestamp_s, now_s=terms.now_s, tolerance_s=terms.tolerance_s)
    return Proof(index, timestamp_s, msg_id)


def sign_standard(draft: Draft, signing: str, family: standard.HeaderFamily) -> Signed:
    signature = standard.sign(
        parse(signing), draft.id, timestamp_s=draft.timestamp_s, body=draft.body
    )
    fields = (
        ("content-type", "application/json"),
        (f"{family}-id", draft.id),
        (f"{family}-timestamp", str(draft.timestamp_s)),
        (f"{family}-signature", signature),
    )
    return Signed(draft.method, draft.url, fields, draft.body)


def ed25519_keys(random_bytes: bytes) -> KeyPair:
    """A `whsk_…` and its `whpk_…`, for tests."""
    from ringback.model import SignatureType
    from ringback.sign.secret import generate, public_text

    private = generate(SignatureType.ED25519, random_bytes)
    return KeyPair(private, public_text(private))


def _family(request: Request, families: Families) -> standard.HeaderFamily:
    for family in families:
        if request.has(f"{family}-signature"):
            return family
    raise Missing(f"the header {families[0]}-signature is absent: not sent, or removed by a proxy")


def _items(header: str) -> list[tuple[str, bytes]]:
    texts = header.split(" ", SIGNATURES_MAX)
    if len(texts) > SIGNATURES_MAX:
        raise Malformed(f"the signature header has more than {SIGNATURES_MAX} items")
    found = [text.partition(",") for text in texts]
    return [(version, text.encode("utf-8", "surrogatepass")) for version, _, text in found]


def _matching(
    items: list[tuple[str, bytes]], secrets: tuple[str, ...], head: bytes, body: bytes
) -> int:
    found = -1
    for index, secret in enumerate(secrets):
        if _is_signed(items, secret, head, body) and found < 0:
            found = index
    if found < 0:
        raise _refusal(items)
    return found


def _is_signed(items: list[tuple[str, bytes]], secret: str, head: bytes, body: bytes) -> bool:
    key = _key(secret)
    good = False
    if isinstance(key, HmacKey):
        tag = encoded(key.sign(head, body), "base64")
        for version, given in items:
            good |= version == "v1" and compare_digest(given, tag)
        return good
    for version, given in items:
        if version == "v1a" and (raw := _ed25519_signature(given)):
            good |= is_signed(key, raw, head + body)
    return good


def _ed25519_signature(text: bytes) -> bytes | None:
    """Strict base64 of 64 bytes in its one spelling, or nothing."""
    try:
        raw = a2b_base64(text, strict_mode=True)
    except ValueError:
        return None
    return raw if len(raw) == SIGNATURE_BYTES and encoded(raw, "base64") == text else None


def _refusal(items: list[tuple[str, bytes]]) -> Malformed | Mismatch:
    texts = [(version, text.decode("utf-8", "replace")) for version, text in items]
    sizes = {"v1": 32, "v1a": SIGNATURE_BYTES}
    if any(is_signature(text, "base64", sizes.get(version, 0)) for version, text in texts):
        return Mismatch(
            "no signature fits: check that the secret is this endpoint's and that the body is the"
            " bytes as they were received; or the request is forged"
        )
    return Malformed("no item of the signature header is v1,<base64> or v1a,<base64>")


@lru_cache(maxsize=KEYS_CACHED_MAX)
def _key(text: str) -> HmacKey | bytes:
    """An HMAC key, or the bytes of a public key. Raises SecretError for anything else."""
    check_text(text, SECRET.says)
    if text.startswith(PRIVATE_PREFIX):
        raise SecretError("this is the sender's private key; give its public half, whpk_…")
    if not text.startswith(PUBLIC_PREFIX):
        key = parse(text)
        assert isinstance(key, HmacKey)  # noqa: S101  the other kind was refused above
        return key
    try:
        public = b64decode(text.removeprefix(PUBLIC_PREFIX), validate=True)
    except ValueError:
        public = b""
    if len(public) != PUBLIC_KEY_BYTES:
        raise SecretError(
            f"a whpk_ key is the standard base64 of {PUBLIC_KEY_BYTES} bytes; copy it again"
        )
    return public
