"""Twitch EventSub: `Twitch-Eventsub-Message-Signature: sha256=<hex>`.

    HMAC-SHA256 over {message id}{timestamp}{body}, lower-case hex; both have headers of their own
    key    the UTF-8 bytes of the secret that was given when the subscription was made

The window is Twitch's own, ten minutes. Dedupe by `Twitch-Eventsub-Message-Id`, which is signed. A
revocation is signed too, and has a `subscription.status` other than `enabled`.

Handshake: on subscribing, a signed message whose `challenge` is echoed as text.

Documentation: https://dev.twitch.tv/docs/eventsub/handling-webhook-events. Sure about the format;
Twitch publishes no vectors.
"""

from typing import Final

from ringback.sign.challenge import echo
from ringback.sign.hmac_scheme import Timestamp, hmac_scheme
from ringback.sign.layout import Plain
from ringback.sign.payload import payload_of
from ringback.sign.request import Request
from ringback.sign.scheme import Field, Header, Reply, Terms
from ringback.sign.secret_text import SecretText

HANDSHAKE: Final = b'"challenge"'


def respond(request: Request, terms: Terms) -> Reply | None:
    """What decides is the body, as the header that names the kind of message is not signed."""
    if HANDSHAKE not in request.body:
        return None
    SCHEME.check(request, terms)
    payload = payload_of(request.body)
    if not isinstance(payload, dict) or "challenge" not in payload:
        return None
    return echo(payload["challenge"])


SCHEME: Final = hmac_scheme(
    "twitch",
    "Twitch",
    documentation="https://dev.twitch.tv/docs/eventsub/handling-webhook-events",
    confidence="B",
    layout=Plain("Twitch-Eventsub-Message-Signature", prefix="sha256="),
    content="{header:twitch-eventsub-message-id}{timestamp}{body}",
    timestamp=Timestamp(
        header="twitch-eventsub-message-timestamp", form="rfc3339", tolerance_s=600
    ),
    secret=SecretText("the subscription's `transport.secret`"),
    id=(Header("twitch-eventsub-message-id"),),
    type=(Field("subscription.type"),),
    respond=respond,
)
