"""Mux: `Mux-Signature: t=<seconds>,v1=<hex>`.

    v1    HMAC-SHA256 over {t}.{body}, lower-case hex
    key   the UTF-8 bytes of the webhook's signing secret

The window is that of Mux's own SDKs, five minutes.

Documentation: https://www.mux.com/docs/core/verify-webhook-signatures. Sure about the format; Mux
publishes no vectors.
"""

from typing import Final

from ringback.sign.hmac_scheme import Timestamp, hmac_scheme
from ringback.sign.layout import Pairs
from ringback.sign.scheme import Field
from ringback.sign.secret_text import SecretText

SCHEME: Final = hmac_scheme(
    "mux",
    "Mux",
    documentation="https://www.mux.com/docs/core/verify-webhook-signatures",
    confidence="B",
    layout=Pairs("Mux-Signature", "v1", timestamp="t"),
    content="{timestamp}.{body}",
    timestamp=Timestamp(),
    secret=SecretText("the webhook's signing secret (Settings → Webhooks)"),
    id=(Field("id"),),
    type=(Field("type"),),
)
