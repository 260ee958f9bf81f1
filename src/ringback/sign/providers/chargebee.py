"""Chargebee: HTTP Basic, with the user name and the password of the webhook.

There is no signature. Dedupe by the event's `id`.

Documentation: https://www.chargebee.com/docs/2.0/webhook_settings.html. Sure that there is no
signature.
"""

from typing import Final

from ringback.sign.scheme import Field
from ringback.sign.secret_text import SecretText
from ringback.sign.token import token_scheme

SCHEME: Final = token_scheme(
    "chargebee",
    "Chargebee",
    documentation="https://www.chargebee.com/docs/2.0/webhook_settings.html",
    confidence="B",
    header="Authorization",
    is_basic=True,
    secret=SecretText("the webhook's Basic credentials as user:password"),
    id=(Field("id"),),
    type=(Field("event_type"),),
)
