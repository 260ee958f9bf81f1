"""Mailgun: a stamp in the body, `{"signature": {"timestamp", "token", "signature"}, …}`.

    HMAC-SHA256 over {timestamp}{token}, lower-case hex
    key    the UTF-8 bytes of the domain's HTTP webhook signing key

The event itself is not signed: a stamp only proves that Mailgun made it at that time. So whoever
sees one can put any event behind it, and the token, which is random and signed, is the id by which
a receiver dedupes, however the event calls itself. Both parts of the stamp have a fixed length, or
it could be divided in another way. A form with the same three fields (routes) is read too.

The window is a day, as Mailgun tries again for hours.

Documentation:
https://documentation.mailgun.com/docs/mailgun/user-manual/webhooks/securing-webhooks. Sure
about the format; Mailgun publishes no vectors.
"""

import re
from hashlib import sha256
from hmac import compare_digest
from typing import Any, Final

from ringback.errors import Malformed, Mismatch, Missing
from ringback.sign.hmac_scheme import beside
from ringback.sign.instant import check_fresh
from ringback.sign.payload import as_json, json_of, payload_of
from ringback.sign.request import Request
from ringback.sign.scheme import Draft, Field, Proof, Scheme, Signed, Terms
from ringback.sign.secret_text import SecretText, key_reader

TOLERANCE_S: Final = 86_400
SECRET: Final = SecretText(
    "the HTTP webhook signing key (Sending → Webhooks)", not_these=("pubkey-",)
)
TIMESTAMP: Final = re.compile("[0-9]{10}")
TOKEN: Final = re.compile("[0-9a-zA-Z]{50}")
SIGNATURE: Final = re.compile("[0-9a-f]{64}")

_key = key_reader(SECRET, "sha256")


def check(request: Request, terms: Terms) -> Proof:
    payload = payload_of(request.body, may_be_form=True)
    time_text, token, given = _stamp(payload)
    content, found = f"{time_text}{token}".encode(), -1
    for index, secret in enumerate(terms.secrets):
        if compare_digest(_key(secret).sign(content).hex(), given) and found < 0:
            found = index
    if found < 0:
        raise Mismatch("the signature does not fit: another domain's key, or a forged request")
    check_fresh(int(time_text), now_s=terms.now_s, tolerance_s=terms.tolerance_s)
    return Proof(found, int(time_text), token, payload)


def sign(draft: Draft, signing: str) -> Signed:
    """The token is made from the draft's id, so that each id has its own."""
    time_text, token = str(draft.timestamp_s), sha256(draft.id.encode()).hexdigest()[:50]
    signature = _key(signing).sign(f"{time_text}{token}".encode()).hex()
    stamp = {"timestamp": time_text, "token": token, "signature": signature}
    payload = json_of(draft.body)
    inner = payload if isinstance(payload, dict) else {}
    body = as_json({**inner, "signature": stamp})
    return Signed(draft.method, draft.url, beside(draft, id=(), type=()), body)


def envelope(draft: Draft, payload: object) -> bytes:
    inner = payload if isinstance(payload, dict) else {}
    return as_json({"event-data": {**inner, "id": draft.id, "event": draft.type}})


def _stamp(payload: Any) -> tuple[str, str, str]:
    stamp = payload.get("signature") if isinstance(payload, dict) else None
    if stamp is None:
        raise Missing("the body has no signature: not from Mailgun, or not as it was received")
    if isinstance(stamp, str):  # a form has the three fields side by side
        stamp = payload
    if not isinstance(stamp, dict):
        raise Malformed("the signature in the body is not an object")
    time_text = _text(stamp, "timestamp", TIMESTAMP)
    return time_text, _text(stamp, "token", TOKEN), _text(stamp, "signature", SIGNATURE)


def _text(stamp: dict[str, Any], name: str, form: re.Pattern[str]) -> str:
    text = stamp.get(name)
    if not isinstance(text, str) or not form.fullmatch(text):
        raise Malformed(f"the {name} in the body is not of Mailgun's form")
    return text


SCHEME: Final = Scheme(
    name="mailgun",
    title="Mailgun",
    documentation=(
        "https://documentation.mailgun.com/docs/mailgun/user-manual/webhooks/securing-webhooks"
    ),
    confidence="A",
    signature="signature in the body (hex HMAC-SHA256 of {timestamp}{token})",
    secret=SECRET.says,
    vectors="local",
    check=check,
    sign=sign,
    keys=SECRET.keys,
    tolerance_s=TOLERANCE_S,
    covers_body=False,
    type=(Field("event-data.event"), Field("event")),
    may_be_form=True,
    caution="the event is not signed: who sees one request can put another event behind its stamp",
    envelope=envelope,
)
