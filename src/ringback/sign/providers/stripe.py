"""Stripe: `Stripe-Signature: t=<seconds>,v1=<hex>[,v1=<hex>]`.

    v1    HMAC-SHA256 over {t}.{body}, lower-case hex
    key   the UTF-8 bytes of the whole secret text, `whsec_` included, not decoded

The window is that of Stripe's own SDKs, five minutes; each retry is signed anew.

In test mode Stripe also sends a `v0`, which proves nothing and is ignored.

Documentation: https://docs.stripe.com/webhooks#verify-manually. Sure: the test suite has the
official `stripe` package accept what is made here, and this accept what the package makes. Stripe
publishes no fixed vectors.
"""

from collections.abc import Sequence
from typing import Final

from ringback.errors import SecretError
from ringback.sign.hmac_scheme import Timestamp, hmac_scheme
from ringback.sign.layout import Pairs
from ringback.sign.scheme import Field
from ringback.sign.secret import verbatim_key
from ringback.sign.secret_text import SecretText

SCHEME: Final = hmac_scheme(
    "stripe",
    "Stripe",
    documentation="https://docs.stripe.com/webhooks#verify-manually",
    confidence="A",
    layout=Pairs("Stripe-Signature", "v1", timestamp="t"),
    content="{timestamp}.{body}",
    timestamp=Timestamp(),
    secret=SecretText(
        "the endpoint's signing secret (Workbench → Webhooks, or `stripe listen`)", prefix="whsec_"
    ),
    id=(Field("id"),),
    type=(Field("type"),),
    vectors="vendor",
)


def signature_header(secrets: Sequence[str], *, timestamp_s: int, body: bytes) -> bytes:
    """The header as wire bytes with CRLF: one `v1` for each secret text, in their order.

    The SDKs take any match, so rotated-out secrets may stand behind the current one. Raises
    SecretError without any secret, or for an empty one.
    """
    if not secrets:
        raise SecretError("a delivery cannot be signed without a secret; give the endpoint one")
    prefix = f"{timestamp_s}.".encode()
    items = [f",v1={verbatim_key(secret).sign(prefix, body).hex()}" for secret in secrets]
    return f"Stripe-Signature: t={timestamp_s}{''.join(items)}\r\n".encode()
