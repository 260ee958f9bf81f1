"""Sentry, integration webhooks: `Sentry-Hook-Signature: <hex>`.

    HMAC-SHA256 over the body alone, lower-case hex
    key    the UTF-8 bytes of the integration's client secret

Dedupe by `Request-ID`. Neither it nor `Sentry-Hook-Timestamp` is signed, so the time is not looked
at. The type is that of the resource, like `issue`; what happened to it is `action`.

Documentation: https://docs.sentry.io/organization/integrations/integration-platform/webhooks/. Sure
about the format; Sentry publishes no vectors.
"""

from typing import Final

from ringback.sign.hmac_scheme import hmac_scheme
from ringback.sign.layout import Plain
from ringback.sign.scheme import Header
from ringback.sign.secret_text import SecretText

SCHEME: Final = hmac_scheme(
    "sentry",
    "Sentry",
    documentation=(
        "https://docs.sentry.io/organization/integrations/integration-platform/webhooks/"
    ),
    confidence="B",
    layout=Plain("Sentry-Hook-Signature"),
    secret=SecretText("the integration's client secret", not_these=("sntrys_", "sntryu_")),
    id=(Header("request-id"),),
    type=(Header("sentry-hook-resource"),),
    caution="neither the id, the type nor the time is signed",
)
