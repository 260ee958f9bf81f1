"""Jira Cloud, webhooks that an administrator made: `X-Hub-Signature: sha256=<hex>` (WebSub).

    sha256    HMAC-SHA256 over the body alone, lower-case hex
    key       the UTF-8 bytes of the webhook's secret

The header names its method, which is never believed: only SHA-256 is accepted. Dedupe by
`X-Atlassian-Webhook-Identifier`, which stays the same over retries and is not signed. Webhooks of
OAuth and Connect apps carry a JWT instead, whose terms are not documented: they are refused.

Documentation: https://developer.atlassian.com/cloud/jira/platform/webhooks/ ("Secure admin
webhooks"). Sure about the format, which is Bitbucket's; there is no vector of Jira's own.
"""

from typing import Final

from ringback.sign.hmac_scheme import hmac_scheme
from ringback.sign.layout import Plain
from ringback.sign.scheme import Field, Header
from ringback.sign.secret_text import SecretText

SCHEME: Final = hmac_scheme(
    "jira",
    "Jira Cloud",
    documentation="https://developer.atlassian.com/cloud/jira/platform/webhooks/",
    confidence="B",
    layout=Plain("X-Hub-Signature", prefix="sha256="),
    secret=SecretText("the webhook's secret (System → WebHooks)", not_these=("ATATT",)),
    id=(Header("x-atlassian-webhook-identifier"),),
    type=(Field("webhookEvent"),),
    caution="neither the id nor the time is signed",
)
