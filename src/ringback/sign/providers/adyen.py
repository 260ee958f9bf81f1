"""Adyen, payments: a signature in each item, `additionalData.hmacSignature`.

    HMAC-SHA256, base64, over eight fields of the item joined by colons:
    pspReference:originalReference:merchantAccountCode:merchantReference:value:currency:eventCode:success
    key    the bytes behind the hexadecimal HMAC key

A field that is missing counts as empty, and a colon within one is not escaped: Adyen's own library
does the same. Every item must be signed; nothing else in it is covered. Dedupe each by event code,
reference and success. The receipt is `[accepted]`, which older accounts insist on.

Documentation: https://docs.adyen.com/development-resources/webhooks/secure-webhooks/verify-hmac-signatures/.
Sure: the vector of the official library's tests is in the test suite. For the platforms and
management webhooks see `adyen_platform`.
"""

from collections.abc import Sequence
from hmac import compare_digest
from typing import Any, Final

from ringback.errors import Malformed, Mismatch, Missing
from ringback.sign.event import text_of
from ringback.sign.hmac_scheme import beside
from ringback.sign.layout import encoded, is_signature
from ringback.sign.payload import as_json, json_of
from ringback.sign.request import Request
from ringback.sign.scheme import Draft, Part, Proof, Reply, Scheme, Signed, Terms
from ringback.sign.secret_text import SecretText, key_reader

ITEMS_MAX: Final = 100
ACCEPTED: Final = Reply(200, (("Content-Type", "text/plain"),), b"[accepted]")
SECRET: Final = SecretText("the webhook's HMAC key, 64 hexadecimal digits", form="hex")
_FIELDS: Final = (
    ("pspReference", ""),
    ("originalReference", ""),
    ("merchantAccountCode", ""),
    ("merchantReference", ""),
    ("amount", "value"),
    ("amount", "currency"),
    ("eventCode", ""),
    ("success", ""),
)

_key = key_reader(SECRET, "sha256")


def check(request: Request, terms: Terms) -> Proof:
    payload = json_of(request.body)
    items = _items(payload)
    found = [_matching(item, terms.secrets) for item in items]
    return Proof(max(found), id=_id(items[0]) if len(items) == 1 else None, payload=payload)


def sign(draft: Draft, signing: str) -> Signed:
    payload = json_of(draft.body)
    for item in _items(payload):
        tag = encoded(_key(signing).sign(_content(item)), "base64").decode()
        item["additionalData"] = {**item.get("additionalData", {}), "hmacSignature": tag}
    return Signed(draft.method, draft.url, beside(draft, id=(), type=()), as_json(payload))


def envelope(draft: Draft, payload: object) -> bytes:
    inner = payload if isinstance(payload, dict) else {}
    item = {
        **inner,
        "pspReference": draft.id,
        "merchantAccountCode": "TestMerchant",
        "merchantReference": "test",
        "amount": {"value": 1000, "currency": "EUR"},
        "eventCode": draft.type,
        "success": "true",
    }
    return as_json({"live": "false", "notificationItems": [{"NotificationRequestItem": item}]})


def parts(payload: Any) -> Sequence[Part]:
    return [Part(_id(item), text_of(item.get("eventCode")), item) for item in _items(payload)]


def _items(payload: Any) -> list[dict[str, Any]]:
    wrapped = payload.get("notificationItems") if isinstance(payload, dict) else None
    if not isinstance(wrapped, list):
        raise Missing("the body has no notificationItems, and so no signature")
    items = [one.get("NotificationRequestItem") for one in wrapped if isinstance(one, dict)]
    good = [item for item in items if isinstance(item, dict)]
    if not 0 < len(good) <= ITEMS_MAX or len(good) != len(wrapped):
        raise Malformed(f"notificationItems is not a list of 1 to {ITEMS_MAX} items")
    return good


def _matching(item: dict[str, Any], secrets: tuple[str, ...]) -> int:
    additional = item.get("additionalData")
    given = additional.get("hmacSignature") if isinstance(additional, dict) else None
    if given is None:
        raise Missing("an item has no additionalData.hmacSignature: enable HMAC at this webhook")
    if not isinstance(given, str):
        raise Malformed("an item's hmacSignature is not text")
    content, presented, found = _content(item), given.encode("utf-8", "surrogatepass"), -1
    for index, secret in enumerate(secrets):
        tag = encoded(_key(secret).sign(content), "base64")
        if compare_digest(presented, tag) and found < 0:
            found = index
    if found < 0:
        if not is_signature(given, "base64", 32):
            raise Malformed("an item's hmacSignature is not base64 of 32 bytes")
        raise Mismatch("an item's signature does not fit: another webhook's key, or forged")
    return found


def _content(item: dict[str, Any]) -> bytes:
    texts = [_text(item, outer, inner) for outer, inner in _FIELDS]
    return ":".join(texts).encode("utf-8", "surrogatepass")


def _text(item: dict[str, Any], outer: str, inner: str = "") -> str:
    value = item.get(outer)
    if inner:
        value = value.get(inner) if isinstance(value, dict) else None
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    raise Malformed(f"an item's {outer} is neither text nor a whole number")


def _id(item: dict[str, Any]) -> str | None:
    parts = [_text(item, name) for name in ("eventCode", "pspReference", "success")]
    return text_of(":".join(parts))


SCHEME: Final = Scheme(
    name="adyen",
    title="Adyen (payments)",
    documentation=(
        "https://docs.adyen.com/development-resources/webhooks/secure-webhooks/"
        "verify-hmac-signatures/"
    ),
    confidence="A",
    signature="additionalData.hmacSignature in the body (base64 HMAC-SHA256 of eight fields)",
    secret=SECRET.says,
    vectors="vendor",
    check=check,
    sign=sign,
    keys=SECRET.keys,
    covers_body=False,
    parts=parts,
    caution="only eight fields of an item are signed; take nothing else of it on trust",
    accepted=ACCEPTED,
    envelope=envelope,
)
