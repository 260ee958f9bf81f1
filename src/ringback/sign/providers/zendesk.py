"""Zendesk: `X-Zendesk-Webhook-Signature: <base64>`.

    HMAC-SHA256 over {timestamp}{body}, base64; the timestamp is RFC 3339 in a header of its own
    key    the UTF-8 bytes of the signing secret, which looks like base64 and is not decoded

Dedupe by `X-Zendesk-Webhook-Invocation-Id`, which is not signed; the body's `id` is what the author
of a trigger put there. Test requests from the editor are signed with a secret that everybody knows
(it is in the documentation): never give it to a receiver that matters. The window is that of the
retries, five at most and each within a minute and a half: nothing says that each is signed anew.

Documentation: https://developer.zendesk.com/documentation/webhooks/verifying/. Sure: a signature
with the page's own secret is in the test suite.
"""

from typing import Final

from ringback.sign.hmac_scheme import Timestamp, hmac_scheme
from ringback.sign.layout import Plain
from ringback.sign.scheme import Field, Header
from ringback.sign.secret_text import SecretText

SCHEME: Final = hmac_scheme(
    "zendesk",
    "Zendesk",
    documentation="https://developer.zendesk.com/documentation/webhooks/verifying/",
    confidence="A",
    layout=Plain("X-Zendesk-Webhook-Signature"),
    content="{timestamp}{body}",
    encoding="base64",
    timestamp=Timestamp(
        header="x-zendesk-webhook-signature-timestamp", form="rfc3339", tolerance_s=900
    ),
    secret=SecretText("the webhook's signing secret (Webhooks → Reveal secret)"),
    id=(Header("x-zendesk-webhook-invocation-id"),),
    type=(Field("type"),),
    caution="the id is not signed",
)
