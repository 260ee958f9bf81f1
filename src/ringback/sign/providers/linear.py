"""Linear: `Linear-Signature: <hex>`.

    HMAC-SHA256 over the body alone, lower-case hex
    key    the UTF-8 bytes of the webhook's signing secret

The time is in the body, `webhookTimestamp` in milliseconds; Linear asks for a window of a minute.
Dedupe by `Linear-Delivery`, which is not signed. The type is that of the entity, like `Issue`; what
happened to it is `action`.

Documentation: https://linear.app/developers/webhooks. Sure about the format; Linear publishes no
vectors.
"""

from typing import Final

from ringback.sign.hmac_scheme import Timestamp, hmac_scheme
from ringback.sign.layout import Plain
from ringback.sign.payload import as_json
from ringback.sign.scheme import Draft, Field, Header
from ringback.sign.secret_text import SecretText


def envelope(draft: Draft, payload: object) -> bytes:
    inner = payload if isinstance(payload, dict) else {}
    return as_json({**inner, "type": draft.type, "webhookTimestamp": draft.timestamp_s * 1000})


SCHEME: Final = hmac_scheme(
    "linear",
    "Linear",
    documentation="https://linear.app/developers/webhooks",
    confidence="A",
    layout=Plain("Linear-Signature"),
    timestamp=Timestamp(field="webhookTimestamp", form="ms", tolerance_s=60),
    secret=SecretText(
        "the webhook's signing secret (Settings → API → Webhooks)",
        not_these=("lin_api_", "lin_oauth_"),
    ),
    id=(Header("linear-delivery"),),
    type=(Field("type"),),
    caution="the id is not signed",
    envelope=envelope,
)
