"""Paddle Billing: `Paddle-Signature: ts=<seconds>;h1=<hex>[;h1=<hex>]`.

    h1    HMAC-SHA256 over {ts}:{body}, lower-case hex; several while a secret is rotated
    key   the UTF-8 bytes of the whole secret text, `pdl_ntfset_` included

The window is that of Paddle's own SDKs, five seconds, which needs a clock that is right; each
retry is signed anew. Dedupe by `event_id`, which stays the same when a notification is replayed.

Documentation: https://developer.paddle.com/webhooks/signature-verification. Sure: the vector of the
official Python SDK's tests is in the test suite. Paddle Classic signed otherwise and is not known
here.
"""

from typing import Final

from ringback.sign.hmac_scheme import Timestamp, hmac_scheme
from ringback.sign.layout import Pairs
from ringback.sign.scheme import Field
from ringback.sign.secret_text import SecretText

SCHEME: Final = hmac_scheme(
    "paddle",
    "Paddle",
    documentation="https://developer.paddle.com/webhooks/signature-verification",
    confidence="A",
    layout=Pairs("Paddle-Signature", "h1", timestamp="ts", separator=";"),
    content="{timestamp}:{body}",
    timestamp=Timestamp(tolerance_s=5),
    secret=SecretText(
        "the notification destination's secret key (Developer tools → Notifications)",
        prefix="pdl_ntf",
    ),
    id=(Field("event_id"),),
    type=(Field("event_type"),),
    vectors="vendor",
)
