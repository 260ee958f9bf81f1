"""WorkOS: `WorkOS-Signature: t=<milliseconds>, v1=<hex>`, with a space behind the comma.

    v1    HMAC-SHA256 over {t}.{body}, lower-case hex
    key   the UTF-8 bytes of the endpoint's secret

The window is that of WorkOS's own SDKs, three minutes.

Documentation: https://workos.com/docs/events/data-syncing/webhooks. Sure: the official SDK accepts
what is made here, in the test suite.
"""

from typing import Final

from ringback.sign.hmac_scheme import Timestamp, hmac_scheme
from ringback.sign.layout import Pairs
from ringback.sign.scheme import Field
from ringback.sign.secret_text import SecretText

SCHEME: Final = hmac_scheme(
    "workos",
    "WorkOS",
    documentation="https://workos.com/docs/events/data-syncing/webhooks",
    confidence="A",
    layout=Pairs("WorkOS-Signature", "v1", timestamp="t", separator=", "),
    content="{timestamp}.{body}",
    timestamp=Timestamp(form="ms", tolerance_s=180),
    secret=SecretText("the webhook endpoint's secret (Developers → Webhooks)", not_these=("sk_",)),
    vectors="vendor",
    id=(Field("id"),),
    type=(Field("event"),),
)
