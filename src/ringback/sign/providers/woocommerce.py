"""WooCommerce: `X-WC-Webhook-Signature: <base64>`.

    HMAC-SHA256 over the body alone, base64
    key    the UTF-8 bytes of the webhook's secret

`X-WC-Webhook-Delivery-ID` is a hash of the webhook and the second, so that two orders of one second
share it: dedupe by it and the body's digest together. Like the topic it is not signed.

Handshake: on saving the webhook, an unsigned form with nothing but `webhook_id`, which wants a 200.

Documentation: https://woocommerce.com/document/webhooks/. Sure about the format, which is that of
its source; there are no published vectors.
"""

import re
from typing import Final

from ringback.sign.hmac_scheme import hmac_scheme
from ringback.sign.layout import Plain
from ringback.sign.request import Request
from ringback.sign.scheme import Header, HeaderAndBody, Reply, Terms
from ringback.sign.secret_text import SecretText

PING: Final = re.compile(rb"webhook_id=[0-9]{1,20}")


def respond(request: Request, terms: Terms) -> Reply | None:
    return Reply() if PING.fullmatch(request.body) else None


SCHEME: Final = hmac_scheme(
    "woocommerce",
    "WooCommerce",
    documentation="https://woocommerce.com/document/webhooks/",
    confidence="A",
    layout=Plain("X-WC-Webhook-Signature"),
    encoding="base64",
    secret=SecretText("the webhook's secret (Settings → Advanced → Webhooks)"),
    id=(HeaderAndBody("x-wc-webhook-delivery-id"),),
    type=(Header("x-wc-webhook-topic"),),
    respond=respond,
    caution="neither the id, the type nor the time is signed",
)
