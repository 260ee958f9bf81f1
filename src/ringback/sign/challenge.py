"""Answers to handshakes: what is echoed is bounded, typed and never taken for a page.

A challenge that anybody may send comes back to whoever sent it, so it must not be worth sending:
only visible ASCII of a named length is echoed, as plain text that browsers may not reinterpret.
"""

from typing import Final

from ringback.errors import Malformed
from ringback.sign.payload import as_json, form_pairs
from ringback.sign.request import Request
from ringback.sign.scheme import Reply

CHALLENGE_CHARS_MAX: Final = 1_024
NO_SNIFF: Final = ("X-Content-Type-Options", "nosniff")


def echo(text: object) -> Reply:
    """The text itself, as plain text. Raises Malformed as `checked` does."""
    return plain(checked(text))


def plain(text: str, status: int = 200) -> Reply:
    return Reply(status, (("Content-Type", "text/plain; charset=utf-8"), NO_SNIFF), text.encode())


def json_reply(value: object, status: int = 200) -> Reply:
    return Reply(status, (("Content-Type", "application/json"), NO_SNIFF), as_json(value))


def checked(text: object) -> str:
    """A challenge that is fit to be answered. Raises Malformed if it is not short visible ASCII."""
    if not (isinstance(text, str) and 0 < len(text) <= CHALLENGE_CHARS_MAX):
        raise Malformed(f"the challenge is not a text of at most {CHALLENGE_CHARS_MAX} characters")
    if not (text.isascii() and text.isprintable()) or set(text) & set("<>&\"'"):
        raise Malformed("the challenge has characters that no challenge needs")
    return text


def query_of(request: Request) -> dict[str, str]:
    """The parameters of the URL's query. Raises Malformed if one is repeated or there are too many.

    Without a URL there are none: a challenge in a query can only be answered by who knows it.
    """
    query = (request.url or "").partition("#")[0].partition("?")[2]
    pairs = form_pairs(query.encode("utf-8", "surrogatepass"))
    if len(dict(pairs)) != len(pairs):
        raise Malformed("a parameter of the query is given more than once")
    return dict(pairs)
