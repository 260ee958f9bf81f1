"""Whatever comes over the wire, the answer is one clear error and never a 5xx.

Three ways to be wrong: requests to every route with random paths, queries, headers and bodies;
requests that are no HTTP, or nearly; and (in `test_api_openapi`) requests made from the document.
The end of the stage checks that nothing was logged as an error meanwhile.
"""

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote_from_bytes

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Struct
from msgspec.structs import fields

from ringback.api.app import DOCS_PATH, OPENAPI_PATH
from ringback.api.route import Route
from ringback.api.routes import ROUTES
from ringback.testing.asker import Asker, Reply, reply_in
from ringback.testing.stage import one_of_each

EXAMPLES = 20
EXAMPLES_OF_BYTES = 400
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND"]
SERVER_ERROR = re.compile(rb"^HTTP/1\.\d 5", re.MULTILINE)
NAMES = [
    "idempotency-key",
    "authorization",
    "x-request-id",
    "content-type",
    "content-encoding",
    "accept",
    "accept-encoding",
    "origin",
    "access-control-request-headers",
    "cookie",
    "if-match",
    "range",
    "te",
    "x-forwarded-for",
]

LATELY = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
# Likely values get further than random ones. No host but this machine: some will be sent to.
LIKELY = ["", "*", "e", "order.paid", "http://127.0.0.1:1/", LATELY, "whsec_AAAA"]
# What the fields without which little works could be.
GOOD: dict[str, Any] = {
    "description": "",
    "eventType": "order.paid",
    "headers": {"X-Shop": "1"},
    "name": "any.name",
    "payload": {},
    "since": LATELY,
    "url": "http://127.0.0.1:1/",
}
numbers = st.integers(-(2**70), 2**70) | st.floats() | st.sampled_from([0, 1, -1, 2**31, 2**63])
scalars = st.none() | st.booleans() | numbers | st.text(max_size=20) | st.sampled_from(LIKELY)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=8,
)
visible = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), max_size=30)
encoded = st.binary(max_size=20).map(lambda part: quote_from_bytes(part, safe=""))
header_values = st.text(
    st.characters(min_codepoint=0x20, max_codepoint=0xFF, exclude_characters="\x7f"), max_size=40
)


def names_of(shape: type[Struct] | None) -> st.SearchStrategy[str]:
    """Those that a body or query has, and any other."""
    known = [] if shape is None else [field.encode_name for field in fields(shape)]
    return st.sampled_from([*known, "x"]) | st.text(max_size=8)


def bodies(route: Route) -> st.SearchStrategy[bytes]:
    """Nearly right, JSON at least, cut off in the middle, or any bytes."""
    more = st.dictionaries(names_of(route.body), values, max_size=4)
    nearly = st.builds(lambda known, more: {**known, **more}, good(route.body), more)
    written = (nearly | nearly | values).map(lambda value: json.dumps(value).encode())
    cut = st.builds(lambda text, at: text[:at], written, st.integers(0, 40))
    return written | written | cut | st.binary(max_size=60)


def good(shape: type[Struct] | None) -> st.SearchStrategy[dict[str, Any]]:
    known = set() if shape is None else {field.encode_name for field in fields(shape)}
    return st.fixed_dictionaries(
        {name: mostly(st.just(GOOD[name]), values) for name in sorted(known & GOOD.keys())}
    )


def mostly(usual: st.SearchStrategy[Any], *others: st.SearchStrategy[Any]) -> Any:
    return st.one_of(usual, usual, usual, *others)


def queries(route: Route) -> st.SearchStrategy[str]:
    pair = st.builds("{}={}".format, names_of(route.query).map(quoted), encoded | visible)
    return st.lists(pair | visible, max_size=4).map("&".join)


def quoted(text: str) -> str:
    return quote_from_bytes(text.encode(errors="surrogatepass"), safe="")


def paths(route: Route, known: dict[str, str]) -> st.SearchStrategy[str]:
    """The route's, with a thing that exists, or anything else, in each place."""
    parts = [
        mostly(st.just(known[part[1:-1]]), encoded, visible) if part[:1] == "{" else st.just(part)
        for part in route.path.split("/")
    ]
    return st.tuples(*parts).map("/".join)


def requests(route: Route, known: dict[str, str], token: str) -> st.SearchStrategy[Any]:
    """A method and the bytes of a request, framed as it should be."""

    def write(
        method: str, path: str, query: str, headers: list[tuple[str, str]], body: bytes
    ) -> tuple[str, bytes]:
        lines = [
            f"{method} {path}{'?' if query else ''}{query} HTTP/1.1",
            "Host: ringback.test",
            f"Authorization: Bearer {token}",
            *(f"{name}: {value}" for name, value in headers),
            f"Content-Length: {len(body)}",
            "Connection: close",
        ]
        return method, "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body

    return st.builds(
        write,
        mostly(st.just(route.method), st.sampled_from(METHODS)),
        paths(route, known),
        st.just("") | queries(route),
        st.lists(st.tuples(st.sampled_from(NAMES), header_values), max_size=3),
        bodies(route),
    )


def check(reply: Reply, method: str) -> None:
    assert reply.headers["x-content-type-options"] == "nosniff"
    if reply.status < 400:
        return
    assert reply.headers["content-type"] == "application/json"
    assert reply.status < 500 or reply.status == 501, reply
    if method == "HEAD":
        return
    problem = reply.json
    if reply.status == 422:
        [violation] = problem["detail"]
        assert set(violation) == {"loc", "msg", "type"}
    else:
        assert set(problem) == {"code", "detail"}
        assert (problem["code"] == "not_implemented") is (reply.status == 501)
    assert b"Traceback" not in reply.body


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.operation)
def test_no_request_to_any_route_is_a_5xx(api: Asker, route: Route) -> None:
    @settings(max_examples=EXAMPLES)
    @given(request=requests(route, one_of_each(api), api.token))
    def asked(request: tuple[str, bytes]) -> None:
        method, sent = request
        check(reply_in(api.say(sent), method), method)

    asked()


def test_no_bytes_at_all_are_a_5xx(api: Asker) -> None:
    known = one_of_each(api)
    head = f" HTTP/1.1\r\nHost: ringback.test\r\nAuthorization: Bearer {api.token}\r\n"
    body = '{"eventType":"e","payload":{"a":[1,2,3]}}'
    seeds = [
        *(f"GET {path}{head}\r\n" for path in (OPENAPI_PATH, DOCS_PATH, "/", "/api/v1/app")),
        f"POST /api/v1/app/{known['app_id']}/msg{head}Content-Length: {len(body)}\r\n\r\n{body}",
        f"POST /api/v1/app{head}Transfer-Encoding: chunked\r\n\r\n2\r\n{{}}\r\n0\r\n\r\n",
    ]
    edits = st.lists(
        st.tuples(st.floats(0, 1), st.integers(0, 12), st.binary(max_size=12)), max_size=4
    )
    edited = st.builds(
        lambda parts, changes: with_edits("".join(parts).encode(), changes),
        st.lists(st.sampled_from(seeds), min_size=1, max_size=3),
        edits,
    )

    @settings(max_examples=EXAMPLES_OF_BYTES)
    @given(sent=edited | st.binary(max_size=200))
    def said(sent: bytes) -> None:
        heard = api.say(sent)
        assert not SERVER_ERROR.search(heard), heard
        assert b"Traceback" not in heard

    said()
    assert api.get("/health/ping").status == 204


def with_edits(text: bytes, edits: list[tuple[float, int, bytes]]) -> bytes:
    """Some bytes cut out, others put in, here and there."""
    for place, cut, added in edits:
        at = int(place * len(text))
        text = text[:at] + added + text[at + cut :]
    return text
