"""Braintree: pairs of keys, payloads that are no payloads, and XML that is a trap."""

import hmac
from base64 import encodebytes
from hashlib import sha1
from urllib.parse import quote_plus, urlencode

import pytest

from ringback.errors import Malformed, Misconfigured, Mismatch, Missing
from ringback.receive import VerifiedEvent, verify

SECRETS = "integration_public_key:integration_private_key"
XML = (
    "<notification><timestamp type='datetime'>2025-01-01T00:00:00Z</timestamp>"
    "<kind>subscription_went_past_due</kind><subject><name>Zoë</name></subject></notification>"
).encode()


def tag(payload: bytes, private: bytes = b"integration_private_key") -> str:
    return hmac.new(sha1(private).digest(), payload, "sha1").hexdigest()


def form(payload: bytes, signature: str) -> bytes:
    return urlencode({"bt_signature": signature, "bt_payload": payload}).encode()


def received(body: bytes, secrets: str | list[str] = SECRETS) -> VerifiedEvent:
    return verify("braintree", {}, body, secrets=secrets, now_s=0)


def signed(xml: bytes) -> bytes:
    payload = encodebytes(xml)
    return form(payload, f"integration_public_key|{tag(payload)}")


def test_a_notification_is_understood() -> None:
    event = received(signed(XML))

    assert event.type == "subscription_went_past_due"
    assert event.payload == {
        "kind": "subscription_went_past_due",
        "timestamp": "2025-01-01T00:00:00Z",
        "xml": XML.decode(),
    }


def test_the_id_is_that_of_what_is_signed_and_not_of_its_spelling() -> None:
    payload = encodebytes(XML)
    pair = f"integration_public_key|{tag(payload)}"
    # The last line break is not always sent, and may be escaped, as anything may be.
    stripped = payload.removesuffix(b"\n")
    spellings = [
        form(payload, pair),
        form(stripped, pair),
        b"bt_payload=" + quote_plus(payload).encode() + b"&bt_signature=" + pair.encode(),
    ]

    assert len({received(body).id for body in spellings}) == 1


def test_the_pair_of_our_own_public_key_counts() -> None:
    payload = encodebytes(XML)
    good, other = f"integration_public_key|{tag(payload)}", f"other|{tag(payload, b'x')}"

    assert received(form(payload, f"{other}&{good}")).id
    assert received(form(payload, f"{good}&{other}"), ["other:y", SECRETS]).secret_index == 1
    for signature in (
        other,
        f"other|{tag(payload)}",
        f"integration_public_key|{tag(payload, b'x')}",
        f"integration_public_key|{tag(payload)[:-1]}0",
    ):
        with pytest.raises(Mismatch):
            received(form(payload, signature))


@pytest.mark.parametrize("signature", ["", "|", "integration_public_key", "a|b", "&" * 20])
def test_a_signature_that_is_none_is_malformed(signature: str) -> None:
    with pytest.raises(Malformed):
        received(form(encodebytes(XML), signature))


@pytest.mark.parametrize("payload", [b"", b"a b", b"PHg+\r\n", b"<x>", b"\xff", b"a_b-", b"a"])
def test_a_payload_with_illegal_characters_is_malformed(payload: bytes) -> None:
    with pytest.raises(Malformed):
        received(form(payload, f"integration_public_key|{tag(payload)}"))


def test_a_form_of_other_fields_is_refused() -> None:
    good = signed(XML)
    for body in (b"", b"{}", b"bt_payload=YQ==", good.split(b"&")[0]):
        with pytest.raises(Missing):
            received(body)
    for more in (b"&bt_payload=YQ==", b"&bt_signature=a", b"&a=b"):
        with pytest.raises(Malformed):
            received(good + more)
    with pytest.raises(Malformed):
        received(b"\xff=1")


LAUGHS = b'<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;">]><notification>&b;</notification>'


@pytest.mark.parametrize(
    "xml",
    [
        LAUGHS,
        b'<!DOCTYPE x SYSTEM "file:///etc/passwd"><notification/>',
        LAUGHS.decode().encode("utf-16"),
        b"<notification>&undefined;</notification>",
        b"<notification>",
        b"<other/>",
        b"plain",
        b"\xff\xfe",
        b'<?xml version="1.0" encoding="nonsense"?><notification>\xe9</notification>',
        b"<a>" * 100_000,
    ],
)
def test_xml_that_is_no_notification_is_malformed(xml: bytes) -> None:
    with pytest.raises(Malformed):
        received(signed(xml))


def test_a_short_notification_has_no_kind() -> None:
    event = received(signed(b"<notification/>"))

    assert event.type is None
    deep = b"<notification>" + b"<a>" * 50_000 + b"</a>" * 50_000 + b"</notification>"
    assert received(signed(deep)).type is None


@pytest.mark.parametrize("secret", ["public", ":private", "public:", "pub|lic:private", "a b:c"])
def test_both_keys_are_needed(secret: str) -> None:
    with pytest.raises(Misconfigured, match="public key, a colon"):
        received(signed(XML), secret)
