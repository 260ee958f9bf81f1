"""ElevenLabs: `ElevenLabs-Signature: t=<seconds>,v0=<hex>`.

    v0    HMAC-SHA256 over {t}.{body}, lower-case hex
    key   the UTF-8 bytes of the webhook's secret

The window is that of the official SDK, half an hour. There is no id of the event, so the digest of
the body serves to dedupe.

Documentation: https://elevenlabs.io/docs/product-guides/administration/webhooks. Sure about the
format, which is that of the official SDKs; there are no published vectors.
"""

from typing import Final

from ringback.sign.hmac_scheme import Timestamp, hmac_scheme
from ringback.sign.layout import Pairs
from ringback.sign.scheme import Field
from ringback.sign.secret_text import SecretText

SCHEME: Final = hmac_scheme(
    "elevenlabs",
    "ElevenLabs",
    documentation="https://elevenlabs.io/docs/product-guides/administration/webhooks",
    confidence="B",
    layout=Pairs("ElevenLabs-Signature", "v0", timestamp="t"),
    content="{timestamp}.{body}",
    timestamp=Timestamp(tolerance_s=1_800),
    secret=SecretText("the webhook's secret (Settings → Webhooks)"),
    type=(Field("type"),),
)
