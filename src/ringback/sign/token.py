"""Shared tokens, sent as they are: they prove who knows the token and nothing about the body.

Whoever sees one request can make others, so TLS is the only protection: no header of such a request
may be logged.
"""

from binascii import b2a_base64
from collections.abc import Sequence
from hmac import compare_digest
from typing import Final

from ringback.errors import Mismatch, SecretError
from ringback.sign.hmac_scheme import beside
from ringback.sign.request import Request
from ringback.sign.scheme import (
    Confidence,
    Draft,
    Envelope,
    KeyPair,
    Parts,
    Place,
    Proof,
    Reply,
    Respond,
    Scheme,
    Signed,
    Terms,
)
from ringback.sign.secret_text import SecretText

CAUTION: Final = "a token proves nothing about the body, and who sees one request can forge others"


def token_scheme(
    name: str,
    title: str,
    *,
    documentation: str,
    confidence: Confidence | None = None,
    header: str,
    secret: SecretText,
    is_basic: bool = False,
    id: tuple[Place, ...] = (),
    type: tuple[Place, ...] = (),
    parts: Parts | None = None,
    respond: Respond | None = None,
    accepted: Reply = Reply(),  # noqa: B008  a frozen value
    envelope: Envelope | None = None,
) -> Scheme:
    """A provider that sends the secret in a header; `is_basic` for `user:password` (RFC 7617)."""

    def value(text: str) -> bytes:
        raw = secret.raw(text)
        return _basic(raw) if is_basic else raw

    def check(request: Request, terms: Terms) -> Proof:
        given = request.header(header.lower())
        return Proof(matching(given, [value(text) for text in terms.secrets]))

    def sign(draft: Draft, signing: str) -> Signed:
        fields = (*beside(draft, id=id, type=type), (header, value(signing).decode()))
        return Signed(draft.method, draft.url, fields, draft.body)

    def keys(random_bytes: bytes) -> KeyPair:
        text = ("user:" if is_basic else "") + secret.keys(random_bytes).verifying
        return KeyPair(text, text)

    return Scheme(
        name=name,
        title=title,
        documentation=documentation,
        confidence=confidence,
        signature=f"{header}: {'Basic …' if is_basic else 'the secret itself'}",
        secret=secret.says,
        vectors="local",
        check=check,
        sign=sign,
        keys=keys,
        respond=respond,
        covers_body=False,
        id=id,
        type=type,
        parts=parts,
        caution=CAUTION,
        accepted=accepted,
        envelope=envelope,
    )


def matching(given: str, expected: Sequence[bytes]) -> int:
    """The index of the expected value that was given, each compared in constant time.

    Raises Mismatch if it is none of them.
    """
    found = -1
    presented = given.encode("utf-8", "surrogatepass")
    for index, value in enumerate(expected):
        if compare_digest(presented, value) and found < 0:
            found = index
    if found < 0:
        raise Mismatch("the token is none of the secrets: another endpoint's, or a forged request")
    return found


def _basic(raw: bytes) -> bytes:
    if b":" not in raw:
        raise SecretError("give the user name and the password as user:password")
    return b"Basic " + b2a_base64(raw, newline=False)
