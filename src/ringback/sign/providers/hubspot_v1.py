"""HubSpot, version 1: `X-HubSpot-Signature: <hex>` with `X-HubSpot-Signature-Version: v1`.

    SHA-256 over {client secret}{body}, lower-case hex

This is a bare hash and no HMAC: who sees a request can add bytes behind its body and knows the hash
of the result. What is added begins with a byte that JSON does not have, so it is found when the
body is decoded. Use `hubspot` (version 3) where the requests have its header.

Documentation: https://developers.hubspot.com/docs/api/webhooks/validating-requests. Sure: the
page's own values are in the test suite.
"""

from hashlib import sha256
from hmac import compare_digest
from typing import Final

from ringback.errors import Malformed
from ringback.sign.hmac_scheme import beside
from ringback.sign.layout import is_signature
from ringback.sign.providers.hubspot import (
    DOCUMENTATION,
    SECRET,
    envelope,
    object_or_list,
    parts,
    refusal,
)
from ringback.sign.request import Request
from ringback.sign.scheme import Draft, Proof, Scheme, Signed, Terms

VERSION: Final = "v1"
VERSION_HEADER: Final = "x-hubspot-signature-version"


def check(request: Request, terms: Terms) -> Proof:
    given = request.header("x-hubspot-signature")
    if request.has(VERSION_HEADER) and request.header(VERSION_HEADER) != VERSION:
        raise Malformed(f"the header {VERSION_HEADER} is not {VERSION}")
    found = -1
    for index, secret in enumerate(terms.secrets):
        tag = _tag(secret, request.body)
        if compare_digest(given.encode("utf-8", "surrogatepass"), tag) and found < 0:
            found = index
    if found < 0:
        raise refusal(is_well_formed=is_signature(given, "hex", 32))
    return Proof(found, payload=object_or_list(request.body))


def sign(draft: Draft, signing: str) -> Signed:
    fields = (
        *beside(draft, id=(), type=()),
        ("x-hubspot-signature", _tag(signing, draft.body).decode()),
        (VERSION_HEADER, VERSION),
    )
    return Signed(draft.method, draft.url, fields, draft.body)


def _tag(secret: str, body: bytes) -> bytes:
    return sha256(SECRET.raw(secret) + body).hexdigest().encode()


SCHEME: Final = Scheme(
    name="hubspot_v1",
    title="HubSpot (v1)",
    documentation=DOCUMENTATION,
    confidence="A",
    signature="X-HubSpot-Signature: … (hex SHA-256 of {client secret}{body})",
    secret=SECRET.says,
    vectors="vendor",
    check=check,
    sign=sign,
    keys=SECRET.keys,
    parts=parts,
    caution="a bare hash without a time: use version 3 where the requests have it",
    envelope=envelope,
)
