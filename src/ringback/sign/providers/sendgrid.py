"""SendGrid's Event Webhook: `X-Twilio-Email-Event-Webhook-Signature: <base64>`.

    ECDSA P-256 with SHA-256 over {timestamp}{body}, DER in base64
    key    the public key as the settings show it, base64 of SubjectPublicKeyInfo

The body is a list of events and usually ends with CRLF, which is signed too. Each event has its own
`sg_event_id`. SendGrid names no window for the timestamp, and tries again for a day.

Documentation:
https://www.twilio.com/docs/sendgrid/for-developers/tracking-events/getting-started-event-webhook-security-features.
Sure: the vector of the official SDK's tests is in the test suite. Inbound Parse is not covered.
"""

from typing import Final

from ringback.errors import Mismatch
from ringback.sign.ecdsa import is_signed, keys
from ringback.sign.ecdsa import sign as ecdsa_signature
from ringback.sign.event import each
from ringback.sign.hmac_scheme import beside
from ringback.sign.instant import check_fresh, seconds
from ringback.sign.layout import decoded_base64, encoded
from ringback.sign.payload import as_json
from ringback.sign.request import Request
from ringback.sign.scheme import Draft, Field, Proof, Scheme, Signed, Terms

SIGNATURE: Final = "x-twilio-email-event-webhook-signature"
TIMESTAMP: Final = "x-twilio-email-event-webhook-timestamp"
TOLERANCE_S: Final = 86_400


def check(request: Request, terms: Terms) -> Proof:
    signature = decoded_base64(request.header(SIGNATURE))
    time_text = request.header(TIMESTAMP)
    timestamp_s = seconds(time_text)
    content = time_text.encode() + request.body
    good = [is_signed(public, signature, content) for public in terms.secrets]
    if True not in good:
        raise Mismatch(
            "the signature does not fit: check that the public key is this webhook's and that the"
            " body is as it was received, with its last line end; or the request is forged"
        )
    check_fresh(timestamp_s, now_s=terms.now_s, tolerance_s=terms.tolerance_s)
    return Proof(good.index(True), timestamp_s)


def sign(draft: Draft, signing: str) -> Signed:
    time_text = str(draft.timestamp_s)
    signature = encoded(ecdsa_signature(signing, time_text.encode() + draft.body), "base64")
    fields = (
        *beside(draft, id=(), type=()),
        (SIGNATURE, signature.decode()),
        (TIMESTAMP, time_text),
    )
    return Signed(draft.method, draft.url, fields, draft.body)


def envelope(draft: Draft, payload: object) -> bytes:
    inner = payload if isinstance(payload, dict) else {}
    return as_json([{**inner, "sg_event_id": draft.id, "event": draft.type}]) + b"\r\n"


SCHEME: Final = Scheme(
    name="sendgrid",
    title="SendGrid",
    documentation=(
        "https://www.twilio.com/docs/sendgrid/for-developers/tracking-events/"
        "getting-started-event-webhook-security-features"
    ),
    confidence="A",
    signature="X-Twilio-Email-Event-Webhook-Signature: … (ECDSA P-256 of {timestamp}{body})",
    secret="the public key (Settings → Mail settings → Event webhook), MFkw…",  # noqa: S106
    vectors="vendor",
    check=check,
    sign=sign,
    keys=keys,
    tolerance_s=TOLERANCE_S,
    parts=each(id=(Field("sg_event_id"),), type=(Field("event"),)),
    envelope=envelope,
)
