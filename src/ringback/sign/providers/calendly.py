"""Calendly: `Calendly-Webhook-Signature: t=<seconds>,v1=<hex>`.

    v1    HMAC-SHA256 over {t}.{body}, lower-case hex
    key   the UTF-8 bytes of the signing key that was given when the subscription was made

The window is that of Calendly's own example, three minutes. There is no id of the event, so the
digest of the body serves to dedupe.

Documentation: https://developer.calendly.com/api-docs/4c305798a61d3-webhook-signatures. Sure about
the format; Calendly publishes no vectors.
"""

from typing import Final

from ringback.sign.hmac_scheme import Timestamp, hmac_scheme
from ringback.sign.layout import Pairs
from ringback.sign.scheme import Field
from ringback.sign.secret_text import SecretText

SCHEME: Final = hmac_scheme(
    "calendly",
    "Calendly",
    documentation="https://developer.calendly.com/api-docs/4c305798a61d3-webhook-signatures",
    confidence="B",
    layout=Pairs("Calendly-Webhook-Signature", "v1", timestamp="t"),
    content="{timestamp}.{body}",
    timestamp=Timestamp(tolerance_s=180),
    secret=SecretText("the subscription's `signing_key`"),
    type=(Field("event"),),
)
