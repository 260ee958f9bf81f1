"""Bitbucket Cloud and Data Center: `X-Hub-Signature: sha256=<hex>` (WebSub).

    sha256    HMAC-SHA256 over the body alone, lower-case hex
    key       the UTF-8 bytes of the webhook's secret

The header names its method, which is never believed: only SHA-256 is accepted. Dedupe by
`X-Request-UUID`, which is not signed.

Documentation: https://support.atlassian.com/bitbucket-cloud/docs/manage-webhooks/ ("Secure
webhooks"). Sure: the page's own values are in the test suite.
"""

from typing import Final

from ringback.sign.hmac_scheme import hmac_scheme
from ringback.sign.layout import Plain
from ringback.sign.scheme import Header
from ringback.sign.secret_text import SecretText

SCHEME: Final = hmac_scheme(
    "bitbucket",
    "Bitbucket",
    documentation="https://support.atlassian.com/bitbucket-cloud/docs/manage-webhooks/",
    confidence="A",
    layout=Plain("X-Hub-Signature", prefix="sha256="),
    secret=SecretText("the webhook's secret (Repository settings → Webhooks)"),
    vectors="vendor",
    id=(Header("x-request-uuid"),),
    type=(Header("x-event-key"),),
    caution="neither the id nor the time is signed",
)
