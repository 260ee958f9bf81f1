"""Dropbox: `X-Dropbox-Signature: <hex>`.

    HMAC-SHA256 over the body alone, lower-case hex
    key    the UTF-8 bytes of the app secret

A notification only says for which accounts something changed; ask Dropbox what. It has no id and no
time, so that two notifications are often the same bytes: they are not deduped.

Handshake: on saving the URL, a GET with `challenge`, to be echoed as text.

Documentation: https://www.dropbox.com/developers/reference/webhooks. Sure about the format; Dropbox
publishes no vectors.
"""

from typing import Final

from ringback.sign.challenge import echo, query_of
from ringback.sign.hmac_scheme import hmac_scheme
from ringback.sign.layout import Plain
from ringback.sign.request import Request
from ringback.sign.scheme import Reply, Terms
from ringback.sign.secret_text import SecretText


def respond(request: Request, terms: Terms) -> Reply | None:
    query = query_of(request) if request.method == "GET" else {}
    return echo(query["challenge"]) if "challenge" in query else None


SCHEME: Final = hmac_scheme(
    "dropbox",
    "Dropbox",
    documentation="https://www.dropbox.com/developers/reference/webhooks",
    confidence="B",
    layout=Plain("X-Dropbox-Signature"),
    secret=SecretText("the app secret (App Console)", not_these=("sl.",)),
    respond=respond,
    bodies_repeat=True,
    caution="neither an id nor the time is signed, and two notifications may be the same bytes",
)
