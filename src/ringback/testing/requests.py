"""Signed requests for tests of receivers, for every provider, and sending them with any client.

    webhook = Webhooks(clock)
    request = webhook.stripe("payment_intent.succeeded", {"amount": 1999})
    request.send(client, "/webhooks/stripe")

Deterministic but for the time: ids count up, and keys are the same in every run. `secret("stripe")`
is the one to give to the receiver under test.
"""

import inspect
from collections.abc import Mapping
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

from msgspec import Struct, structs

from ringback.clock import Clock
from ringback.receive.verification import scheme_of
from ringback.sign.event import enveloped
from ringback.sign.scheme import Draft, KeyPair, Scheme
from ringback.testing.provider_keys import key_pair

URL: Final = "https://shop.example/webhooks"
_KEY: Final = 1
_OTHER_KEY: Final = 2


class SignedRequest(Struct, frozen=True, kw_only=True):
    """A request as the provider sends it.

    secret      what the receiver verifies it with
    documents   the provider's certificates, by URL, where it has some: for `verify` and `fetch`
    payload     what the event was made of; None if the bytes were given
    damage      what `deliveries` did to it: `lost`, `duplicate`, `delayed`, `corrupt`
    """

    provider: str | Scheme
    method: str
    url: str
    headers: dict[str, str]
    body: bytes
    secret: str
    documents: Mapping[str, bytes]
    draft: Draft
    payload: object
    signing: str
    damage: frozenset[str] = frozenset()

    @property
    def id(self) -> str:
        """The event's id, as it was asked for."""
        return self.draft.id

    @property
    def is_corrupt(self) -> bool:
        """Whether a receiver must refuse it."""
        return "corrupt" in self.damage

    def aged(self, seconds: int) -> "SignedRequest":
        """The same event, signed so much earlier."""
        return _signed(
            self.provider,
            structs.replace(self.draft, timestamp_s=self.draft.timestamp_s - seconds),
            self.payload,
            KeyPair(self.signing, self.secret),
            damage=self.damage,
        )

    def signatures(self) -> list[str]:
        """The headers that depend on the secret; none if the signature is in the body."""
        pair = key_pair(scheme_of(self.provider), _OTHER_KEY)
        forged = _signed(self.provider, self.draft, self.payload, pair).headers
        return [name for name, text in self.headers.items() if forged.get(name) != text]

    def send(self, client: Any, url: str | None = None) -> Any:
        """What the client answers; to be awaited if the client's methods are.

        `client` is one of Starlette's and FastAPI's TestClient, httpx, Flask, Django, aiohttp,
        requests, or whatever has their `request(method, url, headers=…, data=…)`. `url` is a path
        for test clients and a whole URL for real ones; by default the path that was signed.
        """
        parts = urlsplit(self.url)
        target = parts.path or "/" if url is None else url
        if parts.query and "?" not in target:
            target += f"?{parts.query}"
        return _call(client, target, self)


class Make(Protocol):
    """See `Webhooks.__call__`."""

    def __call__(
        self,
        type: str = ...,
        payload: object = ...,
        *,
        secret: str | None = ...,
        id: str | None = ...,
        timestamp_s: int | None = ...,
        age_s: int = ...,
        url: str = ...,
        method: str = ...,
        body: bytes | None = ...,
    ) -> SignedRequest: ...


class Webhooks:
    """Makes requests: `webhooks.github("push", {…})`, or `webhooks(scheme, "push", {…})`.

    `secrets["stripe"] = "whsec_…"` signs with that from then on. `now_s` freezes the time.
    """

    def __init__(self, clock: Clock | None = None) -> None:
        self.secrets: dict[str, str] = {}
        self.now_s: int | None = None
        self._clock = clock or Clock()
        self._made = 0

    def __call__(
        self,
        provider: str | Scheme,
        type: str = "test",
        payload: object = None,
        *,
        secret: str | None = None,
        id: str | None = None,
        timestamp_s: int | None = None,
        age_s: int = 0,
        url: str = URL,
        method: str = "POST",
        body: bytes | None = None,
    ) -> SignedRequest:
        """One request.

        secret       another one than `secret(provider)`: to be refused, or because the app has it
        id           the event's id; by default a new one, so give it to make a duplicate
        timestamp_s  when it was signed; by default now, less `age_s` (negative for the future)
        url          the public one of the receiver: some providers sign it
        body         the bytes themselves, instead of type and payload

        Raises Misconfigured for an unknown provider, SecretError for an impossible secret.
        """
        now_s = self._clock.now_ms() // 1000 if self.now_s is None else self.now_s
        at_s = (now_s if timestamp_s is None else timestamp_s) - age_s
        self._made += 1
        name = id if id is not None else f"evt_{self._made}"
        draft = Draft(body=b"", timestamp_s=at_s, id=name, type=type, url=url, method=method)
        content = {} if payload is None else payload
        if body is not None:
            draft, content = structs.replace(draft, body=body), None
        pair = KeyPair(secret, secret) if secret is not None else self.key_pair(provider)
        return _signed(provider, draft, content, pair)

    def __getattr__(self, name: str) -> Make:
        if name.startswith("_"):
            raise AttributeError(name)
        scheme_of(name)

        def make(*arguments: Any, **options: Any) -> SignedRequest:
            return self(name, *arguments, **options)

        return make

    def secret(self, provider: str | Scheme) -> str:
        """What the receiver under test must verify with: a secret, or a public key."""
        return self.key_pair(provider).verifying

    def key_pair(self, provider: str | Scheme) -> KeyPair:
        scheme = scheme_of(provider)
        given = self.secrets.get(scheme.name)
        return key_pair(scheme, _KEY) if given is None else KeyPair(given, given)


def _signed(
    provider: str | Scheme,
    draft: Draft,
    payload: object,
    pair: KeyPair,
    *,
    damage: frozenset[str] = frozenset(),
) -> SignedRequest:
    scheme = scheme_of(provider)
    if payload is not None:
        draft = structs.replace(draft, body=enveloped(scheme, draft, payload))
    made = scheme.sign(draft, pair.signing)
    return SignedRequest(
        provider=provider,
        method=made.method,
        url=made.url,
        headers=dict(made.headers),
        body=made.body,
        secret=pair.verifying,
        documents=made.documents,
        draft=draft,
        payload=payload,
        signing=pair.signing,
        damage=damage,
    )


def _call(client: Any, target: str, request: SignedRequest) -> Any:
    method, headers, body = request.method, request.headers, request.body
    if hasattr(client, "generic"):  # Django's, sync and async
        kind = next((text for name, text in headers.items() if name.lower() == _KIND), "")
        rest = {name: text for name, text in headers.items() if name.lower() != _KIND}
        return client.generic(method, target, body, content_type=kind, headers=rest)
    if not hasattr(client, "request"):  # Flask's
        return client.open(target, method=method, headers=headers, data=body)
    takes = inspect.signature(client.request).parameters
    content = {"content" if "content" in takes else "data": body}
    return client.request(method, target, headers=headers, **content)


_KIND: Final = "content-type"
