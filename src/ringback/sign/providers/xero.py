"""Xero: `x-xero-signature: <base64>`.

    HMAC-SHA256 over the body alone, base64
    key    the UTF-8 bytes of the webhook key, which looks like base64 and is not decoded

A request carries several events; each is deduped by tenant, resource, kind and time. An event's
type is its category and what happened, as in `INVOICE.UPDATE`.

Handshake ("intent to receive"): several requests without events, some with wrong signatures. Where
good ones get 200 without a body or cookies and bad ones 401, as all do here, it is passed.

Documentation: https://developer.xero.com/documentation/guides/webhooks/overview/. Sure about the
format; Xero publishes no vectors.
"""

from typing import Final

from ringback.sign.event import each
from ringback.sign.hmac_scheme import hmac_scheme
from ringback.sign.layout import Plain
from ringback.sign.payload import as_json
from ringback.sign.scheme import Draft, Field, Joined
from ringback.sign.secret_text import SecretText

_ID: Final = ("tenantId", "resourceId", "eventCategory", "eventType", "eventDateUtc")
_TYPE: Final = ("eventCategory", "eventType")


def envelope(draft: Draft, payload: object) -> bytes:
    category, _, kind = draft.type.partition(".")
    event = {"resourceId": draft.id, "eventCategory": category, "eventType": kind, "test": payload}
    return as_json({"events": [event], "firstEventSequence": 1, "lastEventSequence": 1})


SCHEME: Final = hmac_scheme(
    "xero",
    "Xero",
    documentation="https://developer.xero.com/documentation/guides/webhooks/overview/",
    confidence="B",
    layout=Plain("x-xero-signature"),
    encoding="base64",
    secret=SecretText("the app's webhooks key (Webhooks)"),
    parts=each(
        "events",
        id=(Joined(tuple(map(Field, _ID))),),
        type=(Joined(tuple(map(Field, _TYPE)), separator="."),),
    ),
    caution="no age is checked",
    envelope=envelope,
)
