"""Slack (Events API, commands, interactions): `X-Slack-Signature: v0=<hex>`.

    v0     HMAC-SHA256 over v0:{timestamp}:{body}, lower-case hex
    key    the UTF-8 bytes of the app's signing secret

Events are JSON; commands are forms, and interactions are a form with JSON in `payload`. The window
is Slack's own, five minutes.

Handshake: on saving the URL, a signed `url_verification` whose `challenge` is echoed as text.

Documentation: https://docs.slack.dev/authentication/verifying-requests-from-slack. Sure: the page's
own values are in the test suite.
"""

from typing import Final

from ringback.sign.challenge import echo
from ringback.sign.hmac_scheme import Timestamp, hmac_scheme
from ringback.sign.layout import Plain
from ringback.sign.payload import payload_of
from ringback.sign.request import Request
from ringback.sign.scheme import Field, Reply, Terms
from ringback.sign.secret_text import SecretText

HANDSHAKE: Final = b'"url_verification"'


def respond(request: Request, terms: Terms) -> Reply | None:
    if HANDSHAKE not in request.body:
        return None
    SCHEME.check(request, terms)
    payload = payload_of(request.body, may_be_form=True)
    if not isinstance(payload, dict) or payload.get("type") != "url_verification":
        return None
    return echo(payload.get("challenge"))


SCHEME: Final = hmac_scheme(
    "slack",
    "Slack",
    documentation="https://docs.slack.dev/authentication/verifying-requests-from-slack",
    confidence="A",
    layout=Plain("X-Slack-Signature", prefix="v0="),
    content="v0:{timestamp}:{body}",
    timestamp=Timestamp(header="x-slack-request-timestamp"),
    secret=SecretText(
        "the app's signing secret (Basic Information)", not_these=("xoxb-", "xoxp-", "xapp-")
    ),
    id=(Field("event_id"),),
    type=(Field("event.type"), Field("type"), Field("command")),
    respond=respond,
    may_be_form=True,
    vectors="vendor",
)
