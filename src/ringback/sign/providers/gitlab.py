"""GitLab 19 and later, with a signing token: Standard Webhooks.

A webhook with the older secret token is another provider, `gitlab_token`: it proves less, and a
request must not choose how it is verified.

Documentation: https://docs.gitlab.com/user/project/integrations/webhooks/. Sure about the scheme,
which is the standard's; GitLab publishes no vectors.
"""

from typing import Final

from ringback.sign.scheme import Field
from ringback.sign.standard_scheme import standard_scheme

SCHEME: Final = standard_scheme(
    "gitlab",
    "GitLab (signing token)",
    documentation="https://docs.gitlab.com/user/project/integrations/webhooks/",
    confidence="A",
    secret="the webhook's signing token, whsec_… (for a secret token: gitlab_token)",  # noqa: S106
    type=(Field("event_name"), Field("object_kind")),
)
