"""Trello: `X-Trello-Webhook: <base64>`.

    HMAC-SHA1 over {body}{callback URL}, base64
    key    the UTF-8 bytes of the application's secret

HMAC is not broken by the collisions of SHA-1. Dedupe by `action.id`.

Handshake: on making the webhook, a HEAD request that wants a 200.

Documentation: https://developer.atlassian.com/cloud/trello/guides/rest-api/webhooks/. From
general knowledge of the page; there are no published vectors.
"""

from typing import Final

from ringback.sign.hmac_scheme import hmac_scheme
from ringback.sign.layout import Plain
from ringback.sign.request import Request
from ringback.sign.scheme import Field, Reply, Terms
from ringback.sign.secret_text import SecretText


def respond(request: Request, terms: Terms) -> Reply | None:
    return Reply() if request.method == "HEAD" else None


SCHEME: Final = hmac_scheme(
    "trello",
    "Trello",
    documentation="https://developer.atlassian.com/cloud/trello/guides/rest-api/webhooks/",
    confidence="C",
    layout=Plain("X-Trello-Webhook"),
    content="{body}{url}",
    algorithm="sha1",
    encoding="base64",
    secret=SecretText("the application's secret, beside its API key", not_these=("ATTA",)),
    id=(Field("action.id"),),
    type=(Field("action.type"),),
    respond=respond,
    caution="no time is signed",
)
