"""Klaviyo, system webhooks: `Klaviyo-Signature: <hex>`.

    HMAC-SHA256 over {body}{timestamp}, lower-case hex; the timestamp is an HTTP date in a header
    key    the UTF-8 bytes of the webhook's secret key

A request carries several events, each with its `external_id` and its `topic`; `Klaviyo-Webhook-Id`
names the webhook and not the event. Webhooks of flows are not signed.
The timestamp is that of the request, so each retry has its own, and five minutes of a window do.

Documentation: https://developers.klaviyo.com/en/docs/system-webhooks. Sure about the format; there
are no published vectors.
"""

from typing import Final

from ringback.sign.event import each
from ringback.sign.hmac_scheme import Timestamp, hmac_scheme
from ringback.sign.layout import Plain
from ringback.sign.payload import as_json
from ringback.sign.scheme import Draft, Field
from ringback.sign.secret_text import SecretText


def envelope(draft: Draft, payload: object) -> bytes:
    return as_json({"data": [{"external_id": draft.id, "payload": payload, "topic": draft.type}]})


SCHEME: Final = hmac_scheme(
    "klaviyo",
    "Klaviyo",
    documentation="https://developers.klaviyo.com/en/docs/system-webhooks",
    confidence="B",
    layout=Plain("Klaviyo-Signature"),
    content="{body}{timestamp}",
    timestamp=Timestamp(header="klaviyo-timestamp", form="http-date"),
    secret=SecretText("the webhook's secret key", not_these=("pk_",)),
    parts=each("data", id=(Field("external_id"),), type=(Field("topic"),)),
    envelope=envelope,
)
