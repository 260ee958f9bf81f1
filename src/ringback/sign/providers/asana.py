"""Asana: `X-Hook-Signature: <hex>`.

    HMAC-SHA256 over the body alone, lower-case hex
    key    the UTF-8 bytes of the secret that Asana sent in `X-Hook-Secret`

A request carries several events, or none (a heartbeat). An event has no id: user, resource, action
and time together are taken for one, by the digest of the event.

Handshake: on making the webhook, a request with `X-Hook-Secret`, to be echoed in the same header.
It is the secret from then on: keep it while you make a webhook, and never take one at another time,
as nothing proves where it is from.

Documentation: https://developers.asana.com/docs/webhooks-guide. Sure about the format; Asana
publishes no vectors.
"""

from typing import Final

from ringback.sign.challenge import checked
from ringback.sign.event import each
from ringback.sign.hmac_scheme import hmac_scheme
from ringback.sign.layout import Plain
from ringback.sign.payload import as_json
from ringback.sign.request import Request
from ringback.sign.scheme import Draft, Field, Reply, Terms
from ringback.sign.secret_text import SecretText

HANDSHAKE: Final = "x-hook-secret"


def respond(request: Request, terms: Terms) -> Reply | None:
    if not request.has(HANDSHAKE):
        return None
    secret = checked(request.visible(HANDSHAKE))
    return Reply(200, (("X-Hook-Secret", secret),), secret=secret)


def envelope(draft: Draft, payload: object) -> bytes:
    return as_json({"events": [{"action": draft.type, "resource": payload}]})


SCHEME: Final = hmac_scheme(
    "asana",
    "Asana",
    documentation="https://developers.asana.com/docs/webhooks-guide",
    confidence="B",
    layout=Plain("X-Hook-Signature"),
    secret=SecretText("the `X-Hook-Secret` that Asana sent when the webhook was made"),
    parts=each("events", type=(Field("action"),)),
    respond=respond,
    gives_secret=True,
    caution="no age is checked",
    envelope=envelope,
)
