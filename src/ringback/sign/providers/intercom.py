"""Intercom: `X-Hub-Signature: sha1=<hex>`.

    sha1    HMAC-SHA1 over the body alone, lower-case hex
    key     the UTF-8 bytes of the app's client secret

HMAC is not broken by the collisions of SHA-1. A `ping` is signed like everything else.

Handshake: on saving the URL, a HEAD request that wants any 2xx.

Documentation: https://developers.intercom.com/docs/webhooks/setting-up-webhooks. Sure about the
format; Intercom publishes no vectors.
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
    "intercom",
    "Intercom",
    documentation="https://developers.intercom.com/docs/webhooks/setting-up-webhooks",
    confidence="B",
    layout=Plain("X-Hub-Signature", prefix="sha1="),
    algorithm="sha1",
    secret=SecretText("the app's client secret (Basic information)"),
    id=(Field("id"),),
    type=(Field("topic"),),
    respond=respond,
    caution="no time is signed",
)
