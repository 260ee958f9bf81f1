"""Smartsheet: `Smartsheet-Hmac-SHA256: <hex>`.

    HMAC-SHA256 over the body alone, lower-case hex
    key    the UTF-8 bytes of the webhook's `sharedSecret`

A callback carries several events of one sheet and is deduped by its `nonce`. It says which rows and
cells changed, and not how.

Handshake: on enabling the webhook and now and then, `Smartsheet-Hook-Challenge`, unsigned, to be
echoed.

Documentation: https://developers.smartsheet.com/api/smartsheet/guides/webhooks. Sure about the
format; Smartsheet publishes no vectors.
"""

from typing import Final

from ringback.sign.challenge import checked, json_reply
from ringback.sign.hmac_scheme import hmac_scheme
from ringback.sign.layout import Plain
from ringback.sign.request import Request
from ringback.sign.scheme import Field, Reply, Terms
from ringback.sign.secret_text import SecretText

CHALLENGE: Final = "smartsheet-hook-challenge"


def respond(request: Request, terms: Terms) -> Reply | None:
    if not request.has(CHALLENGE):
        return None
    return json_reply({"smartsheetHookResponse": checked(request.header(CHALLENGE))})


SCHEME: Final = hmac_scheme(
    "smartsheet",
    "Smartsheet",
    documentation="https://developers.smartsheet.com/api/smartsheet/guides/webhooks",
    confidence="B",
    layout=Plain("Smartsheet-Hmac-SHA256"),
    secret=SecretText("the webhook's `sharedSecret`, as the API answers it"),
    id=(Field("nonce"),),
    type=(Field("scope"),),
    respond=respond,
    caution="no age is checked",
)
