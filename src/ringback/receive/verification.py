"""`verify`: headers, raw body and secrets in, an authentic event out, or one family of errors.

It reads no clock, opens no connection and keeps nothing but parsed keys. Whatever bytes come in,
nothing but VerificationError comes out, after work that is bounded by the body's length and by
named limits. `respond` answers a provider's handshake in the same way, and `sign` makes requests
that `verify` accepts, for tests.

Where a provider's certificate or key is needed, `verify` raises KeyNeeded with a URL that it has
checked; whoever may dial fetches it and asks again with the document (see `receive.documents`).
"""

from collections.abc import Mapping, Sequence
from typing import Final

from ringback.errors import Misconfigured, SecretError
from ringback.sign import providers as registry
from ringback.sign.event import VerifiedEvent, event_of
from ringback.sign.request import Headers, received
from ringback.sign.scheme import SECRETS_MAX, Draft, Reply, Scheme, Signed, Terms

TOLERANCE_S_MAX: Final = 7 * 86_400
# 5138-11-16 in seconds; a clock that counts milliseconds is past it.
NOW_S_MAX: Final = 10**11

_NO_DOCUMENTS: Final[Mapping[str, bytes]] = {}


def verify(
    provider: str | Scheme,
    headers: Headers,
    body: bytes,
    *,
    secrets: str | Sequence[str],
    now_s: float,
    url: str | None = None,
    method: str = "POST",
    tolerance_s: int | None = None,
    documents: Mapping[str, bytes] = _NO_DOCUMENTS,
) -> VerifiedEvent:
    """The event, proven to come from the provider.

    provider     a name of `providers()`, or a scheme of your own (`hmac_scheme`)
    headers      a mapping, an `environ`, or pairs of text or bytes
    body         the raw body: the bytes as they were received
    secrets      one, or several while one replaces another (at most `SECRETS_MAX`)
    now_s        Unix time in seconds
    url, method  what the provider called; some sign the URL
    tolerance_s  how far the signed time may be from now; by default as the provider says
    documents    certificates and keys by the URL that a KeyNeeded named

    Raises VerificationError: Missing, Malformed, Mismatch, Stale, KeyNeeded or Misconfigured.
    """
    scheme = scheme_of(provider)
    request = received(method, url, headers, body=body)
    texts = _texts(scheme, secrets)
    terms = _terms(scheme, texts, now_s, tolerance_s=tolerance_s, documents=documents)
    try:
        return event_of(scheme, request, scheme.check(request, terms))
    except SecretError as error:
        raise Misconfigured(f"{scheme.title}: {error}") from None


def respond(
    provider: str | Scheme,
    headers: Headers,
    body: bytes,
    *,
    secrets: str | Sequence[str],
    now_s: float,
    url: str | None = None,
    method: str = "POST",
    tolerance_s: int | None = None,
    documents: Mapping[str, bytes] = _NO_DOCUMENTS,
) -> Reply | None:
    """The answer to the provider's handshake; None if this request is none, so verify it.

    To be asked first, for every request. `url` must have its query: some challenges are in it.
    Arguments and errors are those of `verify`; `secrets` may be empty where the handshake brings
    the secret (`Scheme.gives_secret`, `Reply.secret`).
    """
    scheme = scheme_of(provider)
    if scheme.respond is None:
        return None
    request = received(method, url, headers, body=body)
    texts = () if scheme.gives_secret and is_none(secrets) else _texts(scheme, secrets)
    terms = _terms(scheme, texts, now_s, tolerance_s=tolerance_s, documents=documents)
    try:
        return scheme.respond(request, terms)
    except SecretError as error:
        raise Misconfigured(f"{scheme.title}: {error}") from None


def sign(provider: str | Scheme, draft: Draft, signing: str) -> Signed:
    """A request as the provider would send it, for tests. Raises SecretError for a wrong secret."""
    return scheme_of(provider).sign(draft, signing)


def providers() -> tuple[Scheme, ...]:
    """All providers in the order of their names."""
    return tuple(registry.scheme(name) for name in registry.names())


def scheme_of(provider: str | Scheme) -> Scheme:
    """Raises Misconfigured for a name that is no provider's."""
    if isinstance(provider, Scheme):
        return provider
    if not isinstance(provider, str):
        raise Misconfigured("give `provider` as a name or a scheme")
    return registry.scheme(provider)


def is_none(secrets: object) -> bool:
    """Whether there is no secret yet, as opposed to something that is none."""
    return isinstance(secrets, str | list | tuple) and not secrets


def _terms(
    scheme: Scheme,
    texts: tuple[str, ...],
    now_s: float,
    *,
    tolerance_s: int | None,
    documents: Mapping[str, bytes],
) -> Terms:
    if not (isinstance(now_s, int | float) and 0 <= now_s < NOW_S_MAX):
        raise Misconfigured("give `now_s` as Unix time in seconds: `time.time()`")
    if tolerance_s is None:
        tolerance_s = scheme.tolerance_s or 0
    elif scheme.tolerance_s is None:
        raise Misconfigured(f"{scheme.title} signs no time: leave `tolerance_s` out, and dedupe")
    elif type(tolerance_s) is not int or not 0 < tolerance_s <= TOLERANCE_S_MAX:
        raise Misconfigured(f"give `tolerance_s` as 1 to {TOLERANCE_S_MAX} whole seconds")
    if documents is not _NO_DOCUMENTS:
        _check_documents(documents)
    return Terms(texts, int(now_s), tolerance_s, documents)


def _check_documents(documents: object) -> None:
    if not isinstance(documents, Mapping) or not all(
        isinstance(document, bytes) for document in documents.values()
    ):
        raise Misconfigured("give `documents` as a mapping from URLs to bytes")


def _texts(scheme: Scheme, secrets: object) -> tuple[str, ...]:
    if isinstance(secrets, str):
        return (secrets,)
    texts = tuple(secrets) if isinstance(secrets, list | tuple) else ()
    if not 0 < len(texts) <= SECRETS_MAX or not all(isinstance(text, str) for text in texts):
        raise Misconfigured(
            f"give `secrets` as 1 to {SECRETS_MAX} texts, for {scheme.title} {scheme.secret};"
            " without one nothing can be verified"
        )
    return texts
