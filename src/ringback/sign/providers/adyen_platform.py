"""Adyen, platforms and management: `HmacSignature: <base64>`.

    HMAC-SHA256 over the body alone, base64 with padding
    key    the bytes behind the hexadecimal HMAC key

No id is documented for these webhooks, so the digest of the body serves.

Documentation: https://docs.adyen.com/development-resources/webhooks/secure-webhooks/verify-hmac-signatures/.
Sure: the vector of the official library's tests is in the test suite.
"""

from typing import Final

from ringback.sign.hmac_scheme import hmac_scheme
from ringback.sign.layout import Plain
from ringback.sign.providers.adyen import ACCEPTED, SECRET
from ringback.sign.scheme import Field

SCHEME: Final = hmac_scheme(
    "adyen_platform",
    "Adyen (platforms, management)",
    documentation=(
        "https://docs.adyen.com/development-resources/webhooks/secure-webhooks/"
        "verify-hmac-signatures/"
    ),
    confidence="A",
    layout=Plain("HmacSignature"),
    encoding="base64",
    secret=SECRET,
    type=(Field("type"),),
    vectors="vendor",
    caution="no time is signed",
    accepted=ACCEPTED,
)
