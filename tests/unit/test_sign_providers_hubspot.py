"""HubSpot's three signatures: the vendor's vectors, and what the older ones cannot see."""

from hashlib import sha256
from typing import Any

import pytest

from ringback.errors import Malformed, Mismatch, Stale
from ringback.receive import Draft, sign, verify

SECRET = "yyyyyyyy-yyyy-yyyy-yyyy-yyyyyyyyyyyy"
URL = "https://www.example.com/webhook_uri"
V1_BODY = (
    b'[{"eventId":1,"subscriptionId":12345,"portalId":62515,"occurredAt":1564113600000,'
    b'"subscriptionType":"contact.creation","attemptNumber":0,"objectId":123,'
    b'"changeSource":"CRM","changeFlag":"NEW","appId":54321}]'
)
NOW_S = 1_735_689_600


def v3(headers: dict[str, str], body: bytes, url: str = URL, **changes: Any) -> Any:
    arguments: dict[str, Any] = {"secrets": SECRET, "now_s": 15_000, "url": url, **changes}
    return verify("hubspot", headers, body, **arguments)


VENDOR_S = {
    "X-HubSpot-Signature-v3": "HPW73RUtKmcYoEDADG0s6MmGFWUzWJKAW07r8RDgcQw=",
    "X-HubSpot-Request-Timestamp": "15000000",
}


def test_the_vendor_s_v3_vector() -> None:
    body = b"{'example_field':'example_value'}"

    # The signature is right, and only then is the body found not to be JSON.
    with pytest.raises(Malformed, match="JSON"):
        v3(VENDOR_S, body)
    with pytest.raises(Mismatch):
        v3(VENDOR_S, body + b" ")
    with pytest.raises(Mismatch):
        v3(VENDOR_S, body, "http://www.example.com/webhook_uri")
    with pytest.raises(Mismatch):
        v3(VENDOR_S, body, method="PUT")
    with pytest.raises(Stale):
        v3(VENDOR_S, body, now_s=15_301)


def test_the_vendor_s_v1_vector() -> None:
    signature = "232db2615f3d666fe21a8ec971ac7b5402d33b9a925784df3ca654d05f4817de"
    headers = {"X-HubSpot-Signature": signature, "X-HubSpot-Signature-Version": "v1"}

    event = verify("hubspot_v1", headers, V1_BODY, secrets=SECRET, now_s=NOW_S).events()[0]

    assert (event.id, event.type) == ("1:12345:123:1564113600000", "contact.creation")
    with pytest.raises(Malformed):
        verify(
            "hubspot_v1",
            {**headers, "X-HubSpot-Signature-Version": "v2"},
            V1_BODY,
            secrets=SECRET,
            now_s=NOW_S,
        )


def test_the_vendor_s_v2_vector() -> None:
    signature = "eee2dddcc73c94d699f5e395f4b9d454a069a6855fbfa152e91e88823087200e"
    headers = {"X-HubSpot-Signature": signature, "X-HubSpot-Signature-Version": "v2"}
    arguments: dict[str, Any] = {"secrets": SECRET, "now_s": NOW_S, "method": "GET"}

    assert verify("hubspot_v2", headers, b"", url=URL, **arguments).payload is None
    with pytest.raises(Mismatch):
        verify("hubspot_v2", headers, b"", url=URL + "?a=1", **arguments)
    headers = {**headers, "X-HubSpot-Signature-Version": "v1"}
    with pytest.raises(Malformed):
        verify("hubspot_v2", headers, b"", url=URL, **arguments)


@pytest.mark.parametrize(
    ("url", "seen"),
    [
        ("https://a.example/x?u=http%3A%2F%2Fb", "https://a.example/x?u=http://b"),
        ("https://a.example/x?u=http%3a%2f%2fb", "https://a.example/x?u=http://b"),
        ("https://a.example/x?m=a%40b%2C%21", "https://a.example/x?m=a@b,!"),
        ("https://a.example/x?q=a%20b%26c", "https://a.example/x?q=a%20b%26c"),
    ],
)
def test_twelve_escapes_of_the_url_are_decoded(url: str, seen: str) -> None:
    draft = Draft(body=b"[]", timestamp_s=NOW_S, url=seen)
    made = sign("hubspot", draft, SECRET)

    for called in (url, seen):
        event = verify("hubspot", made.headers, made.body, secrets=SECRET, now_s=NOW_S, url=called)
        assert list(event.events()) == []
    with pytest.raises(Mismatch):
        verify(
            "hubspot",
            made.headers,
            made.body,
            secrets=SECRET,
            now_s=NOW_S,
            url=url + "&more=1",
        )


def test_what_is_added_behind_a_bare_hash_is_not_json() -> None:
    """Whoever knows the hash of `secret ‖ body` can go on hashing, but only behind the padding."""
    body = b"[]"
    length = len(SECRET) + len(body)
    padding = b"\x80" + bytes(-(length + 9) % 64) + (8 * length).to_bytes(8)
    longer = body + padding + b'[{"eventId":2}]'
    signature = sha256(SECRET.encode() + longer).hexdigest()

    with pytest.raises(Malformed):
        verify(
            "hubspot_v1", {"X-HubSpot-Signature": signature}, longer, secrets=SECRET, now_s=NOW_S
        )


def test_a_url_that_cannot_be_text_is_another_url() -> None:
    made = sign("hubspot", Draft(body=b"[]", timestamp_s=NOW_S), SECRET)

    for url in ("\udcff", "%", "%3", "x" * 10_000):
        with pytest.raises(Mismatch):
            verify("hubspot", made.headers, b"[]", secrets=SECRET, now_s=NOW_S, url=url)
