"""Meta (Facebook, Instagram, Messenger, WhatsApp): `X-Hub-Signature-256: sha256=<hex>`.

    sha256    HMAC-SHA256 over the body alone, lower-case hex
    key       the UTF-8 bytes of the app secret

A request carries several changes or messages. Each comes as the whole request would be if it had no
other, so that the ids around it stay. A message is deduped by its own id, its deletion (Instagram)
by the same id and `deleted`, a status of WhatsApp by the message's id and the status, and anything
else by its digest: reactions, edits and receipts name a message that is another event, and so do
the statuses of a payment, a call or a group's members.

Handshake: on saving the URL, a GET with `hub.verify_token`, a text of your own choosing that you
tell Meta; it stands behind a colon after the app secret.

Documentation: https://developers.facebook.com/docs/graph-api/webhooks/getting-started. Sure about
the format; Meta publishes no vectors.
"""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any, Final

from msgspec import structs

from ringback.errors import Malformed, Missing, SecretError
from ringback.sign.challenge import echo, query_of
from ringback.sign.event import text_of
from ringback.sign.hmac_scheme import hmac_scheme
from ringback.sign.layout import Plain
from ringback.sign.payload import as_json
from ringback.sign.request import Request
from ringback.sign.scheme import (
    KEYS_CACHED_MAX,
    Draft,
    KeyPair,
    Part,
    Proof,
    Reply,
    Scheme,
    Signed,
    Terms,
)
from ringback.sign.secret_text import SecretText, check_text
from ringback.sign.token import matching

APP_SECRET: Final = SecretText("the app secret (App settings → Basic)", not_these=("EAA",))
SECRET: Final = f"{APP_SECRET.says}, a colon and your verify token"
LISTS: Final = ("changes", "messaging", "standby")
_AROUND: Final = {"sender", "recipient", "timestamp"}


def check(request: Request, terms: Terms) -> Proof:
    secrets = tuple([_split(secret)[0] for secret in terms.secrets])
    return _SIGNED.check(request, Terms(secrets, terms.now_s, terms.tolerance_s, terms.documents))


def sign(draft: Draft, signing: str) -> Signed:
    return _SIGNED.sign(draft, _split(signing)[0])


def keys(random_bytes: bytes) -> KeyPair:
    text = f"{random_bytes.hex()}:verify-{random_bytes.hex()}"
    return KeyPair(text, text)


def respond(request: Request, terms: Terms) -> Reply | None:
    query = query_of(request) if request.method == "GET" else {}
    if "hub.mode" not in query:
        return None
    if query["hub.mode"] != "subscribe":
        raise Malformed("hub.mode is not subscribe")
    if "hub.verify_token" not in query:
        raise Missing("the query has no hub.verify_token")
    tokens = [_split(secret)[1] for secret in terms.secrets]
    if not any(tokens):
        raise SecretError(f"the handshake needs the verify token too; give {SECRET}")
    matching(query["hub.verify_token"], [token.encode() for token in tokens if token])
    return echo(query.get("hub.challenge"))


def parts(payload: Any) -> Sequence[Part]:
    entries = payload.get("entry") if isinstance(payload, dict) else None
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise Malformed("the body has no list of entries")
    return [part for entry in entries for part in _parts_of(payload, entry)]


def envelope(draft: Draft, payload: object) -> bytes:
    change = {"field": draft.type, "value": {"messages": [{"id": draft.id}], "test": payload}}
    return as_json({"object": "test", "entry": [{"id": "1", "changes": [change]}]})


@lru_cache(maxsize=KEYS_CACHED_MAX)
def _split(text: str) -> tuple[str, str]:
    check_text(text, SECRET)
    app_secret, _, verify_token = text.partition(":")
    return app_secret, verify_token


def _parts_of(payload: dict[str, Any], entry: dict[str, Any]) -> Iterator[Part]:
    rest = {name: value for name, value in entry.items() if name not in LISTS}
    lists = [name for name in LISTS if isinstance(entry.get(name), list)]
    if not lists:
        yield Part(None, text_of(payload.get("object")), {**payload, "entry": [entry]})
    for name in lists:
        for change in entry[name]:
            if not isinstance(change, dict):
                raise Malformed(f"an entry of the body has {name} that are no objects")
            alone = {**payload, "entry": [{**rest, name: [change]}]}
            yield Part(_id(change), _type(change), alone)


def _type(change: dict[str, Any]) -> str | None:
    if "field" in change:
        return text_of(change["field"])
    return text_of(next((name for name in change if name not in _AROUND), None))


def _id(change: dict[str, Any]) -> str | None:
    message, value = change.get("message"), change.get("value")
    if isinstance(message, dict):
        return _message_id(message)
    if not isinstance(value, dict):
        return None
    messages, statuses = _dicts(value.get("messages")), _dicts(value.get("statuses"))
    if len(messages) + len(statuses) != 1:
        return None
    return text_of(messages[0].get("id")) if messages else _status_id(statuses[0])


def _message_id(message: dict[str, Any]) -> str | None:
    text = text_of(message.get("mid"))
    is_deleted = message.get("is_deleted") in (True, "true")  # documented as text, sent as a truth
    return text_of(f"{text}:deleted") if text and is_deleted else text


def _status_id(status: dict[str, Any]) -> str | None:
    """None where one message has the same status more than once: of a payment, or in a group."""
    text, word = text_of(status.get("id")), text_of(status.get("status"))
    is_of_message = status.get("type", "message") == "message"
    is_for_one = status.get("recipient_type", "individual") == "individual"
    return text_of(f"{text}:{word}") if text and word and is_of_message and is_for_one else None


def _dicts(value: object) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


_SIGNED: Final = hmac_scheme(
    "meta",
    "Meta (WhatsApp, Messenger, Instagram)",
    documentation="https://developers.facebook.com/docs/graph-api/webhooks/getting-started",
    confidence="B",
    layout=Plain("X-Hub-Signature-256", prefix="sha256="),
    secret=APP_SECRET,
    parts=parts,
    respond=respond,
    caution="no time is signed",
    envelope=envelope,
)
SCHEME: Final[Scheme] = structs.replace(_SIGNED, secret=SECRET, check=check, sign=sign, keys=keys)
