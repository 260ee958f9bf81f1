"""Cloudflare Stream: `Webhook-Signature: time=<seconds>,sig1=<hex>`.

    sig1    HMAC-SHA256 over {time}.{body}, lower-case hex
    key     the UTF-8 bytes of the secret that was answered when the URL was set

Cloudflare leaves the window to the receiver and speaks of no retries: five minutes, as most have.

There is no id of the event, so the digest of the body serves to dedupe. The type is the state of
the video, `ready` or `error`.

Documentation: https://developers.cloudflare.com/stream/manage-video-library/using-webhooks/. Sure
about the format; Cloudflare publishes no vectors.
"""

from typing import Final

from ringback.sign.hmac_scheme import Timestamp, hmac_scheme
from ringback.sign.layout import Pairs
from ringback.sign.scheme import Field
from ringback.sign.secret_text import SecretText

SCHEME: Final = hmac_scheme(
    "cloudflare_stream",
    "Cloudflare Stream",
    documentation="https://developers.cloudflare.com/stream/manage-video-library/using-webhooks/",
    confidence="B",
    layout=Pairs("Webhook-Signature", "sig1", timestamp="time"),
    content="{timestamp}.{body}",
    timestamp=Timestamp(),
    secret=SecretText("the webhook's `secret`, as the API answers it"),
    type=(Field("status.state"),),
)
