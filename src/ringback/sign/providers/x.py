"""X, formerly Twitter (Account Activity and stream webhooks): `x-twitter-webhooks-signature`.

    sha256=<base64>    HMAC-SHA256 over the body alone
    key                the UTF-8 bytes of the app's consumer secret

There is no id of the request, so the digest of the body serves to dedupe. The type is the name of
the list that it carries, like `tweet_create_events`.

Handshake (CRC): every hour and on saving the URL, an unsigned GET with `crc_token`, which comes
back signed with the same secret as the webhooks. So whoever asks gets a text of their own choosing
signed: tokens are answered only if they could not be a body, and bodies are taken only if they are
JSON objects.

Documentation: https://docs.x.com/x-api/webhooks/quickstart. From general knowledge of the
page; X publishes no vectors.
"""

import re
from collections.abc import Sequence
from typing import Any, Final

from msgspec import structs

from ringback.errors import Malformed
from ringback.sign.challenge import json_reply, query_of
from ringback.sign.event import text_of
from ringback.sign.hmac_scheme import hmac_scheme
from ringback.sign.layout import Plain, encoded
from ringback.sign.payload import as_json, json_of
from ringback.sign.request import Request
from ringback.sign.scheme import Draft, Part, Proof, Reply, Scheme, Terms
from ringback.sign.secret_text import SecretText, key_reader

SECRET: Final = SecretText("the app's consumer secret (API key secret)")
CRC_TOKEN: Final = re.compile("[A-Za-z0-9+/=_-]{1,256}")
_AROUND: Final = {"for_user_id", "user_has_blocked", "apps", "users"}

_key = key_reader(SECRET, "sha256")


def check(request: Request, terms: Terms) -> Proof:
    proof = _SIGNED.check(request, terms)
    payload = json_of(request.body)
    if not isinstance(payload, dict):
        raise Malformed("the body is not a JSON object")
    return structs.replace(proof, payload=payload)


def respond(request: Request, terms: Terms) -> Reply | None:
    query = query_of(request) if request.method == "GET" else {}
    if "crc_token" not in query:
        return None
    token = query["crc_token"]
    if not CRC_TOKEN.fullmatch(token):
        raise Malformed("the crc_token has characters that no token needs")
    tag = encoded(_key(terms.secrets[0]).sign(token.encode()), "base64").decode()
    return json_reply({"response_token": f"sha256={tag}"})


def parts(payload: Any) -> Sequence[Part]:
    kind = next((name for name in payload if name not in _AROUND), None)
    return [Part(None, text_of(kind), payload)]


def envelope(draft: Draft, payload: object) -> bytes:
    return as_json({"for_user_id": "1", draft.type: [payload]})


_SIGNED: Final = hmac_scheme(
    "x",
    "X (Twitter)",
    documentation="https://docs.x.com/x-api/webhooks/quickstart",
    confidence="C",
    layout=Plain("x-twitter-webhooks-signature", prefix="sha256="),
    encoding="base64",
    secret=SECRET,
    parts=parts,
    respond=respond,
    caution="neither an id nor the time is signed",
    envelope=envelope,
)
SCHEME: Final[Scheme] = structs.replace(_SIGNED, check=check)
