"""Zoom: `x-zm-signature: v0=<hex>`.

    v0    HMAC-SHA256 over v0:{timestamp}:{body}, lower-case hex; the timestamp has its own header
    key   the UTF-8 bytes of the app's secret token

Events have no id, so the digest of the body serves to dedupe. The window is that of the retries,
the last of which comes 85 minutes after the first attempt: nothing says that each is signed anew.

Handshake: on saving the URL and every three days, a signed `endpoint.url_validation` whose
`plainToken` comes back with its HMAC under the secret. To sign whatever somebody asks for would be
to let them sign requests, so the signature is checked first and the token is short and plain.

Documentation: https://developers.zoom.us/docs/api/webhooks/. Sure about the format; Zoom publishes
no vectors.
"""

import re
from typing import Final

from ringback.errors import Malformed
from ringback.sign.challenge import json_reply
from ringback.sign.hmac_scheme import Timestamp, hmac_scheme
from ringback.sign.layout import Plain
from ringback.sign.payload import payload_of
from ringback.sign.request import Request
from ringback.sign.scheme import Field, Reply, Terms
from ringback.sign.secret_text import SecretText, key_reader

HANDSHAKE: Final = "endpoint.url_validation"
PLAIN_TOKEN: Final = re.compile("[A-Za-z0-9+/=_-]{1,128}")
SECRET: Final = SecretText("the app's secret token (Feature → Token)")

_key = key_reader(SECRET, "sha256")


def respond(request: Request, terms: Terms) -> Reply | None:
    if HANDSHAKE.encode() not in request.body:
        return None
    proof = SCHEME.check(request, terms)
    payload = payload_of(request.body)
    if not isinstance(payload, dict) or payload.get("event") != HANDSHAKE:
        return None
    inner = payload.get("payload")
    token = inner.get("plainToken") if isinstance(inner, dict) else None
    if not isinstance(token, str) or not PLAIN_TOKEN.fullmatch(token):
        raise Malformed("the plainToken of the validation is not a short plain text")
    tag = _key(terms.secrets[proof.secret_index]).sign(token.encode())
    return json_reply({"plainToken": token, "encryptedToken": tag.hex()})


SCHEME: Final = hmac_scheme(
    "zoom",
    "Zoom",
    documentation="https://developers.zoom.us/docs/api/webhooks/",
    confidence="A",
    layout=Plain("x-zm-signature", prefix="v0="),
    content="v0:{timestamp}:{body}",
    timestamp=Timestamp(header="x-zm-request-timestamp", tolerance_s=7_200),
    secret=SECRET,
    type=(Field("event"),),
    respond=respond,
)
