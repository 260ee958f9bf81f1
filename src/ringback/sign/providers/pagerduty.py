"""PagerDuty V3: `X-PagerDuty-Signature: v1=<hex>[,v1=<hex>]`.

    v1    HMAC-SHA256 over the body alone, lower-case hex; several while a secret is rotated
    key   the UTF-8 bytes of the subscription's secret

Documentation: https://developer.pagerduty.com/docs/webhooks-overview. Sure: the vector of the
official Go library's tests is in the test suite.
"""

from typing import Final

from ringback.sign.hmac_scheme import hmac_scheme
from ringback.sign.layout import Pairs
from ringback.sign.scheme import Field
from ringback.sign.secret_text import SecretText

SCHEME: Final = hmac_scheme(
    "pagerduty",
    "PagerDuty",
    documentation="https://developer.pagerduty.com/docs/webhooks-overview",
    confidence="A",
    layout=Pairs("X-PagerDuty-Signature", "v1"),
    secret=SecretText("the webhook subscription's secret, shown once when it is made"),
    id=(Field("event.id"),),
    type=(Field("event.event_type"),),
    vectors="vendor",
    caution="no time is signed",
)
