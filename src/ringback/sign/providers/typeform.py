"""Typeform: `Typeform-Signature: sha256=<base64>`.

    sha256    HMAC-SHA256 over the body alone, base64 (and not hex, as the prefix may suggest)
    key       the UTF-8 bytes of the webhook's secret

Documentation: https://www.typeform.com/developers/webhooks/secure-your-webhooks/. Sure about the
format; Typeform publishes no vectors.
"""

from typing import Final

from ringback.sign.hmac_scheme import hmac_scheme
from ringback.sign.layout import Plain
from ringback.sign.scheme import Field
from ringback.sign.secret_text import SecretText

SCHEME: Final = hmac_scheme(
    "typeform",
    "Typeform",
    documentation="https://www.typeform.com/developers/webhooks/secure-your-webhooks/",
    confidence="B",
    layout=Plain("Typeform-Signature", prefix="sha256="),
    encoding="base64",
    secret=SecretText("the webhook's secret", not_these=("tfp_",)),
    id=(Field("event_id"),),
    type=(Field("event_type"),),
    caution="no time is signed",
)
