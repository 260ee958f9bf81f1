"""Discord, interactions and webhook events: `X-Signature-Ed25519: <hex>`.

    Ed25519 over {timestamp}{body}; the timestamp, in seconds, has its own header
    key    the application's public key, 32 bytes in hex

An interaction is deduped by its `id`; a webhook event has none, so the digest of its body serves.
The window is that of an event's retries, ten minutes and a bit: nothing says that each is signed
anew.

Handshake: on saving the URL and at random, a signed PING (`type` 1 of interactions, 0 of events),
and requests with bad signatures, which must get 401. An interaction wants its answer from the
application within three seconds.

Documentation: https://discord.com/developers/docs/interactions/overview. Sure: the official
package accepts what is made here, in the test suite.
"""

import re
from typing import Any, Final

from ringback.errors import Malformed, Mismatch, SecretError, VerificationError
from ringback.sign.challenge import json_reply
from ringback.sign.ed25519 import PUBLIC_KEY_BYTES, is_signed
from ringback.sign.hmac_scheme import beside
from ringback.sign.instant import check_fresh, seconds
from ringback.sign.payload import payload_of
from ringback.sign.request import Request
from ringback.sign.scheme import Draft, Field, KeyPair, Proof, Reply, Scheme, Signed, Terms
from ringback.sign.secret_text import check_text

TOLERANCE_S: Final = 900
SECRET: Final = "the application's public key (General Information), 64 hexadecimal digits"  # noqa: S105
SIGNATURE: Final = re.compile("[0-9a-f]{128}")
PUBLIC_KEY: Final = re.compile(f"[0-9a-fA-F]{{{2 * PUBLIC_KEY_BYTES}}}")
HANDSHAKE_BYTES_MAX: Final = 16_384
ACCEPTED: Final = Reply(204, (("Content-Type", "application/json"),))


def check(request: Request, terms: Terms) -> Proof:
    signature = request.header("x-signature-ed25519")
    time_text = request.header("x-signature-timestamp")
    timestamp_s = seconds(time_text)
    if not SIGNATURE.fullmatch(signature):
        raise Malformed("the header x-signature-ed25519 is not 128 hexadecimal digits")
    raw, content = bytes.fromhex(signature), time_text.encode() + request.body
    good = [is_signed(_public(secret), raw, content) for secret in terms.secrets]
    if True not in good:
        raise Mismatch(
            "the signature does not fit: check that the public key is this application's; or this"
            " is one of the bad requests by which Discord tests receivers"
        )
    check_fresh(timestamp_s, now_s=terms.now_s, tolerance_s=terms.tolerance_s)
    return Proof(good.index(True), timestamp_s)


def respond(request: Request, terms: Terms) -> Reply | None:
    ping = _ping(request)
    if ping is None:
        return None
    SCHEME.check(request, terms)
    return json_reply({"type": 1}) if ping else ACCEPTED


def sign(draft: Draft, signing: str) -> Signed:
    """`signing` is the 32 bytes of an Ed25519 private key in hex."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    time_text = str(draft.timestamp_s)
    key = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(signing))
    signature = key.sign(time_text.encode() + draft.body).hex()
    fields = (
        *beside(draft, id=(), type=()),
        ("x-signature-ed25519", signature),
        ("x-signature-timestamp", time_text),
    )
    return Signed(draft.method, draft.url, fields, draft.body)


def keys(random_bytes: bytes) -> KeyPair:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    public = Ed25519PrivateKey.from_private_bytes(random_bytes).public_key()
    return KeyPair(random_bytes.hex(), public.public_bytes_raw().hex())


def _ping(request: Request) -> int | None:
    """1 for the PING of interactions, 0 for that of events, None for anything else."""
    if len(request.body) > HANDSHAKE_BYTES_MAX:
        return None
    try:
        payload: Any = payload_of(request.body)
    except VerificationError:
        return None
    if not isinstance(payload, dict) or "event" in payload:
        return None
    kind = payload.get("type")
    return kind if type(kind) is int and kind in (0, 1) else None


def _public(text: str) -> bytes:
    check_text(text, SECRET)
    if not PUBLIC_KEY.fullmatch(text):
        raise SecretError(f"this is another credential; give {SECRET}")
    return bytes.fromhex(text)


SCHEME: Final = Scheme(
    name="discord",
    title="Discord",
    documentation="https://discord.com/developers/docs/interactions/overview",
    confidence="A",
    signature="X-Signature-Ed25519: … (hex Ed25519 of {timestamp}{body})",
    secret=SECRET,
    vectors="vendor",
    check=check,
    sign=sign,
    keys=keys,
    respond=respond,
    tolerance_s=TOLERANCE_S,
    id=(Field("id"),),
    type=(Field("event.type"), Field("type")),
    accepted=ACCEPTED,
)
