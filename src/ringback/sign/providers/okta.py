"""Okta event hooks: `Authorization`, the value that was set for the hook, sent as it is.

A request carries several events, each deduped by its `uuid`.

Handshake: once, a GET with `X-Okta-Verification-Challenge`, to be echoed as JSON.

Documentation: https://developer.okta.com/docs/concepts/event-hooks/. Sure that there is no
signature.
"""

from typing import Final

from ringback.sign.challenge import checked, json_reply
from ringback.sign.event import each
from ringback.sign.payload import as_json
from ringback.sign.request import Request
from ringback.sign.scheme import Draft, Field, Reply, Terms
from ringback.sign.secret_text import SecretText
from ringback.sign.token import token_scheme

CHALLENGE: Final = "x-okta-verification-challenge"


def respond(request: Request, terms: Terms) -> Reply | None:
    if request.method != "GET" or not request.has(CHALLENGE):
        return None
    return json_reply({"verification": checked(request.header(CHALLENGE))})


def envelope(draft: Draft, payload: object) -> bytes:
    event = {"uuid": draft.id, "eventType": draft.type, "test": payload}
    return as_json({"eventType": "com.okta.event_hook", "data": {"events": [event]}})


SCHEME: Final = token_scheme(
    "okta",
    "Okta",
    documentation="https://developer.okta.com/docs/concepts/event-hooks/",
    confidence="A",
    header="Authorization",
    secret=SecretText("the value of the hook's authentication field Authorization"),
    parts=each("data.events", id=(Field("uuid"),), type=(Field("eventType"),)),
    respond=respond,
    envelope=envelope,
)
