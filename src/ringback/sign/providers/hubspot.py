"""HubSpot, version 3: `X-HubSpot-Signature-v3: <base64>`.

    HMAC-SHA256 over {method}{URL}{body}{timestamp}, base64
    key    the UTF-8 bytes of the app's client secret

The timestamp is in milliseconds in a header of its own. The URL is the full one as HubSpot calls
it, with twelve escapes of it decoded; since frameworks decode them too, both spellings are tried.
The window is HubSpot's own, five minutes.

A request of the webhooks API is a list of events. `eventId` alone is not promised to be unique, and
`attemptNumber` changes with each attempt, so an event is deduped by its id, subscription, object
and time together, and one without an object (an association has two) by the digest of what stays.
Everything else (workflows, cards) is one event.

Documentation: https://developers.hubspot.com/docs/api/webhooks/validating-requests. Sure: the
vector of the official Python SDK's tests is in the test suite. See `hubspot_v1` and `hubspot_v2`
for the older signatures.
"""

import re
from collections.abc import Sequence
from hmac import compare_digest
from typing import Any, Final

from ringback.errors import Malformed, Mismatch
from ringback.sign.event import digest_of, each
from ringback.sign.hmac_scheme import beside, url_of
from ringback.sign.instant import TOLERANCE_S, check_fresh, milliseconds, written
from ringback.sign.layout import encoded, is_signature
from ringback.sign.payload import as_json, json_of
from ringback.sign.request import Request
from ringback.sign.scheme import Draft, Field, Joined, Part, Proof, Scheme, Signed, Terms
from ringback.sign.secret_text import SecretText, key_reader

DOCUMENTATION: Final = "https://developers.hubspot.com/docs/api/webhooks/validating-requests"
SECRET: Final = SecretText("the app's client secret (Auth)", not_these=("pat-",))
ID: Final = Joined(tuple(map(Field, ("eventId", "subscriptionId", "objectId", "occurredAt"))))
ATTEMPT: Final = "attemptNumber"
_DECODED: Final = re.compile("%(3A|2F|3F|40|21|24|27|28|29|2A|2C|3B)", re.IGNORECASE)

_key = key_reader(SECRET, "sha256")
_events = each(id=(ID,), type=(Field("subscriptionType"),))


def check(request: Request, terms: Terms) -> Proof:
    given = request.header("x-hubspot-signature-v3")
    time_text = request.header("x-hubspot-request-timestamp")
    timestamp_s = milliseconds(time_text)
    found = -1
    for index, secret in enumerate(terms.secrets):
        for url in spellings(url_of(request)):
            tag = _tag(secret, request, url, time_text)
            if compare_digest(given.encode("utf-8", "surrogatepass"), tag) and found < 0:
                found = index
    if found < 0:
        raise refusal(is_well_formed=is_signature(given, "base64", 32))
    check_fresh(timestamp_s, now_s=terms.now_s, tolerance_s=terms.tolerance_s)
    return Proof(found, timestamp_s)


def sign(draft: Draft, signing: str) -> Signed:
    time_text = written(draft.timestamp_s, "ms")
    request = Request(draft.method, draft.url, {}, draft.body)
    tag = _tag(signing, request, spellings(draft.url)[-1], time_text)
    fields = (
        *beside(draft, id=(), type=()),
        ("x-hubspot-request-timestamp", time_text),
        ("x-hubspot-signature-v3", tag.decode()),
    )
    return Signed(draft.method, draft.url, fields, draft.body)


def parts(payload: Any) -> Sequence[Part]:
    if not isinstance(payload, list):
        return [Part(None, None, payload)]
    return [
        Part(part.id or _lasting(part.payload), part.type, part.payload)
        for part in _events(payload)
    ]


def _lasting(event: Any) -> str | None:
    if not isinstance(event, dict):
        return None
    return digest_of(as_json({key: value for key, value in event.items() if key != ATTEMPT}))


def envelope(draft: Draft, payload: object) -> bytes:
    inner = payload if isinstance(payload, dict) else {}
    event = {"eventId": draft.id, "subscriptionId": 1, "objectId": 1, "occurredAt": 1}
    return as_json([{**inner, **event, "subscriptionType": draft.type}])


def object_or_list(body: bytes) -> Any:
    """The JSON of a body that was hashed and not signed. Raises Malformed for anything else."""
    payload = json_of(body)
    if not isinstance(payload, dict | list):
        raise Malformed("the body is neither a JSON object nor a list")
    return payload


def spellings(url: str) -> list[bytes]:
    """The URL as it is and, last, with the escapes decoded that HubSpot decodes."""
    found = [url]
    if "%" in url:
        found.append(_DECODED.sub(lambda escape: chr(int(escape[1], 16)), url))
    return [text.encode("utf-8", "surrogatepass") for text in found]


def refusal(*, is_well_formed: bool) -> Malformed | Mismatch:
    if not is_well_formed:
        return Malformed("the signature is not in the form that HubSpot sends")
    return Mismatch(
        "the signature does not fit: check that the client secret is this app's, that `url` is the"
        " one that HubSpot calls, with its query, and that the body is the bytes as received; or"
        " the request is forged"
    )


def _tag(secret: str, request: Request, url: bytes, time_text: str) -> bytes:
    method = request.method.encode("utf-8", "surrogatepass")
    return encoded(_key(secret).sign(method, url, request.body, time_text.encode()), "base64")


SCHEME: Final = Scheme(
    name="hubspot",
    title="HubSpot (v3)",
    documentation=DOCUMENTATION,
    confidence="A",
    signature="X-HubSpot-Signature-v3: … (base64 HMAC-SHA256 of {method}{url}{body}{timestamp})",
    secret=SECRET.says,
    vectors="vendor",
    check=check,
    sign=sign,
    keys=SECRET.keys,
    tolerance_s=TOLERANCE_S,
    needs_url=True,
    parts=parts,
    envelope=envelope,
)
