"""Notion: `X-Notion-Signature: sha256=<hex>`.

    sha256    HMAC-SHA256 over the body alone, lower-case hex
    key       the UTF-8 bytes of the subscription's verification token

Handshake: once, an unsigned body with nothing but `verification_token`, which must be copied into
Notion's page and is the secret from then on. It is taken with 200 and proves nothing.

Documentation: https://developers.notion.com/reference/webhooks. Sure about the format; Notion
publishes no vectors.
"""

from typing import Final

from ringback.sign.challenge import checked
from ringback.sign.hmac_scheme import hmac_scheme
from ringback.sign.layout import Plain
from ringback.sign.payload import payload_of
from ringback.sign.request import Request
from ringback.sign.scheme import Field, Reply, Terms
from ringback.sign.secret_text import SecretText

HANDSHAKE: Final = "verification_token"
HANDSHAKE_BYTES_MAX: Final = 1_024


def respond(request: Request, terms: Terms) -> Reply | None:
    if len(request.body) > HANDSHAKE_BYTES_MAX or HANDSHAKE.encode() not in request.body:
        return None
    payload = payload_of(request.body)
    if not isinstance(payload, dict) or set(payload) != {HANDSHAKE}:
        return None
    return Reply(secret=checked(payload[HANDSHAKE]))


SCHEME: Final = hmac_scheme(
    "notion",
    "Notion",
    documentation="https://developers.notion.com/reference/webhooks",
    confidence="B",
    layout=Plain("X-Notion-Signature", prefix="sha256="),
    secret=SecretText("the `verification_token` that Notion sent to this URL", not_these=("ntn_",)),
    id=(Field("id"),),
    type=(Field("type"),),
    respond=respond,
    gives_secret=True,
    caution="no time is signed",
)
