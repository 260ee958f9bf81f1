"""The per-attempt headers of a delivery: the one function that the engine calls to sign.

    standard    {family}-id, {family}-timestamp, {family}-signature
    stripe      {family}-id, {family}-timestamp, Stripe-Signature
    github      {family}-id, {family}-timestamp, X-Hub-Signature-256

The id and timestamp headers go along with every scheme, so that receivers can dedupe by id whatever
they verify. Under `stripe` and `github` they are not signed, and there is no second signature: the
secret of an endpoint is used in one way only.
"""

from collections.abc import Sequence
from typing import assert_never

from ringback.errors import SecretError
from ringback.model import Secret, SignatureScheme
from ringback.sign import standard
from ringback.sign.hmac_key import HmacKey
from ringback.sign.providers import github, stripe
from ringback.sign.secret import parse


def signed_headers(
    scheme: SignatureScheme,
    secrets: Sequence[Secret],
    *,
    family: standard.HeaderFamily,
    msg_id: str,
    timestamp_s: int,
    body: bytes,
    now_ms: int,
) -> bytes:
    """The headers as wire bytes, each line with its CRLF.

    `secrets` are unsealed, the current one first; those that expired at or before `now_ms` are left
    out, and old ones that did not open. `standard` and `stripe` sign with all the others, `github`
    with the first of them only. Raises SecretError if none is left, if the current one did not
    open, if one is malformed, or if the scheme cannot use one that would sign: nothing is ever sent
    unsigned.
    """
    texts = _valid(secrets, now_ms)
    if scheme is SignatureScheme.STANDARD:
        keys = [parse(text) for text in texts]
        signature = standard.signature(keys, msg_id, timestamp_s=timestamp_s, body=body)
        return standard.headers(family, msg_id, timestamp_s=timestamp_s, signature=signature)
    identity = standard.identity_headers(family, msg_id, timestamp_s=timestamp_s)
    if scheme is SignatureScheme.STRIPE:
        for text in texts:
            check_scheme(scheme, text)
        return identity + stripe.signature_header(texts, timestamp_s=timestamp_s, body=body)
    if scheme is SignatureScheme.GITHUB:
        check_scheme(scheme, texts[0])
        return identity + github.signature_header(texts[0], body)
    assert_never(scheme)


def check_scheme(scheme: SignatureScheme, secret_text: str) -> None:
    """Raises SecretError if this secret is malformed or cannot sign under this scheme.

    To be asked whenever a scheme or a secret is set. A change of scheme must ask for every secret
    that has not expired, or its deliveries will fail.
    """
    key = parse(secret_text)
    if scheme is not SignatureScheme.STANDARD and not isinstance(key, HmacKey):
        raise SecretError(
            f"the {scheme} signature scheme needs an HMAC secret (whsec_…), not an Ed25519 key;"
            " rotate the secret or use the standard scheme"
        )


def _valid(secrets: Sequence[Secret], now_ms: int) -> list[str]:
    valid = [
        secret
        for secret in secrets
        if secret.expires_at_ms is None or now_ms < secret.expires_at_ms
    ]
    if not valid:
        raise SecretError("the endpoint has no signing secret that is still valid; rotate it")
    if valid[0].why_closed:
        raise SecretError(valid[0].why_closed)
    return [secret.key for secret in valid if not secret.why_closed]
