"""Vercel: `x-vercel-signature: <hex>`.

    HMAC-SHA1 over the body alone, lower-case hex
    key    the UTF-8 bytes of the webhook's secret, or of the integration's client secret

HMAC is not broken by the collisions of SHA-1.

Documentation: https://vercel.com/docs/headers/request-headers#x-vercel-signature. Sure about the
format; Vercel publishes no vectors.
"""

from typing import Final

from ringback.sign.hmac_scheme import hmac_scheme
from ringback.sign.layout import Plain
from ringback.sign.scheme import Field
from ringback.sign.secret_text import SecretText

SCHEME: Final = hmac_scheme(
    "vercel",
    "Vercel",
    documentation="https://vercel.com/docs/headers/request-headers#x-vercel-signature",
    confidence="B",
    layout=Plain("x-vercel-signature"),
    algorithm="sha1",
    secret=SecretText("the webhook's secret, or the integration's client secret"),
    id=(Field("id"),),
    type=(Field("type"),),
    caution="no time is signed",
)
