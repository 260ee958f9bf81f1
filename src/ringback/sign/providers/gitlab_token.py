"""GitLab, with a secret token: `X-Gitlab-Token`, sent as it is.

Dedupe by `Idempotency-Key`, which stays the same over retries; older servers send
`X-Gitlab-Event-UUID` only, which an event shares with those that it set off, so the body's digest
stands beside it. Neither is proven by anything but the token.

Documentation: https://docs.gitlab.com/user/project/integrations/webhooks/. Sure.
"""

from typing import Final

from ringback.sign.scheme import Header, HeaderAndBody
from ringback.sign.secret_text import SecretText
from ringback.sign.token import token_scheme

SCHEME: Final = token_scheme(
    "gitlab_token",
    "GitLab (secret token)",
    documentation="https://docs.gitlab.com/user/project/integrations/webhooks/",
    confidence="A",
    header="X-Gitlab-Token",
    secret=SecretText(
        "the webhook's secret token (for a signing token, whsec_…: gitlab)",
        not_these=("glpat-", "whsec_"),
    ),
    id=(Header("idempotency-key"), HeaderAndBody("x-gitlab-event-uuid")),
    type=(Header("x-gitlab-event"),),
)
