"""Microsoft Graph: `clientState` in each notification, sent as it is.

There is no signature over notifications without resource data; the tokens that come with encrypted
resource data are not looked at, and the data is not decrypted. A request carries several
notifications, which must all have one of the secrets. One without an `id` has its digest for
one, and two of them may be the same bytes (OneDrive), so they are not deduped: take it for a hint,
and ask Graph.

Handshake: on making the subscription, a POST with `validationToken` in the query, to be echoed as
text. Notifications want 202 within three seconds.

Documentation: https://learn.microsoft.com/graph/change-notifications-delivery-webhooks. Sure.
"""

from collections.abc import Sequence
from typing import Any, Final

from ringback.errors import Malformed, Missing
from ringback.sign.challenge import echo, query_of
from ringback.sign.event import each
from ringback.sign.hmac_scheme import beside
from ringback.sign.payload import as_json, json_of
from ringback.sign.request import Request
from ringback.sign.scheme import Draft, Field, Proof, Reply, Scheme, Signed, Terms
from ringback.sign.secret_text import SecretText
from ringback.sign.token import CAUTION, matching

NOTIFICATIONS_MAX: Final = 1_000
SECRET: Final = SecretText("the `clientState` that the subscription was made with")

parts = each("value", id=(Field("id"),), type=(Field("lifecycleEvent"), Field("changeType")))


def check(request: Request, terms: Terms) -> Proof:
    payload = json_of(request.body)
    states = _states(payload)
    expected = [SECRET.raw(secret) for secret in terms.secrets]
    return Proof(max(matching(state, expected) for state in states), payload=payload)


def respond(request: Request, terms: Terms) -> Reply | None:
    query = query_of(request) if "validationToken=" in (request.url or "") else {}
    return echo(query["validationToken"]) if "validationToken" in query else None


def sign(draft: Draft, signing: str) -> Signed:
    payload = json_of(draft.body)
    inner = payload if isinstance(payload, dict) else {}
    value = [{**one, "clientState": signing} for one in inner.get("value", [])]
    fields = beside(draft, id=(), type=())
    return Signed(draft.method, draft.url, fields, as_json({**inner, "value": value}))


def envelope(draft: Draft, payload: object) -> bytes:
    return as_json({"value": [{"id": draft.id, "changeType": draft.type, "resourceData": payload}]})


def _states(payload: Any) -> Sequence[str]:
    value = payload.get("value") if isinstance(payload, dict) else None
    if not isinstance(value, list) or not value:
        raise Missing("the body has no notifications, and so no clientState")
    if len(value) > NOTIFICATIONS_MAX:
        raise Malformed(f"the body has more than {NOTIFICATIONS_MAX} notifications")
    states = [one.get("clientState") if isinstance(one, dict) else None for one in value]
    if None in states:
        raise Missing("a notification has no clientState: make the subscription with one")
    texts = [state for state in states if isinstance(state, str)]
    if len(texts) != len(states):
        raise Malformed("a notification's clientState is not text")
    return texts


SCHEME: Final = Scheme(
    name="microsoft_graph",
    title="Microsoft Graph",
    documentation="https://learn.microsoft.com/graph/change-notifications-delivery-webhooks",
    confidence="A",
    signature="clientState in each notification of the body: the secret itself",
    secret=SECRET.says,
    vectors="local",
    check=check,
    sign=sign,
    keys=SECRET.keys,
    respond=respond,
    covers_body=False,
    parts=parts,
    bodies_repeat=True,
    caution=f"{CAUTION}; two notifications without an id may be the same bytes",
    accepted=Reply(202),
    envelope=envelope,
)
