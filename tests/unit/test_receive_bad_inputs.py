"""Bad inputs that apply to many providers, each tried on every scheme to which it applies.

    A  signatures   in another spelling, of another length, several, none
    B  timestamps   that are signed as they stand, and that no two programs read alike
    C  ids, bodies  that are signed as they stand, and hostile to whoever reads them

Bad inputs of one provider each (group D) are in `test_receive_bad_inputs_of_providers`. That
missing, doubled, junk and huge headers are refused is in `test_receive_table`.
"""

import gzip
import json
import re
from base64 import b64decode, b64encode, urlsafe_b64encode
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from msgspec import structs

from ringback.errors import Malformed, Mismatch, Missing, Stale, VerificationError
from ringback.receive import Draft, Header, Scheme, Signed, VerifiedEvent, providers, sign, verify
from ringback.sign import hmac_scheme
from ringback.sign.event import enveloped
from ringback.sign.providers import aws_sns, contentful, hubspot, paypal
from ringback.testing.provider_keys import key_pair

NOW_S = 1_735_689_600
SCHEMES = providers()
CORE = re.compile(r"(?:[0-9a-f]{40,}|[A-Za-z0-9+/]{27,}={0,2})$")
HEX = re.compile("[0-9a-f]+")


def signed(scheme: Scheme, *, number: int = 1, payload: object = None, **changes: Any) -> Signed:
    draft = Draft(body=b"", timestamp_s=NOW_S, **changes)
    body = enveloped(scheme, draft, payload or {"amount": 1999})
    draft = structs.replace(draft, body=body)
    return sign(scheme, draft, key_pair(scheme, number).signing)


def received(scheme: Scheme, request: Signed, **changes: Any) -> VerifiedEvent:
    arguments: dict[str, Any] = {
        "headers": request.headers,
        "body": request.body,
        "secrets": key_pair(scheme, 1).verifying,
        "now_s": NOW_S,
        "url": request.url,
        "method": request.method,
        "documents": request.documents,
        **changes,
    }
    return verify(scheme, **arguments)


def header_of(scheme: Scheme, request: Signed) -> str:
    """The header with the signature, as the description names it; empty if it is in the body."""
    name = scheme.signature.partition(":")[0]
    return next((other for other, _ in request.headers if other.lower() == name.lower()), "")


def with_header(request: Signed, name: str, text: str) -> list[tuple[str, str]]:
    return [(other, text if other == name else value) for other, value in request.headers]


# These signatures are decoded and not compared: another spelling of them proves the same.
DECODED = {"paypal", "sendgrid"}
WITH_CORE = [
    scheme
    for scheme in SCHEMES
    if scheme.name not in DECODED
    and CORE.search(dict(signed(scheme).headers).get(header_of(scheme, signed(scheme)), ""))
]


# Group A


def split(text: str) -> tuple[str, str]:
    """What stands before the signature in its header, and the signature."""
    form = CORE.search(text)
    assert form
    return text[: form.start()], form[0]


def recoded(core: str, change: Callable[[bytes], bytes]) -> str:
    if HEX.fullmatch(core):
        return change(bytes.fromhex(core)).hex()
    return b64encode(change(b64decode(core))).decode()


def other_code(core: str) -> str:
    if HEX.fullmatch(core):
        return b64encode(bytes.fromhex(core)).decode()
    return b64decode(core).hex()


def loose_bits(core: str) -> str:
    """The same bytes in base64 whose last character has bits that count for nothing."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    stripped = core.rstrip("=")
    if stripped == core or HEX.fullmatch(core):
        return ""
    return (
        stripped[:-1]
        + alphabet[alphabet.index(stripped[-1]) + 1]
        + "=" * (len(core) - len(stripped))
    )


def urlsafe(core: str) -> str:
    return "" if HEX.fullmatch(core) else urlsafe_b64encode(b64decode(core)).decode()


SPELLINGS: dict[str, Callable[[str, str], str]] = {
    "2 empty": lambda before, core: "",
    "3 without its separator": lambda before, core: before[:-1],
    "4 only what stands before it": lambda before, core: before,
    "5 two separators": lambda before, core: before + before[-1:] + core if before else "," + core,
    "6 something behind it": lambda before, core: before + core + "x",
    "7 only spaces": lambda before, core: "   ",
    "8 a space before it": lambda before, core: f"{before} {core}",
    "11 a tab before it": lambda before, core: f"{before}\t{core}",
    "13 its name in the other case": lambda before, core: before.swapcase() + core,
    "14 another version": lambda before, core: re.sub("[0-9]+(?=[=,]$)", "9", before) + core,
    "16 without padding": lambda before, core: before + core.rstrip("="),
    "17 base64url": lambda before, core: before + urlsafe(core),
    "18 a foreign character in it": lambda before, core: f"{before}{core[:9]}!{core[9:]}",
    "18 a line break in it": lambda before, core: f"{before}{core[:9]}\n{core[9:]}",
    "18 a line break behind it": lambda before, core: before + core + "\n",
    "19 not ASCII": lambda before, core: before + core[:-1] + "é",
    "19 digits of another script": lambda before, core: before + "\u0661" + core[1:],
    "20 a byte less": lambda before, core: before + recoded(core, lambda raw: raw[:-1]),
    "20 a byte more": lambda before, core: before + recoded(core, lambda raw: raw + b"\0"),
    "21 hex for base64, base64 for hex": lambda before, core: before + other_code(core),
    "22 a megabyte": lambda before, core: before + core * 20_000,
    "24 all zero": lambda before, core: before + recoded(core, lambda raw: bytes(len(raw))),
    "25 more padding": lambda before, core: before + core + "=",
    "28 bits that count for nothing": lambda before, core: before + loose_bits(core),
    "85 upper-case hex": lambda before, core: before + core.upper(),
}


def odd_signed(scheme: Scheme, spelling: str) -> Iterator[tuple[str, Signed, str]]:
    """Requests with the signature spelled otherwise, where that is otherwise at all."""
    for number in range(8):  # until a signature has a letter, a +, a / …
        request = signed(scheme, payload={"number": number})
        name = header_of(scheme, request)
        before, core = split(dict(request.headers)[name])
        odd = SPELLINGS[spelling](before, core)
        if odd != before + core:
            yield name, request, odd


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("scheme", WITH_CORE, ids=lambda scheme: scheme.name)
def test_a_signature_in_another_spelling_is_refused(scheme: Scheme, spelling: str) -> None:
    for name, request, odd in odd_signed(scheme, spelling):
        with pytest.raises((Malformed, Mismatch, Missing)):
            received(scheme, request, headers=with_header(request, name, odd))


def test_the_spellings_are_tried_on_most_providers() -> None:
    names = {scheme.name for scheme in WITH_CORE}

    sent_as_it_is = {"chargebee", "deepgram", "gitlab_token", "okta", "postmark"}
    decoded = {"fusionauth", "plaid", *DECODED}
    assert {scheme.name for scheme in SCHEMES} - names <= IN_THE_BODY | sent_as_it_is | decoded
    for spelling in SPELLINGS:
        tried = [scheme for scheme in WITH_CORE if any(odd_signed(scheme, spelling))]
        assert len(tried) >= 15, spelling


@pytest.mark.parametrize("scheme", WITH_CORE, ids=lambda scheme: scheme.name)
def test_several_signatures_are_bounded_and_a_forged_one_helps_nobody(scheme: Scheme) -> None:
    """22 to 27: a thousand items, another key's signature, two headers, two headers folded."""
    request, forged = signed(scheme), signed(scheme, number=2)
    name = header_of(scheme, request)
    good, bad = dict(request.headers)[name], dict(forged.headers)[name]
    for separator in (",", ", ", ";", " ", "&"):
        for text in map(separator.join, ([bad, bad], [bad] * 1_000, [good] * 1_000)):
            with pytest.raises((Malformed, Mismatch)):
                received(scheme, request, headers=with_header(request, name, text))
    for twice in ([(name, bad), (name, good)], [(name, good), (name.upper(), good)]):
        others = [field for field in request.headers if field[0] != name]
        with pytest.raises(Malformed):
            received(scheme, request, headers=[*others, *twice])
    # A list that a proxy made of two headers is taken only if the provider's format is a list.
    event = received(scheme, request)
    try:
        folded = received(scheme, request, headers=with_header(request, name, f"{good}, {bad}"))
    except VerificationError:
        return
    assert folded == event


# Group B


class Odd(int):
    """The instant of the test that is written as another text, and so signed as that text."""

    text: str

    def __new__(cls, text: str) -> "Odd":
        found = super().__new__(cls, NOW_S)
        found.text = text
        return found

    def __mul__(self, _: int) -> "Odd":
        return self

    def __str__(self) -> str:
        return self.text

    def __format__(self, _: str) -> str:
        return self.text


NUMBERS = {
    "31 empty": "",
    "32 a word": "abc",
    "33 negative": f"-{NOW_S}",
    "34 a plus": f"+{NOW_S}",
    "35 a space before": f" {NOW_S}",
    "35 a space behind": f"{NOW_S} ",
    "35 a line break behind": f"{NOW_S}\n",
    "36 underscores": "1_735_689_600",
    "37 an exponent": "1.7e9",
    "38 a fraction": f"{NOW_S}.5",
    "39 digits of another script": str(NOW_S).translate({48 + n: 0x660 + n for n in range(10)}),
    "39 full-width digits": str(NOW_S).translate({48 + n: 0xFF10 + n for n in range(10)}),
    "39 superscript": "1735689600²",
    "40 hexadecimal": hex(NOW_S),
    "41 of another unit": f"{NOW_S}000",
    "41 nanoseconds": f"{NOW_S}000000000",
    "42 four hundred digits": "1" * 400,
    "42 five thousand digits": "1" * 5_000,
    "43 not a number": "nan",
    "43 infinite": "inf",
    "45 leading zeros": f"000000{NOW_S}",
    "46 a date": "2025-01-01T00:00:00Z",
}
DATES = {
    "31 empty": "",
    "32 a word": "abc",
    "41 seconds": str(NOW_S),
    "46 lower-case": "2025-01-01t00:00:00z",
    "46 without an offset": "2025-01-01T00:00:00",
    "46 a space for the T": "2025-01-01 00:00:00Z",
    "46 a leap second": "2024-12-31T23:59:60Z",
    "46 the year zero": "0000-01-01T00:00:00Z",
    "46 a month too many": "2025-13-01T00:00:00Z",
    "46 an offset too far": "2025-01-01T00:00:00+24:00",
    "46 an offset without minutes": "2025-01-01T00:00:00+00",
    "46 a comma for the point": "2025-01-01T00:00:00,5Z",
    "46 ten digits of a second": "2025-01-01T00:00:00.0123456789Z",
    "46 a week": "2025-W01-3T00:00:00Z",
    "46 without dashes": "20250101T000000Z",
    "46 digits of another script": "٢٠٢٥-01-01T00:00:00Z",
    "47 another weekday": "Thu, 01 Jan 2025 00:00:00 GMT",
    "47 another zone": "Wed, 01 Jan 2025 00:00:00 CET",
    "47 one digit": "Wed, 1 Jan 2025 00:00:00 GMT",
    "47 the old form": "Wednesday, 01-Jan-25 00:00:00 GMT",
    "47 lower-case": "wed, 01 jan 2025 00:00:00 gmt",
    "42 long": "2025-01-01T00:00:00." + "0" * 4_000 + "Z",
}
IN_MS = {"workos", "hubspot", "contentful"}
DATED = {"box", "zendesk", "twitch", "klaviyo", "paypal", "aws_sns"}
TIMED = [scheme for scheme in SCHEMES if scheme.tolerance_s is not None]


def signed_at(scheme: Scheme, text: str, monkeypatch: pytest.MonkeyPatch) -> Signed:
    """A request whose time is this text, by a provider gone mad: its signature is good."""
    for module in (hmac_scheme, paypal, aws_sns, hubspot, contentful):
        monkeypatch.setattr(module, "written", lambda *_: text)
    draft = Draft(body=b"", timestamp_s=Odd(text))
    body = enveloped(scheme, structs.replace(draft, timestamp_s=NOW_S), {"amount": 1999})
    return sign(scheme, structs.replace(draft, body=body), key_pair(scheme, 1).signing)


@pytest.mark.parametrize("scheme", TIMED, ids=lambda scheme: scheme.name)
def test_a_time_that_is_signed_but_odd_is_refused(
    scheme: Scheme, monkeypatch: pytest.MonkeyPatch
) -> None:
    if scheme.name in ("linear", "plaid", "sendgrid", "mailgun"):
        pytest.skip("its time is in the body or a token: see its own tests")
    good = {"klaviyo": "Wed, 01 Jan 2025 00:00:00 GMT"}.get(scheme.name, "2025-01-01T00:00:00Z")
    if scheme.name not in DATED:
        good = f"{NOW_S}000" if scheme.name in IN_MS else str(NOW_S)
    # The signer does sign the text that it is given, so what is refused below is the text.
    assert received(scheme, signed_at(scheme, good, monkeypatch)).timestamp_s == NOW_S

    for text in (DATES if scheme.name in DATED else NUMBERS).values():
        if text == good:
            continue
        with pytest.raises((Malformed, Stale)):
            received(scheme, signed_at(scheme, text, monkeypatch))


@pytest.mark.parametrize("offset", ["+00:00", "-00:00", "+01:00", "-11:30"])
def test_an_instant_may_have_any_offset(offset: str, monkeypatch: pytest.MonkeyPatch) -> None:
    wall = {"+01:00": "2025-01-01T01:00:00", "-11:30": "2024-12-31T12:30:00"}
    text = wall.get(offset, "2025-01-01T00:00:00") + offset

    for scheme in TIMED:
        if scheme.name in DATED - {"klaviyo"}:
            request = signed_at(scheme, text, monkeypatch)
            assert received(scheme, request).timestamp_s == NOW_S


# Group C


WITH_ID_HEADER = [
    scheme for scheme in SCHEMES if any(isinstance(place, Header) for place in scheme.id)
]
IDS = ["", " ", "x" * 257, "x" * 10_000, "a\r\nb", "a\0b", "a\nb", "'; DROP TABLE x", "é", "a, b"]


@pytest.mark.parametrize("scheme", WITH_ID_HEADER, ids=lambda scheme: scheme.name)
def test_an_id_header_is_an_identifier_or_refused(scheme: Scheme) -> None:
    """48 and 50 to 55."""
    request = signed(scheme, id="evt_1")
    name = next(place.name for place in scheme.id if isinstance(place, Header))
    is_signed = received(scheme, request).is_id_signed

    for text in IDS:
        with pytest.raises((Malformed, Mismatch) if is_signed else Malformed):
            received(scheme, request, headers=with_header(request, name, text))
    renamed = with_header(request, name, "evt_2")
    if is_signed:
        with pytest.raises(Mismatch):
            received(scheme, request, headers=renamed)
    else:
        event = received(scheme, request, headers=renamed)
        assert (event.id, event.is_id_signed) == ("evt_2", False)
        without = [field for field in request.headers if field[0] != name]
        assert received(scheme, request, headers=without).id != "evt_2"


@pytest.mark.parametrize("scheme", SCHEMES, ids=lambda scheme: scheme.name)
def test_an_id_in_the_body_that_is_none_is_replaced_by_a_digest(scheme: Scheme) -> None:
    for text in ("", "x" * 257, "a\r\nb", "a\0b", "\x7f"):
        try:
            request = signed(scheme, id=text)
            event = received(scheme, request)
        except VerificationError:
            continue
        for found in (event.id, *(one.id for one in event.events())):
            assert 0 < len(found) <= 256
            assert found.isprintable()


@pytest.mark.parametrize("scheme", SCHEMES, ids=lambda scheme: scheme.name)
def test_two_bodies_with_one_id_are_two_events_of_one_id(scheme: Scheme) -> None:
    """54: that they are the same is for the inbox to find."""
    first = received(scheme, signed(scheme, payload={"number": 1}))
    second = received(scheme, signed(scheme, payload={"number": 2}))

    assert first.body != second.body
    if scheme.name in {"braintree", "woocommerce"}:  # the body's digest is in the id
        assert first.id != second.id
    elif not first.id.startswith("sha256:"):
        assert first.id == second.id


def raw(scheme: Scheme, body: bytes) -> Signed | None:
    """These bytes as the provider would sign them; nothing if its signature is in the body."""
    request = sign(
        scheme, Draft(body=body, timestamp_s=NOW_S, id="evt_1"), key_pair(scheme, 1).signing
    )
    return request if request.body == body else None


IN_THE_BODY = {"adyen", "mailgun", "aws_sns", "braintree", "microsoft_graph"}
OUTSIDE = [scheme for scheme in SCHEMES if scheme.name not in IN_THE_BODY]
HAZARDS = {
    "59 a byte order mark": (b'\xef\xbb\xbf{"id":"1"}', True),
    "71 deep lists": (b"[" * 10_000 + b"]" * 10_000, False),
    "71 deep objects": (b'{"a":' * 10_000 + b"1" + b"}" * 10_000, False),
    "71 deep and unfinished": (b"[" * 1_000_000, False),
    "73 a number out of range": (b'{"id":1e400}', False),
    "73 not a number": (b'{"id":NaN}', False),
    "73 infinite": (b"[Infinity]", False),
    "74 a lone surrogate": (b'{"id":"\\ud800"}', False),
    "58 not UTF-8": (b'{"id":"\xff"}', False),
    "58 overlong UTF-8": (b'{"id":"\xc0\xaf"}', False),
    "72 something behind the end": (b'{"id":"1"}{"id":"2"}', False),
    "72 a trailing comma": (b'{"id":"1",}', False),
    "72 a comment": (b'{"id":"1"} // x', False),
    "72 single quotes": (b"{'id':'1'}", False),
    "74 a control character": (b'{"id":"\x00"}', False),
    "57 empty": (b"", True),
    "58 not text": (b"\xff\xfe\x00", True),
    "64 gzip": (gzip.compress(b'{"id":"1"}', mtime=0), True),
    "75 null": (b"null", True),
    "75 a text": (b'"text"', True),
    "75 a number": (b"1" * 1_000_000, True),
    "76 a form for JSON": (b"id=1&type=order.paid", True),
    "77 multipart": (b"--x\r\nContent-Disposition: form-data; name=id\r\n\r\n1\r\n--x--", True),
    "78 XML": (b'<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>', True),
}


@pytest.mark.parametrize("hazard", HAZARDS)
@pytest.mark.parametrize("scheme", OUTSIDE, ids=lambda scheme: scheme.name)
def test_a_hostile_body_that_is_signed_is_malformed_or_opaque(scheme: Scheme, hazard: str) -> None:
    body, may_be_opaque = HAZARDS[hazard]
    try:
        request = raw(scheme, body)
    except VerificationError:
        return  # the scheme itself cannot even sign it
    assert request
    try:
        event = received(scheme, request)
    except (Malformed, Missing):
        return
    assert may_be_opaque, "what opens like JSON and is none must be refused"
    assert event.payload is None or scheme.may_be_form
    assert event.body == body


@pytest.mark.parametrize("scheme", OUTSIDE, ids=lambda scheme: scheme.name)
def test_valid_json_that_is_odd_is_read_in_one_way(scheme: Scheme) -> None:
    for body, payload in (
        (b'{"id":"1","id":"2"}', {"id": "2"}),
        (b' \n{"id":"1"}\n', {"id": "1"}),
        (b'{"id":"\\u0000"}', {"id": "\0"}),
        (b'{"id":' + b"9" * 18 + b"}", {"id": int("9" * 18)}),
        (b"[]", []),
        (b'{"\\u0069d":"1"}', {"id": "1"}),
    ):
        request = raw(scheme, body)
        assert request
        try:
            event = received(scheme, request)
        except (Malformed, Missing):
            assert scheme.parts or scheme.name in {"linear", "x", "hook0", "coinbase"}
            continue
        assert event.payload == payload


@pytest.mark.parametrize("scheme", SCHEMES, ids=lambda scheme: scheme.name)
def test_a_body_that_was_parsed_and_written_again_is_refused(scheme: Scheme) -> None:
    """60 to 64: what a framework, a proxy or an editor makes of a body."""
    if not scheme.covers_body or scheme.name == "braintree":
        pytest.skip("its proof is not of the bytes")
    try:
        request = raw(scheme, '{"id": "1",\n "name": "Zo\u00eb/x", "n": 1.0}'.encode())
    except VerificationError:
        pytest.skip("its bodies have another shape")
    assert request
    body = request.body
    parsed = json.loads(body)
    for changed in (
        json.dumps(parsed).encode(),
        json.dumps(parsed, ensure_ascii=False).encode(),
        json.dumps(parsed, sort_keys=True, separators=(",", ":")).encode(),
        body.replace(b"\n", b"\r\n"),
        body.replace(b"/", b"\\/"),
        body.replace(b"1.0", b"1"),
        body + b"\r\n",
        gzip.compress(body, mtime=0),
        body.decode().encode("utf-16"),
    ):
        assert changed != body
        with pytest.raises((Mismatch, Malformed, Missing)):
            received(scheme, request, body=changed)
