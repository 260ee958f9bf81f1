"""Requests as the provider makes them, in all the ways that are right: each must be accepted."""

from typing import Final

from ringback.torture.case import Case
from ringback.torture.maker import Maker, changed, respelled, with_headers

ACK_S: Final = 3.0
"""Slack's budget, the tightest that is common."""

_REFUSED: Final = "the provider counts it as failed, sends it again, and gives the endpoint up"


def good(make: Maker) -> Case:
    return Case(
        name="good",
        title="a good request",
        want="accept",
        shots=(make.shot(),),
        effects=1,
        why=f"the receiver refuses its own provider: {_REFUSED}",
        todo="check the secret, the raw body, the public URL and the clock (--secret, --url)",
    )


def connection(make: Maker) -> Case:
    return Case(
        name="connection-kept",
        title="three good requests on one connection",
        want="accept",
        manner="on one connection",
        shots=tuple(make.shot() for _ in range(3)),
        effects=3,
        why="a body that is not read to its end is taken for the head of the next request",
        todo="read the whole body before answering, also where you do not need it",
    )


def header_case(make: Maker) -> Case:
    upper, lower = make.shot(), make.shot()
    return Case(
        name="header-case",
        title="header names in upper and in lower case",
        want="accept",
        shots=(
            with_headers(upper, *((name.upper(), text) for name, text in upper.headers)),
            with_headers(lower, *((name.lower(), text) for name, text in lower.headers)),
        ),
        why=f"names have no case, and proxies change it (RFC 9110, 5.1): {_REFUSED}",
        todo="look headers up without regard to case",
    )


def more_headers(make: Maker) -> Case:
    shot = make.shot()
    others = [(b"X-Other-%d" % number, b"x" * 40) for number in range(40)]
    trace = (b"Traceparent", b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
    return Case(
        name="more-headers",
        title="forty further headers",
        want="accept",
        shots=(with_headers(shot, *shot.headers, trace, *others),),
        why=f"providers and proxies add headers as they like: {_REFUSED}",
        todo="ignore what you do not know",
    )


def odd_spelling(make: Maker) -> Case:
    draft = make.draft()
    body = respelled(draft.body)
    shot = make.raw(body.replace(b"\n", b"\n ")) if body else None
    return Case(
        name="odd-spelling",
        title="JSON with line breaks and spaces, signed so",
        want="accept",
        shots=(shot,) if shot else (),
        why="what is verified is not what was received, but what a JSON library made of it",
        todo="verify the raw bytes before anything decodes them (`await request.body()`)",
        skip="" if shot else "its bodies are no JSON",
    )


def unknown_type(make: Maker) -> Case:
    shot = make.raw(make.draft().body.replace(make.terms.type.encode(), b"ringback.unheard.of"))
    return Case(
        name="unknown-type",
        title="an event type that nobody has heard of",
        want="accept",
        shots=(shot,) if shot else (),
        is_advice=True,
        why=f"providers add types, and send them to whoever listens to all: {_REFUSED}",
        todo="acknowledge what you have no handler for",
        skip="" if shot else "its type is not in the body",
    )


def content_types(make: Maker) -> Case:
    shots = []
    for kind in (b"application/json; charset=utf-8", b"text/plain", b""):
        shot = make.shot()
        rest = [field for field in shot.headers if field[0].lower() != b"content-type"]
        shots.append(with_headers(shot, *rest, *([(b"Content-Type", kind)] if kind else [])))
    return Case(
        name="content-type",
        title="with a charset, as text/plain, and without a Content-Type",
        want="accept",
        shots=tuple(shots),
        is_advice=True,
        why=f"the header is not signed, and providers change it: {_REFUSED}",
        todo="read the body by its bytes, and not by what a framework makes of its type",
    )


def chunked(make: Maker) -> Case:
    return Case(
        name="chunked",
        title="a body in chunks, without a length",
        want="accept",
        shots=(changed(make.shot(), is_chunked=True),),
        is_advice=True,
        why=f"proxies frame bodies anew, and some servers then hand on an empty one: {_REFUSED}",
        todo="use a server that takes chunks, or have your proxy buffer requests",
    )


def slow_body(make: Maker) -> Case:
    return Case(
        name="slow-body",
        title="a body that takes two seconds to come",
        want="accept",
        shots=(changed(make.shot(), pace_s=2.0),),
        why=f"networks are slow at times: {_REFUSED}",
        todo="wait some seconds for the body, and read until it is whole",
    )


def in_time(make: Maker) -> Case:
    return Case(
        name="in-time",
        title=f"five good requests, each answered within {ACK_S:g} s",
        want="accept",
        shots=tuple(make.shot() for _ in range(5)),
        within_s=ACK_S,
        why="providers wait 3 to 30 s, then send again what you are still working on",
        todo="keep the event, answer, and process it afterwards",
    )


MAKERS: Final = (
    good,
    connection,
    header_case,
    more_headers,
    odd_spelling,
    unknown_type,
    content_types,
    chunked,
    slow_body,
    in_time,
)
