"""Contentful, local vectors: the canonical request is made here by hand."""

import hmac

import pytest

from ringback.errors import Malformed, Mismatch, Missing, Stale
from ringback.receive import Draft, VerifiedEvent, sign, verify

NOW_S = 1_735_689_600
SECRET = "s" * 64
BODY = b'{"sys":{"id":"1"}}'
SIGNED = "x-contentful-signed-headers"
TIMESTAMP = "x-contentful-timestamp"


def made(path: str, *, names: str = "", method: str = "POST") -> dict[str, str]:
    names = names or f"x-contentful-crn,{SIGNED},{TIMESTAMP}"
    values = {"x-contentful-crn": "crn:contentful", SIGNED: names, TIMESTAMP: f"{NOW_S}000"}
    line = ";".join(f"{name}:{values[name]}" for name in names.split(",") if name in values)
    content = f"{method}\n{path}\n{line}\n".encode() + BODY
    tag = hmac.new(SECRET.encode(), content, "sha256").hexdigest()
    return {**values, "x-contentful-topic": "ContentManagement.Entry.publish"} | {
        "x-contentful-signature": tag
    }


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("https://a.example/hooks", "/hooks"),
        ("https://a.example", "/"),
        ("https://a.example/a b/ü", "/a%20b/%C3%BC"),
        ("https://a.example/a%20b", "/a%2520b"),
        ("https://a.example/hooks?a=1&b=x y", "/hooks?a%253D1%2526b%253Dx%2520y"),
        ("https://a.example/(x)!'*;,/:@&=+$", "/(x)!'*;,/:@&=+$"),
    ],
)
def test_the_path_is_escaped_as_javascript_does_local_vectors(url: str, path: str) -> None:
    event = verify("contentful", made(path), BODY, secrets=SECRET, now_s=NOW_S, url=url)

    assert event.type == "ContentManagement.Entry.publish"
    assert event.timestamp_s == NOW_S
    with pytest.raises(Mismatch):
        verify("contentful", made(path), BODY, secrets=SECRET, now_s=NOW_S, url=url + "/x")


def test_the_window_is_half_a_minute() -> None:
    url = "https://a.example/hooks"
    with pytest.raises(Stale):
        verify("contentful", made("/hooks"), BODY, secrets=SECRET, now_s=NOW_S + 31, url=url)


@pytest.mark.parametrize(
    "names",
    [
        SIGNED,
        TIMESTAMP,
        "x-contentful-crn",
        f"{SIGNED},{TIMESTAMP},",
        f"{SIGNED};{TIMESTAMP}",
        f"{SIGNED}, {TIMESTAMP}",
        f"{SIGNED},{TIMESTAMP}," + ",".join(["a"] * 63),
    ],
)
def test_what_must_be_signed_must_be_named(names: str) -> None:
    with pytest.raises(Malformed):
        verify(
            "contentful",
            made("/", names=names),
            BODY,
            secrets=SECRET,
            now_s=NOW_S,
            url="https://a.example/",
        )


def test_a_signed_header_must_be_there_once_and_be_one_line() -> None:
    url, headers = "https://a.example/", made("/")
    without = {name: text for name, text in headers.items() if name != "x-contentful-crn"}
    with pytest.raises(Missing):
        verify("contentful", without, BODY, secrets=SECRET, now_s=NOW_S, url=url)
    for text in ("a\nb", ""):
        with pytest.raises(Malformed):
            verify(
                "contentful",
                {**headers, "x-contentful-crn": text},
                BODY,
                secrets=SECRET,
                now_s=NOW_S,
                url=url,
            )


def test_a_url_that_cannot_be_read_is_malformed() -> None:
    draft = Draft(body=BODY, timestamp_s=NOW_S)
    good = sign("contentful", draft, SECRET)
    for url in ("http://[::1", "http://[x]/"):
        with pytest.raises((Malformed, Mismatch)):
            verify("contentful", good.headers, BODY, secrets=SECRET, now_s=NOW_S, url=url)


def test_the_same_bytes_for_two_events_are_told_apart_by_the_idempotency_key() -> None:
    url = "https://a.example/hooks"
    key = "x-contentful-idempotency-key"

    def sent(event_id: str) -> VerifiedEvent:
        request = sign(
            "contentful", Draft(body=BODY, timestamp_s=NOW_S, id=event_id, url=url), SECRET
        )
        return verify("contentful", request.headers, BODY, secrets=SECRET, now_s=NOW_S, url=url)

    first, second = sent("key-1"), sent("key-2")

    assert (first.id, second.id) == ("key-1", "key-2")
    assert first.is_id_signed
    beside = {**made("/hooks"), key: "key-3"}
    unsigned = verify("contentful", beside, BODY, secrets=SECRET, now_s=NOW_S, url=url)
    assert (unsigned.id, unsigned.is_id_signed) == ("key-3", False)
