"""Coinbase Commerce: `X-CC-Webhook-Signature: <hex>`.

    HMAC-SHA256 over the body alone, lower-case hex
    key    the UTF-8 bytes of the shared secret

Dedupe by `event.id`: the `id` beside it counts attempts.

Documentation: https://docs.cdp.coinbase.com/commerce/api-architecture/webhooks-security. Sure: the
vector of the official Python SDK's tests is in the test suite.
"""

from typing import Final

from ringback.sign.hmac_scheme import hmac_scheme
from ringback.sign.layout import Plain
from ringback.sign.scheme import Field
from ringback.sign.secret_text import SecretText

SCHEME: Final = hmac_scheme(
    "coinbase_commerce",
    "Coinbase Commerce",
    documentation="https://docs.cdp.coinbase.com/commerce/api-architecture/webhooks-security",
    confidence="A",
    layout=Plain("X-CC-Webhook-Signature"),
    secret=SecretText("the webhook shared secret (Settings → Notifications)"),
    id=(Field("event.id"),),
    type=(Field("event.type"),),
    vectors="vendor",
    caution="no time is signed",
)
