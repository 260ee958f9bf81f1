"""Square: `x-square-hmacsha256-signature: <base64>`.

    HMAC-SHA256 over {notification URL}{body}, base64 with padding
    key    the UTF-8 bytes of the subscription's signature key

The URL is the one that was given to Square, to the letter. Dedupe by `event_id`.

Documentation: https://developer.squareup.com/docs/webhooks/step3validate. Sure: the vector of the
official SDK's tests is in the test suite.
"""

from typing import Final

from ringback.sign.hmac_scheme import hmac_scheme
from ringback.sign.layout import Plain
from ringback.sign.scheme import Field
from ringback.sign.secret_text import SecretText

SCHEME: Final = hmac_scheme(
    "square",
    "Square",
    documentation="https://developer.squareup.com/docs/webhooks/step3validate",
    confidence="A",
    layout=Plain("x-square-hmacsha256-signature"),
    encoding="base64",
    content="{url}{body}",
    secret=SecretText("the subscription's signature key", not_these=("EAAA", "sq0")),
    id=(Field("event_id"),),
    type=(Field("type"),),
    vectors="vendor",
)
