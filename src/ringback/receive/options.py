"""What an app brings along for its webhooks, and what can be seen to be wrong with it."""

from collections.abc import Callable, Sequence
from typing import Required, TypedDict

from msgspec import structs

from ringback.errors import Misconfigured, VerificationError
from ringback.receive.body import BODY_BYTES_MAX, BODY_S_MAX
from ringback.receive.documents import Fetch
from ringback.receive.verification import is_none, verify
from ringback.sign.event import enveloped
from ringback.sign.request import Headers
from ringback.sign.scheme import Draft, Scheme

URL_OF_TESTS = "https://shop.example/webhooks"


class Options(TypedDict, total=False):
    """What every adapter takes.

    secrets         one, or several while one replaces another
    public_url      the URL that the provider calls, as you registered it, without its query; only
                    providers that sign the URL need it. It is never guessed from headers
    tolerance_s     how far the signed time may be from now; by default as the provider says
    body_bytes_max  larger bodies are refused with 413, before anything is computed
    body_s_max      how long an async adapter waits for the body; with WSGI the server decides
    source          the name in the inbox, if several senders use one scheme
    fetch           how certificates are fetched; by default as `wire.fetch` does. It may block
    on_secret       told the secret that comes with the handshake (Asana, Notion), for as long as
                    you await one: `secrets` may be empty then. Nothing proves who handed it over
    now_s           Unix time in seconds
    """

    secrets: Required[str | Sequence[str]]
    public_url: str | None
    tolerance_s: int | None
    body_bytes_max: int
    body_s_max: float
    source: str | None
    fetch: Fetch
    on_secret: Callable[[str], object]
    now_s: Callable[[], float]


def check(scheme: Scheme, options: Options, now_s: float) -> None:
    """Raises Misconfigured for what is wrong before anything has come.

    TypeError is for options that there are not.
    """
    if unknown := options.keys() - Options.__annotations__.keys():
        raise TypeError(f"there is no option {', '.join(sorted(unknown))}")
    url = options.get("public_url")
    if scheme.needs_url and not url:
        raise Misconfigured(
            f"{scheme.title} signs the URL: give `public_url`, the one that you registered there."
            " Behind a proxy it is not the one that this app sees"
        )
    if url is not None and (not url.startswith(("https://", "http://")) or set(url) & set("?#")):
        raise Misconfigured(
            "give `public_url` as https://host/path, without a query: that of each request is put"
            " behind it"
        )
    if options.get("body_bytes_max", BODY_BYTES_MAX) < 1 or not (
        options.get("body_s_max", BODY_S_MAX) > 0
    ):
        raise Misconfigured("give `body_bytes_max` and `body_s_max` as numbers above 0")
    if "on_secret" in options and not scheme.gives_secret:
        raise Misconfigured(f"{scheme.title} hands over no secret: leave `on_secret` out")
    if not ("on_secret" in options and is_none(options.get("secrets"))):
        _check_by_trial(scheme, options, now_s)


def _check_by_trial(scheme: Scheme, options: Options, now_s: float) -> None:
    """Has the secrets read once, by a request that is right in everything but its key."""
    draft = Draft(body=b"", timestamp_s=int(now_s), url=options.get("public_url") or URL_OF_TESTS)
    draft = structs.replace(draft, body=enveloped(scheme, draft, {}))
    headers: Headers = ()
    documents = dict[str, bytes]()
    if scheme.keys is not None:
        signed = scheme.sign(draft, scheme.keys(bytes(32)).signing)
        draft = structs.replace(draft, body=signed.body, url=signed.url)
        headers = signed.headers
        documents.update(signed.documents)
    try:
        verify(
            scheme,
            headers,
            draft.body,
            secrets=options.get("secrets", ()),
            now_s=now_s,
            url=draft.url,
            tolerance_s=options.get("tolerance_s"),
            documents=documents,
        )
    except Misconfigured:
        raise
    except VerificationError:
        return
