"""Braintree: a form with `bt_signature` and `bt_payload`.

    {public key}|{hex} pairs joined by &, each the HMAC-SHA1 of the payload
    key    the SHA-1 digest of the private key; the public key says which pair is ours

The payload is base64 of XML, signed with the line break at its end or without. XML is read without
document types, and yields `kind`, `timestamp` and the text as `xml`: Braintree's own package makes
objects of it. There is no id, so the digest of the XML serves to dedupe.

Handshake: on saving the URL, a GET with `bt_challenge`, answered with its signature. A challenge is
hexadecimal and short, so what is signed for whoever asks is never a payload.

Documentation: https://developer.paypal.com/braintree/docs/guides/webhooks/parse. Sure: the
challenge of the official SDKs' tests is in the test suite, and what the official package signs is
accepted.
"""

import re
from base64 import b64decode, encodebytes
from functools import lru_cache
from hashlib import sha1, sha256
from hmac import compare_digest
from typing import Final
from urllib.parse import urlencode

from ringback.errors import Malformed, Mismatch, Missing, SecretError
from ringback.sign.challenge import plain, query_of
from ringback.sign.hmac_key import HmacKey, hmac_key
from ringback.sign.payload import form_pairs
from ringback.sign.request import Request
from ringback.sign.scheme import (
    KEYS_CACHED_MAX,
    SIGNATURES_MAX,
    Draft,
    Field,
    KeyPair,
    Proof,
    Reply,
    Scheme,
    Signed,
    Terms,
)
from ringback.sign.secret_text import check_text

SECRET: Final = "the public key, a colon and the private key (Settings → API)"  # noqa: S105
PAYLOAD: Final = re.compile("[A-Za-z0-9+/=\n]+")
PUBLIC_KEY: Final = re.compile("[A-Za-z0-9_]{1,64}")
SIGNATURE: Final = re.compile("[0-9a-f]{40}")
CHALLENGE: Final = re.compile("[0-9a-f]{20,32}")
ROOT: Final = "notification"


def check(request: Request, terms: Terms) -> Proof:
    pairs = form_pairs(request.body)
    fields = dict(pairs)
    if not {"bt_signature", "bt_payload"} <= set(fields):
        raise Missing("the form has no bt_signature and bt_payload")
    payload = fields["bt_payload"]
    if len(pairs) != 2 or not PAYLOAD.fullmatch(payload):
        raise Malformed("the form is not one bt_signature and one bt_payload in base64")
    found = _matching(_pairs_of(fields["bt_signature"]), payload.encode(), terms.secrets)
    xml = _decoded(payload)
    return Proof(found, id=sha256(xml).hexdigest(), payload=_read(xml))


def respond(request: Request, terms: Terms) -> Reply | None:
    query = query_of(request) if request.method == "GET" else {}
    if "bt_challenge" not in query:
        return None
    challenge = query["bt_challenge"]
    if not CHALLENGE.fullmatch(challenge):
        raise Malformed("the bt_challenge is not 20 to 32 hexadecimal digits")
    public, key = _keys_of(terms.secrets[0])
    return plain(f"{public}|{key.sign(challenge.encode()).hex()}")


def sign(draft: Draft, signing: str) -> Signed:
    """The draft's body is the XML."""
    public, key = _keys_of(signing)
    payload = encodebytes(draft.body)
    form = {"bt_signature": f"{public}|{key.sign(payload).hex()}", "bt_payload": payload}
    fields = (("content-type", "application/x-www-form-urlencoded"),)
    return Signed(draft.method, draft.url, fields, urlencode(form).encode())


def keys(random_bytes: bytes) -> KeyPair:
    text = f"public{random_bytes[:8].hex()}:{random_bytes.hex()}"
    return KeyPair(text, text)


def envelope(draft: Draft, payload: object) -> bytes:
    from xml.sax.saxutils import escape

    when = f"<timestamp type='datetime'>{draft.timestamp_s}</timestamp>"
    subject = f"<subject>{escape(f'{draft.id} {payload}')}</subject>"
    return f"<{ROOT}>{when}<kind>{escape(draft.type)}</kind>{subject}</{ROOT}>".encode()


def _pairs_of(signature: str) -> list[tuple[str, str]]:
    items = signature.split("&", SIGNATURES_MAX)
    found = [(public, text) for public, bar, text in (one.partition("|") for one in items) if bar]
    if len(items) > SIGNATURES_MAX or not any(SIGNATURE.fullmatch(text) for _, text in found):
        raise Malformed("the bt_signature has no pair of a public key and 40 hexadecimal digits")
    return found


def _matching(pairs: list[tuple[str, str]], payload: bytes, secrets: tuple[str, ...]) -> int:
    found = -1
    for index, secret in enumerate(secrets):
        public, key = _keys_of(secret)
        tags = [key.sign(payload).hex().encode(), key.sign(payload, b"\n").hex().encode()]
        for name, text in pairs:
            given = text.encode("utf-8", "surrogatepass")
            fits = [compare_digest(given, tag) for tag in tags]
            if name == public and any(fits) and found < 0:
                found = index
    if found < 0:
        raise Mismatch(
            "no signature fits: check that both keys are those of the environment that sends; or"
            " the request is forged"
        )
    return found


@lru_cache(maxsize=KEYS_CACHED_MAX)
def _keys_of(text: str) -> tuple[str, HmacKey]:
    check_text(text, SECRET)
    public, _, private = text.partition(":")
    if not private or not PUBLIC_KEY.fullmatch(public):
        raise SecretError(f"give {SECRET}")
    # The format is older than the doubts about SHA-1, which do not touch HMAC.
    digest = sha1(private.encode("utf-8", "surrogatepass")).digest()  # noqa: S324
    return public, hmac_key(digest, "sha1")


def _decoded(payload: str) -> bytes:
    try:
        return b64decode(payload.replace("\n", ""), validate=True)
    except ValueError:
        raise Malformed("the bt_payload is not base64") from None


def _read(xml: bytes) -> dict[str, str | None]:
    """Raises Malformed for what is not Braintree's, documents with types among it."""
    from xml.etree.ElementTree import ParseError, fromstring

    try:
        text = xml.decode()
        if "<!DOCTYPE" in text:
            raise ValueError
        root = fromstring(text)  # noqa: S314  authentic, and without a document type
    except (ParseError, ValueError, RecursionError):
        raise Malformed("the bt_payload is not XML in UTF-8 without a document type") from None
    if root.tag != ROOT:
        raise Malformed("the XML is not a notification")
    return {"kind": root.findtext("kind"), "timestamp": root.findtext("timestamp"), "xml": text}


SCHEME: Final = Scheme(
    name="braintree",
    title="Braintree",
    documentation="https://developer.paypal.com/braintree/docs/guides/webhooks/parse",
    confidence="A",
    signature="bt_signature in the form: public key|… (hex HMAC-SHA1 of bt_payload)",
    secret=SECRET,
    vectors="vendor",
    check=check,
    sign=sign,
    keys=keys,
    respond=respond,
    type=(Field("kind"),),
    may_be_form=True,
    caution="no age is checked",
    envelope=envelope,
)
