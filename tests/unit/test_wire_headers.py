"""Custom headers, and the head that they end up in."""

import pytest

from ringback.wire.headers import HEADERS_MAX, VALUE_BYTES_MAX, check_custom, is_forbidden
from ringback.wire.target import target

FORBIDDEN = """
User-Agent keep-alive proxy-authenticate Proxy-Authorization TE trailers Trailer Transfer-Encoding
upgrade age cache-control clear-site-data expires pragma warning Content-Length content-type
Content-Encoding content-language content-location Content-Digest X-Amz-Date x-amzn-trace-id
x-googleapis x-goog-api-key x-gfe-x X-Azure-Ref x-fd-healthprobe x-svix-a svix-id Svix-Signature
webhook-id Webhook-Signature webhook-anything host HOST Connection Expect Cookie Accept-Encoding
"""


@pytest.mark.parametrize("name", FORBIDDEN.split())
def test_names_of_the_sender_are_refused_in_any_case(name: str) -> None:
    assert is_forbidden(name)
    for spelled in (name, name.upper(), name.lower()):
        with pytest.raises(ValueError, match="set by the sender"):
            check_custom({spelled: "x"})


@pytest.mark.parametrize(
    "name", ["", " ", "a b", "a:", "a\r\nb", "ä", "a\x00", "(a)", 'a"', "a/b", "a" * 257, "а"]
)
def test_names_that_are_no_tokens_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="is not a header name"):
        check_custom({name: "x"})


@pytest.mark.parametrize(
    "value",
    ["a\r\nb: c", "a\nb", "a\rb", "a\x00", "a\r\n b", " a", "a ", "\ta", "ü", "\x7f", "\x1b"],
)
def test_values_that_could_begin_a_header_are_refused(value: str) -> None:
    with pytest.raises(ValueError, match="visible ASCII"):
        check_custom({"x-a": value})


def test_limits() -> None:
    check_custom({"x-a": "v" * VALUE_BYTES_MAX, "x-b": "", "X-C": "a \t b"})
    with pytest.raises(ValueError, match="longer than"):
        check_custom({"x-a": "v" * (VALUE_BYTES_MAX + 1)})
    check_custom({f"x-{number}": "v" for number in range(HEADERS_MAX)})
    with pytest.raises(ValueError, match="at most"):
        check_custom({f"x-{number}": "v" for number in range(HEADERS_MAX + 1)})
    with pytest.raises(ValueError, match="given twice"):
        check_custom({"X-A": "1", "x-a": "2"})


def test_the_head_has_everything_but_content_type_and_length() -> None:
    built = target(
        "https://Example.com:8443/hooks?a=b#c",
        {"X-Custom": "1", "x-lower": "two words"},
        user_agent="Ringback/1",
    )
    assert built.head == (
        b"POST /hooks?a=b HTTP/1.1\r\n"
        b"Host: example.com:8443\r\n"
        b"User-Agent: Ringback/1\r\n"
        b"Accept: */*\r\n"
        b"Accept-Encoding: identity\r\n"
        b"X-Custom: 1\r\n"
        b"x-lower: two words\r\n"
    )
    assert (built.is_tls, built.host, built.port) == (True, "example.com", 8443)
    assert built.url == "https://example.com:8443/hooks?a=b"


def test_an_ipv6_host_has_brackets_in_the_head_only() -> None:
    built = target("http://[::1]:8080/", {}, user_agent="R")
    assert b"Host: [::1]:8080\r\n" in built.head
    assert built.host == "::1"


def test_credentials_of_the_url_become_basic_and_leave_the_url() -> None:
    built = target("https://user:pass@example.com/", {}, user_agent="R")
    assert b"Authorization: Basic dXNlcjpwYXNz\r\n" in built.head
    assert built.url == "https://example.com/"


def test_custom_headers_replace_those_that_may_be_replaced() -> None:
    built = target(
        "https://user:pass@example.com/",
        {"authorization": "Bearer t", "accept": "text/plain", "host": "evil", "Webhook-Id": "1"},
        user_agent="R",
    )
    lines = built.head.split(b"\r\n")
    assert [line for line in lines if line.lower().startswith(b"authorization")] == [
        b"authorization: Bearer t"
    ]
    assert [line for line in lines if line.lower().startswith(b"accept:")] == [
        b"accept: text/plain"
    ]
    assert b"evil" not in built.head
    assert b"Webhook-Id" not in built.head


def test_a_malformed_stored_header_never_reaches_the_wire() -> None:
    with pytest.raises(ValueError, match="visible ASCII"):
        target("https://example.com/", {"x-a": "1\r\nHost: evil"}, user_agent="R")
    with pytest.raises(ValueError, match="User-Agent"):
        target("https://example.com/", {}, user_agent="R\r\n")
