"""Twilio: `X-Twilio-Signature: <base64>`.

    form    HMAC-SHA1 over {URL}{name}{value}… of the form's fields, names and values sorted
    JSON    HMAC-SHA1 over {URL}, whose query has bodySHA256, the hex SHA-256 of the body
    key     the UTF-8 bytes of the account's Auth Token

A URL that has `bodySHA256` means JSON, and any other one a form; the Content-Type is not signed and
not looked at. Repeated values count once. Twilio signs the URL with or without its port, so both
are tried. Names and values are joined without a mark, which is how a `=` in a form can be moved
without the signature noticing; Twilio's own library cannot see it either.

Dedupe by `I-Twilio-Idempotency-Token`, which is not signed, else by message and status; a call has
no such pair, as one call is called back many times, so the digest of the body serves.

The newer signature with a key of its own, which a header announces, is not accepted: that header is
not signed.

Documentation: https://www.twilio.com/docs/usage/webhooks/webhooks-security. Sure: the vectors of
the official library's tests are in the test suite.
"""

import re
from hashlib import sha256
from hmac import compare_digest
from typing import Any, Final

from ringback.errors import Malformed, Mismatch
from ringback.sign.challenge import query_of
from ringback.sign.hmac_scheme import beside, url_of
from ringback.sign.layout import encoded, is_signature
from ringback.sign.payload import fields_of, form_pairs, json_of
from ringback.sign.request import Request
from ringback.sign.scheme import Draft, Field, Header, Joined, Proof, Scheme, Signed, Terms
from ringback.sign.secret_text import SecretText, key_reader

SECRET: Final = SecretText("the account's Auth Token (Console → Account)", not_these=("AC", "SK"))
ID: Final = (
    Header("i-twilio-idempotency-token"),
    Joined((Field("MessageSid"), Field("MessageStatus"))),
)
TYPE: Final = tuple(
    Field(name) for name in ("EventType", "MessageStatus", "CallStatus", "SmsStatus")
)
_URL: Final = re.compile(r"(https?)://([^/?#:]+|\[[^\]/?#]+\])(:[0-9]{1,5})?((?:[/?#].*)?)", re.S)
_PORTS: Final = {"http": ":80", "https": ":443"}

_key = key_reader(SECRET, "sha1")


def check(request: Request, terms: Terms) -> Proof:
    given = request.header("x-twilio-signature")
    presented = given.encode("utf-8", "surrogatepass")
    urls, (rest, payload) = _spellings(url_of(request)), _rest(request)
    found = -1
    for index, secret in enumerate(terms.secrets):
        for url in urls:
            tag = encoded(_key(secret).sign(url, rest), "base64")
            if compare_digest(presented, tag) and found < 0:
                found = index
    if found >= 0:
        return Proof(found, payload=payload)
    if not is_signature(given, "base64", 20):
        raise Malformed("the header x-twilio-signature is not base64 of 20 bytes")
    raise Mismatch(
        "the signature does not fit: check that the Auth Token is this account's and that `url` is"
        " the one that Twilio calls, with its query; or the request is forged"
    )


def sign(draft: Draft, signing: str) -> Signed:
    """A form as it is; JSON with its digest in the URL's query."""
    url, kind = draft.url, "application/x-www-form-urlencoded"
    if draft.body.lstrip()[:1] in (b"{", b"["):
        mark = "&" if "?" in url else "?"
        url, kind = f"{url}{mark}bodySHA256={sha256(draft.body).hexdigest()}", "application/json"
    request = Request(draft.method, url, {}, draft.body)
    tag = encoded(_key(signing).sign(url.encode(), _rest(request)[0]), "base64").decode()
    others = [field for field in beside(draft, id=ID, type=TYPE) if field[0] != "content-type"]
    fields = (("content-type", kind), *others, ("x-twilio-signature", tag))
    return Signed(draft.method, url, fields, draft.body)


def envelope(draft: Draft, payload: object) -> bytes:
    from urllib.parse import urlencode

    inner = payload if isinstance(payload, dict) else {}
    return urlencode({**inner, "EventType": draft.type}).encode()


def _rest(request: Request) -> tuple[bytes, Any]:
    """What is signed behind the URL, and what the body says.

    Raises Mismatch for JSON that is not what the URL says.
    """
    digest = query_of(request).get("bodySHA256") if "bodySHA256" in url_of(request) else None
    if digest is None:
        pairs = form_pairs(request.body)
        return _joined(pairs).encode("utf-8", "surrogatepass"), fields_of(pairs)
    given = digest.encode("utf-8", "surrogatepass")
    if not compare_digest(given, sha256(request.body).hexdigest().encode()):
        raise Mismatch("the body is not the one whose digest is in the URL's bodySHA256")
    return b"", json_of(request.body)


def _joined(pairs: list[tuple[str, str]]) -> str:
    return "".join([name + value for name, value in sorted(set(pairs))])


def _spellings(url: str) -> tuple[bytes, bytes]:
    form = _URL.fullmatch(url)
    if not form:
        raise Malformed("the URL is not the http or https URL that Twilio was told to call")
    scheme, host, port, rest = form[1], form[2], form[3] or _PORTS[form[1]], form[4]
    spelled = (f"{scheme}://{host}{port}{rest}", f"{scheme}://{host}{rest}")
    return spelled[0].encode("utf-8", "surrogatepass"), spelled[1].encode("utf-8", "surrogatepass")


SCHEME: Final = Scheme(
    name="twilio",
    title="Twilio",
    documentation="https://www.twilio.com/docs/usage/webhooks/webhooks-security",
    confidence="A",
    signature="X-Twilio-Signature: … (base64 HMAC-SHA1 of the URL and the form's fields)",
    secret=SECRET.says,
    vectors="vendor",
    check=check,
    sign=sign,
    keys=SECRET.keys,
    needs_url=True,
    id=ID,
    type=TYPE,
    may_be_form=True,
    caution="no time is signed, and a form's names and values are joined without a mark",
    envelope=envelope,
)
