"""URLs: the normal form, and everything odd that is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.wire.url import URL_CHARS_MAX, parse

NORMAL = {
    "http://h": "http://h/",
    "HTTPS://EXAMPLE.com": "https://example.com/",
    "https://example.com:443/a": "https://example.com/a",
    "http://example.com:80/": "http://example.com/",
    "http://example.com:443/": "http://example.com:443/",
    "https://example.com:8443/a?b=c": "https://example.com:8443/a?b=c",
    "https://example.com?b=c": "https://example.com/?b=c",
    "https://example.com/a#fragment": "https://example.com/a",
    "http://a.com#@127.0.0.1/": "http://a.com/",
    "https://example.com./": "https://example.com/",
    "http://LOCALHOST./": "http://localhost/",
    "https://example.com/a/./b/../c": "https://example.com/a/c",
    "https://example.com/a/%2e%2E/b/.": "https://example.com/b/",
    "https://example.com/../..": "https://example.com/",
    "https://example.com//a": "https://example.com//a",
    "https://example.com/ü?q=ü'": "https://example.com/%C3%BC?q=%C3%BC%27",
    'https://example.com/"<>`{}': "https://example.com/%22%3C%3E%60%7B%7D",
    "https://example.com/%zz%20": "https://example.com/%zz%20",
    "https://bücher.example/": "https://xn--bcher-kva.example/",
    "https://BÜCHER.example/": "https://xn--bcher-kva.example/",
    "https://xn--fa-hia.de/": "https://xn--fa-hia.de/",
    "https://💩.la/": "https://xn--ls8h.la/",
    "http://a。com/": "http://a.com/",
    "http://my_service.local/": "http://my_service.local/",
    "http://192.0.2.1:8080/x": "http://192.0.2.1:8080/x",
    "http://[::1]/": "http://[::1]/",
    "http://[0:0:0:0:0:0:0:1]:8080/": "http://[::1]:8080/",
    "https://[2001:DB8::A]:443/": "https://[2001:db8::a]/",
    "http://user:p%40ss@example.com/": "http://user:p%40ss@example.com/",
}


@pytest.mark.parametrize(("url", "text"), NORMAL.items())
def test_the_normal_form(url: str, text: str) -> None:
    parsed = parse(url)
    assert parsed.text == text
    assert parse(parsed.text) == parsed


REFUSED = [
    # Other notations of addresses.
    "http://2130706433/", "http://0x7f000001/", "http://0177.0.0.1/", "http://127.1/", "http://0/",
    "http://0x7f.1/", "http://127.0.0.01/", "http://127.0.0.1.1/", "http://256.1.1.1/",
    "http://0xA9FEA9FE/", "http://2852039166/", "http://0251.0376.0251.0376/", "http://a.1/",
    "http://１２７.０.０.１/", "http://①②⑦.⓪.⓪.①/", "http://127。0。0。1/", "http://127.0.0.1./x/@",
    "http://a.0x/",
    # Brackets and zones.
    "http://[::1", "http://[::1]x/", "http://[fe80::1%25eth0]/", "http://[fe80::1%eth0]/",
    "http://[1.2.3.4]/", "http://[::12345]/", "http://[]/", "http://::1/",
    # Userinfo tricks.
    "http://127.0.0.1\\@a.com/", "http://a@b@c.com/", "http://@a.com/", "http://us er@a.com/",
    "http://a%3Ab:c@a.com/", "http://a%0d%0a:c@a.com/", "http://a%zz:c@a.com/", "http://ü@a.com/",
    # Schemes and shapes.
    "file:///etc/passwd", "gopher://a.com/", "ftp://a.com/", "dict://a.com/", "data:text/plain,a",
    "javascript:alert(1)", "http+unix://a/", "ws://a.com/", "http:///x", "//a.com", "", "a.com",
    "http:a.com", "http:/a.com", "http://", "https://?x", "https://#x", "http://:80/",
    # Ports.
    "http://a.com:0/", "http://a.com:22/", "http://a.com:25/", "http://a.com:6379/", "http://a.com:",
    "http://a.com:65536/", "http://a.com:-1/", "http://a.com:80:80/", "http://a.com:+80/",
    "http://a.com:８０/", "http://a.com:000080/", "http://[::1]:/", "http://a.com:٣/",
    # Characters.
    "http://a.com/\r\nX: y", "http://a.com\r\n/", "http://a.com/\t", "http://a.com/ b", " http://a/",
    "http://a.com/\x00", "http://a%00.com/", "http://a%2ecom/", "http://a.com/\x7f", "http://a\xa0b/",
    "http://a.com/\u2028", "http://a.com/\ud800", "http://a.com\\b/", "http://a.com/\\b",
    # Names.
    "http://a..com/", "http://.a.com/", "http://-a.com/", "http://a-.com/", "http://a$.com/",
    "http://./", "http://../", "http://a_*.com/", "http://xn--zzzzzz.de/", "http://xn--.de/",
    "http://xn--a.de/", "http://faß.de/", "http://a\u200db.de/", "http://a\u202eb.de/",
    "http://" + "a" * 64 + ".com/", "http://" + ".".join(["a" * 60] * 5) + "/",
    "http://" + "ü" * 250 + "/",
    # Sizes.
    "http://a.com/" + "a" * URL_CHARS_MAX, "http://a.com/" + "ü" * 1_000, "http://" + "a" * 100_000,
]  # fmt: skip


@pytest.mark.parametrize("url", REFUSED)
def test_odd_urls_are_refused_with_one_sentence(url: str) -> None:
    with pytest.raises(ValueError, match=r"URL|port") as refusal:
        parse(url)
    assert type(refusal.value) is ValueError  # Not a UnicodeError that slipped through.
    assert "\n" not in str(refusal.value)


def test_the_host_is_what_follows_the_userinfo() -> None:
    assert parse("http://a.com@127.0.0.1/").host == "127.0.0.1"
    assert parse("http://127.0.0.1%2f@a.com/").host == "a.com"
    assert parse("http://a.com:80@127.0.0.1:8080/").port == 8080


def test_credentials_are_decoded_and_left_out_of_the_public_form() -> None:
    parsed = parse("https://us%20er:p%40%C3%BC:x@example.com/a")
    assert parsed.credentials == "us er:p@ü:x".encode()
    assert parsed.public == "https://example.com/a"
    assert parse("https://token@example.com/").credentials == b"token:"
    assert parse("https://example.com/").credentials is None


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    for url in (text, "http://" + text, "http://a.com/" + text, f"http://{text}@a.com/"):
        try:
            parsed = parse(url)
        except UnicodeError:
            raise
        except ValueError:
            continue
        assert parse(parsed.text) == parsed
        assert parsed.text.isascii()
        assert parsed.text.isprintable()
        assert " " not in parsed.text
