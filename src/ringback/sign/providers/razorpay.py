"""Razorpay: `X-Razorpay-Signature: <hex>`.

    HMAC-SHA256 over the body alone, lower-case hex
    key    the UTF-8 bytes of the webhook's secret

Dedupe by `x-razorpay-event-id`, which is not signed.

Documentation: https://razorpay.com/docs/webhooks/validate-test/. Sure: values from Razorpay's own
repository are in the test suite.
"""

from typing import Final

from ringback.sign.hmac_scheme import hmac_scheme
from ringback.sign.layout import Plain
from ringback.sign.scheme import Field, Header
from ringback.sign.secret_text import SecretText

SCHEME: Final = hmac_scheme(
    "razorpay",
    "Razorpay",
    documentation="https://razorpay.com/docs/webhooks/validate-test/",
    confidence="A",
    layout=Plain("X-Razorpay-Signature"),
    secret=SecretText(
        "the webhook's secret (Account & Settings → Webhooks)", not_these=("rzp_live_", "rzp_test_")
    ),
    id=(Header("x-razorpay-event-id"),),
    type=(Field("event"),),
    vectors="vendor",
    caution="neither the id nor the time is signed",
)
