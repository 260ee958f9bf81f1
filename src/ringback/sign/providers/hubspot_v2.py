"""HubSpot, version 2: `X-HubSpot-Signature: <hex>` with `X-HubSpot-Signature-Version: v2`.

    SHA-256 over {client secret}{method}{URL}{body}, lower-case hex

This is a bare hash and no HMAC: see `hubspot_v1` on what that means. A request without a body, like
that of a card, has its answer in the URL, and to add bytes behind the URL is to add to what it says
too. Use `hubspot` (version 3) where the requests have its header.

Documentation: https://developers.hubspot.com/docs/api/webhooks/validating-requests. Sure: the
page's own values are in the test suite.
"""

from hashlib import sha256
from hmac import compare_digest
from typing import Final

from ringback.errors import Malformed
from ringback.sign.hmac_scheme import beside, url_of
from ringback.sign.layout import is_signature
from ringback.sign.providers.hubspot import (
    DOCUMENTATION,
    SECRET,
    envelope,
    object_or_list,
    parts,
    refusal,
    spellings,
)
from ringback.sign.request import Request
from ringback.sign.scheme import Draft, Proof, Scheme, Signed, Terms

VERSION: Final = "v2"
VERSION_HEADER: Final = "x-hubspot-signature-version"


def check(request: Request, terms: Terms) -> Proof:
    given = request.header("x-hubspot-signature")
    if request.has(VERSION_HEADER) and request.header(VERSION_HEADER) != VERSION:
        raise Malformed(f"the header {VERSION_HEADER} is not {VERSION}")
    found = -1
    for index, secret in enumerate(terms.secrets):
        for url in spellings(url_of(request)):
            tag = _tag(secret, request, url)
            if compare_digest(given.encode("utf-8", "surrogatepass"), tag) and found < 0:
                found = index
    if found < 0:
        raise refusal(is_well_formed=is_signature(given, "hex", 32))
    return Proof(found, payload=object_or_list(request.body) if request.body else None)


def sign(draft: Draft, signing: str) -> Signed:
    request = Request(draft.method, draft.url, {}, draft.body)
    fields = (
        *beside(draft, id=(), type=()),
        ("x-hubspot-signature", _tag(signing, request, draft.url.encode()).decode()),
        (VERSION_HEADER, VERSION),
    )
    return Signed(draft.method, draft.url, fields, draft.body)


def _tag(secret: str, request: Request, url: bytes) -> bytes:
    method = request.method.encode("utf-8", "surrogatepass")
    return sha256(SECRET.raw(secret) + method + url + request.body).hexdigest().encode()


SCHEME: Final = Scheme(
    name="hubspot_v2",
    title="HubSpot (v2)",
    documentation=DOCUMENTATION,
    confidence="A",
    signature="X-HubSpot-Signature: … (hex SHA-256 of {client secret}{method}{url}{body})",
    secret=SECRET.says,
    vectors="vendor",
    check=check,
    sign=sign,
    keys=SECRET.keys,
    needs_url=True,
    parts=parts,
    caution="a bare hash without a time: use version 3 where the requests have it",
    envelope=envelope,
)
