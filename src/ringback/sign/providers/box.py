"""Box, V2 webhooks: `BOX-SIGNATURE-PRIMARY: <base64>` and `BOX-SIGNATURE-SECONDARY`.

    HMAC-SHA256 over {body}{timestamp}, base64; the timestamp is RFC 3339 in a header of its own
    key    the UTF-8 bytes of a signature key; the application has two, so that they can be rotated

Either header may be the one that fits. The window is Box's own, ten minutes.

Documentation: https://developer.box.com/guides/webhooks/v2/signatures-v2/. Sure: the vector of the
official SDKs' tests is in the test suite.
"""

from typing import Final

from ringback.sign.hmac_scheme import Timestamp, hmac_scheme
from ringback.sign.layout import Plain
from ringback.sign.scheme import Field
from ringback.sign.secret_text import SecretText

SCHEME: Final = hmac_scheme(
    "box",
    "Box",
    documentation="https://developer.box.com/guides/webhooks/v2/signatures-v2/",
    confidence="A",
    layout=Plain("BOX-SIGNATURE-PRIMARY", more=("BOX-SIGNATURE-SECONDARY",)),
    content="{body}{timestamp}",
    encoding="base64",
    timestamp=Timestamp(header="box-delivery-timestamp", form="rfc3339", tolerance_s=600),
    secret=SecretText("the application's primary or secondary signature key (Webhooks)"),
    id=(Field("id"),),
    type=(Field("trigger"),),
    vectors="vendor",
)
