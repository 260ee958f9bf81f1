"""Postmark: HTTP Basic, with the user name and the password of the webhook.

There is no signature. A bounce or a complaint has an `ID`; an opening or a click has none, so the
digest of its body serves.

Documentation: https://postmarkapp.com/developer/webhooks/webhooks-overview. From general
knowledge of the page.
"""

from typing import Final

from ringback.sign.scheme import Field, Joined
from ringback.sign.secret_text import SecretText
from ringback.sign.token import token_scheme

SCHEME: Final = token_scheme(
    "postmark",
    "Postmark",
    documentation="https://postmarkapp.com/developer/webhooks/webhooks-overview",
    confidence="C",
    header="Authorization",
    is_basic=True,
    secret=SecretText("the webhook's Basic credentials as user:password"),
    id=(Joined((Field("RecordType"), Field("ID"))),),
    type=(Field("RecordType"),),
)
