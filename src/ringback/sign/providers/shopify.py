"""Shopify: `X-Shopify-Hmac-Sha256: <base64>`.

    HMAC-SHA256 over the body alone, base64 with padding
    key    the UTF-8 bytes of the app's client secret, or of the shop's own signing secret

Dedupe by `X-Shopify-Webhook-Id`; `X-Shopify-Event-Id` groups the webhooks of one action. Neither is
signed, nor is `X-Shopify-Triggered-At`, which is therefore not looked at.

Documentation: https://shopify.dev/docs/apps/build/webhooks/subscribe/https. Sure about the
format; Shopify publishes no vectors.
"""

from typing import Final

from ringback.sign.hmac_scheme import hmac_scheme
from ringback.sign.layout import Plain
from ringback.sign.scheme import Header
from ringback.sign.secret_text import SecretText

SCHEME: Final = hmac_scheme(
    "shopify",
    "Shopify",
    documentation="https://shopify.dev/docs/apps/build/webhooks/subscribe/https",
    confidence="B",
    layout=Plain("X-Shopify-Hmac-Sha256"),
    encoding="base64",
    secret=SecretText(
        "the app's client secret, or the signing secret below the shop's list of webhooks",
        not_these=("shpat_", "shpca_", "shppa_"),
    ),
    id=(Header("x-shopify-webhook-id"),),
    type=(Header("x-shopify-topic"),),
    caution="neither the id nor the time is signed",
)
