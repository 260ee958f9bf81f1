"""Paystack: `x-paystack-signature: <hex>`.

    HMAC-SHA512 over the body alone, lower-case hex
    key    the UTF-8 bytes of the account's secret key, `sk_live_…` or `sk_test_…`

There is no id of the event and no time, so the digest of the body serves to dedupe.

Documentation: https://paystack.com/docs/payments/webhooks/#verify-event-origin. Sure about the
format; Paystack publishes no vectors.
"""

from typing import Final

from ringback.sign.hmac_scheme import hmac_scheme
from ringback.sign.layout import Plain
from ringback.sign.scheme import Field
from ringback.sign.secret_text import SecretText

SCHEME: Final = hmac_scheme(
    "paystack",
    "Paystack",
    documentation="https://paystack.com/docs/payments/webhooks/#verify-event-origin",
    confidence="B",
    layout=Plain("x-paystack-signature"),
    algorithm="sha512",
    secret=SecretText("the account's secret key", prefix="sk_"),
    type=(Field("event"),),
    caution="neither an id nor the time is signed",
)
