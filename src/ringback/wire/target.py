"""From an endpoint's URL and headers to the head of every request to it, built once.

    POST /path?query HTTP/1.1
    Host: …
    User-Agent: …
    Accept: */*
    Accept-Encoding: identity         never a body that needs unpacking
    Authorization: Basic …            when the URL has credentials and no such header is given
    X-Custom: …                       last, in the case that their owner gave them

Content-Type is not here: a message may bring its own, so it is one of `Request.headers`.
Content-Length is written by the client.
"""

from base64 import b64encode
from collections.abc import Mapping

from ringback.wire.headers import check_form, is_forbidden
from ringback.wire.port import Target
from ringback.wire.url import ParsedUrl, parse


def target(url: str, headers: Mapping[str, str], *, user_agent: str) -> Target:
    """A ready target. Raises ValueError for a URL or header that must not go on the wire.

    Names that only the sender may set are left out without a word: they were refused when the
    endpoint was saved, and a rule that came later must not stop its deliveries.
    `Target.url` has no credentials in it, so it is fit for logs.
    """
    parsed = parse(url)
    custom = {name: value for name, value in headers.items() if not is_forbidden(name)}
    for name, value in (*custom.items(), ("User-Agent", user_agent)):
        check_form(name, value)
    lines = [f"POST {parsed.path} HTTP/1.1", f"Host: {parsed.authority}"]
    lines += [f"{name}: {value}" for name, value in _own(parsed, custom, user_agent).items()]
    lines += [f"{name}: {value}" for name, value in custom.items()]
    return Target(
        is_tls=parsed.is_tls,
        host=parsed.host,
        port=parsed.port,
        head="".join(line + "\r\n" for line in lines).encode("ascii"),
        url=parsed.public,
    )


def _own(parsed: ParsedUrl, custom: Mapping[str, str], user_agent: str) -> dict[str, str]:
    """The headers that the sender adds, without those that a custom header replaces."""
    own = {"User-Agent": user_agent, "Accept": "*/*", "Accept-Encoding": "identity"}
    if parsed.credentials is not None:
        own["Authorization"] = "Basic " + b64encode(parsed.credentials).decode("ascii")
    replaced = {name.lower() for name in custom}
    return {name: value for name, value in own.items() if name.lower() not in replaced}
