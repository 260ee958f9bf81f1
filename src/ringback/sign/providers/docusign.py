"""DocuSign Connect: `X-DocuSign-Signature-1: <base64>`, and `-2`, `-3` … for further keys.

    HMAC-SHA256 over the body alone, base64
    key    the UTF-8 bytes of a Connect HMAC key; each key of the account has its own header

Any of the headers may be the one that fits. Dedupe by event, envelope, time and the recipient if
it is about one, as the body of a retry has another `retryCount`; a body without them (XML) by its
digest.

Documentation: https://developers.docusign.com/platform/webhooks/connect/hmac/. Sure about the
format; DocuSign publishes no vectors.
"""

from typing import Final

from ringback.sign.hmac_scheme import hmac_scheme
from ringback.sign.layout import Plain
from ringback.sign.scheme import SIGNATURES_MAX, Field, Joined
from ringback.sign.secret_text import SecretText

ID: Final = (Field("event"), Field("data.envelopeId"), Field("generatedDateTime"))

SCHEME: Final = hmac_scheme(
    "docusign",
    "DocuSign Connect",
    documentation="https://developers.docusign.com/platform/webhooks/connect/hmac/",
    confidence="B",
    layout=Plain(
        "X-DocuSign-Signature-1",
        more=tuple(f"X-DocuSign-Signature-{number}" for number in range(2, SIGNATURES_MAX + 1)),
    ),
    encoding="base64",
    secret=SecretText("an HMAC key of the account (Connect → Connect keys)"),
    id=(Joined((Field("data.recipientId"), *ID)), Joined(ID)),
    type=(Field("event"),),
    caution="no age is checked, as a retry may come days later",
)
