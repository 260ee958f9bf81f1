"""Lemon Squeezy: `X-Signature: <hex>`.

    HMAC-SHA256 over the body alone, lower-case hex
    key    the UTF-8 bytes of the webhook's signing secret

There is no id of the event and no time, so the digest of the body serves to dedupe.

Documentation: https://docs.lemonsqueezy.com/help/webhooks/signing-requests. Sure about the format;
Lemon Squeezy publishes no vectors.
"""

from typing import Final

from ringback.sign.hmac_scheme import hmac_scheme
from ringback.sign.layout import Plain
from ringback.sign.scheme import Field
from ringback.sign.secret_text import SecretText

SCHEME: Final = hmac_scheme(
    "lemon_squeezy",
    "Lemon Squeezy",
    documentation="https://docs.lemonsqueezy.com/help/webhooks/signing-requests",
    confidence="B",
    layout=Plain("X-Signature"),
    secret=SecretText("the webhook's signing secret (Settings → Webhooks)"),
    type=(Field("meta.event_name"),),
    caution="neither an id nor the time is signed",
)
