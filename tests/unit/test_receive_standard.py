"""Standard Webhooks, v1 and v1a: every bad header is refused, and the rest of a list still counts.

The official Python library raises foreign exceptions, or accepts, at several of these.
"""

from base64 import b64decode, b64encode
from collections.abc import Callable

import pytest
import standardwebhooks
import svix.webhooks

from ringback.errors import Malformed, Misconfigured, Mismatch, Missing, Stale
from ringback.receive import VerifiedEvent, verify
from ringback.sign import standard
from ringback.sign.ed25519 import _SMALL_ORDER
from ringback.sign.request import HEADER_CHARS_MAX, HEADERS_MAX, ID_CHARS_MAX
from ringback.sign.scheme import SIGNATURES_MAX
from ringback.sign.secret import parse

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
PRIVATE = (
    "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg=="
)
PUBLIC = "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4="
ID = "msg_p5jXN8AQM9LWM0D4loKWxJek"
BODY = b'{"test": 2432232314}'
NOW_S = 1614265330


def v1(secret: str = SECRET, *, body: bytes = BODY, timestamp: str = str(NOW_S)) -> str:
    tag = parse(secret).sign(f"{ID}.{timestamp}.".encode(), body)
    version = "v1" if secret.startswith("whsec_") else "v1a"
    return f"{version},{b64encode(tag).decode()}"


GOOD = v1()
BASE64 = GOOD.partition(",")[2]
RAW = b64decode(BASE64)


def received(
    signature: str = GOOD,
    *,
    secrets: str | list[str] = SECRET,
    timestamp: str = str(NOW_S),
    msg_id: str = ID,
    body: bytes = BODY,
    now_s: float = NOW_S,
    provider: str = "standard",
) -> VerifiedEvent:
    headers = {"webhook-id": msg_id, "webhook-timestamp": timestamp, "webhook-signature": signature}
    return verify(provider, headers, body, secrets=secrets, now_s=now_s)


BAD_SIGNATURES: dict[str, str] = {
    "A2 empty": "",
    "A3 no comma": "v1",
    "A4 nothing behind the comma": "v1,",
    "A5 two commas": f"v1,,{BASE64}",
    "A6 something behind it": f"{GOOD},x",
    "A7 spaces": "   ",
    "A11 tab": f"v1,x\t{GOOD}",
    "A12 commas between items": f"v1,x,{GOOD}",
    "A13 upper-case version": f"V1,{BASE64}",
    "A14 another version": f"v2,{BASE64}",
    "A15 v1a for an HMAC key": v1(PRIVATE),
    "A16 no padding": GOOD.rstrip("="),
    "A17 base64url": v1(timestamp="1614265330").replace("+", "-").replace("/", "_"),
    "A18 junk inside": f"v1,{BASE64[:8]}!!{BASE64[8:]}",
    "A18 newline inside": f"v1,{BASE64[:8]}\n{BASE64[8:]}",
    "A19 not ASCII": f"v1,é{BASE64}",
    "A19 a surrogate": f"v1,\udcff{BASE64}",
    "A20 31 bytes": f"v1,{b64encode(RAW[:31]).decode()}",
    "A20 33 bytes": f"v1,{b64encode(RAW + b'x').decode()}",
    "A21 hexadecimal": f"v1,{RAW.hex()}",
    "A22 a thousand items": " ".join(["v1,x"] * 999 + [GOOD]),
    "A22 a megabyte": "v1," + "A" * 1_000_000,
    "A23 another key": v1(OTHER),
    "A24 zeros": f"v1,{b64encode(bytes(32)).decode()}",
    "A25 more padding": GOOD + "=",
    "A28 bits that do not count": f"v1,{BASE64[:-2]}{chr(ord(BASE64[-2]) + 1)}=",
    "a prefix of it": GOOD[:11],
    "the version alone, behind": f"{BASE64},v1",
}


@pytest.mark.parametrize("signature", BAD_SIGNATURES.values(), ids=BAD_SIGNATURES.keys())
def test_a_bad_signature_is_refused(signature: str) -> None:
    with pytest.raises((Malformed, Mismatch)) as caught:
        received(signature)

    assert BASE64 not in str(caught.value)
    assert caught.value.status == 401


@pytest.mark.parametrize("signature", [f"v1, {GOOD}", f" {GOOD}", f"  {GOOD} ", f"v9,x  {GOOD}"])
def test_what_cannot_be_read_beside_a_good_item_does_not_matter(signature: str) -> None:
    assert received(signature).id == ID


@pytest.mark.parametrize("junk", ["x", "v1", "v1,", "v1,,", "é,é", "v1a,AAAA", "v1,!!!!"])
def test_garbage_before_or_behind_a_good_item_does_not_matter(junk: str) -> None:
    assert received(f"{junk} {GOOD}").id == ID
    assert received(f"{GOOD} {junk}").id == ID


def test_the_number_of_items_is_bounded() -> None:
    assert received(" ".join(["v1,x"] * (SIGNATURES_MAX - 1) + [GOOD])).id == ID
    with pytest.raises(Malformed, match=str(SIGNATURES_MAX)):
        received(" ".join(["v1,x"] * SIGNATURES_MAX + [GOOD]))


BAD_TIMESTAMPS: dict[str, str] = {
    "B31 empty": "",
    "B32 letters": "abc",
    "B33 negative": "-1614265330",
    "B34 plus": "+1614265330",
    "B35 leading space": " 1614265330",
    "B35 trailing space": "1614265330 ",
    "B36 underscores": "1_614_265_330",
    "B37 exponent": "1.614e9",
    "B38 fraction": "1614265330.5",
    "B39 other digits": "١٦١٤٢٦٥٣٣٠",
    "B39 superscript": "161426533²",
    "B40 hexadecimal": "0x60378e72",
    "B41 milliseconds": "1614265330000",
    "B42 long": "1" * 400,
    "B43 nan": "nan",
    "B43 inf": "inf",
    "line break": "1614265330\n",
}


@pytest.mark.parametrize("timestamp", BAD_TIMESTAMPS.values(), ids=BAD_TIMESTAMPS.keys())
def test_a_bad_timestamp_is_refused_even_if_it_is_signed(timestamp: str) -> None:
    with pytest.raises(Malformed):
        received(v1(timestamp=timestamp), timestamp=timestamp)


def test_the_text_of_the_timestamp_is_what_is_signed() -> None:
    spelled = f"00{NOW_S}"

    assert received(v1(timestamp=spelled), timestamp=spelled).timestamp_s == NOW_S
    with pytest.raises(Mismatch):
        received(GOOD, timestamp=spelled)


@pytest.mark.parametrize("now_s", [NOW_S - 300, NOW_S + 300, NOW_S + 300.9])
def test_five_minutes_are_tolerated(now_s: float) -> None:
    assert received(now_s=now_s).timestamp_s == NOW_S


@pytest.mark.parametrize("now_s", [NOW_S - 301, NOW_S + 301])
def test_more_are_not(now_s: float) -> None:
    with pytest.raises(Stale, match="300 s are tolerated"):
        received(now_s=now_s)


def test_stale_means_authentic() -> None:
    with pytest.raises(Mismatch):
        received(v1(OTHER), now_s=NOW_S + 10_000)


BAD_IDS: dict[str, str] = {
    "C48 empty": "",
    "C49 full stop": "a.1",
    "C50 long": "x" * (ID_CHARS_MAX + 1),
    "C50 ten kilobytes": "x" * 10_000,
    "C51 line break": "a\r\nb",
    "C51 NUL": "a\0b",
    "C52 a quote and a space": "'; DROP",
    "C53 not ASCII": "é",
    "two, joined by a proxy": "a, a",
    "two, joined closely": "a,a",
}


@pytest.mark.parametrize("msg_id", BAD_IDS.values(), ids=BAD_IDS.keys())
def test_a_bad_id_is_refused_even_if_it_is_signed(msg_id: str) -> None:
    head = f"{msg_id}.{NOW_S}.".encode()
    signature = f"v1,{b64encode(parse(SECRET).sign(head, BODY)).decode()}"

    with pytest.raises(Malformed):
        received(signature, msg_id=msg_id)


def test_the_three_signed_parts_cannot_be_divided_in_another_way() -> None:
    body = f'{{"a":"1.{NOW_S}.x"}}'.encode()
    signature = v1(body=body)
    assert received(signature, body=body).id == ID

    shifted = f'{ID}.{NOW_S}.{{"a":"1'
    with pytest.raises(Malformed):
        received(signature, msg_id=shifted, body=b'x"}')


@pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_each_header_is_needed_once(name: str) -> None:
    headers = [("webhook-id", ID), ("webhook-timestamp", str(NOW_S)), ("webhook-signature", GOOD)]

    with pytest.raises(Missing, match=name):
        verify("standard", [h for h in headers if h[0] != name], BODY, secrets=SECRET, now_s=NOW_S)
    for twice in (dict(headers)[name], "other"):
        with pytest.raises(Malformed, match="more than once"):
            verify("standard", [*headers, (name.upper(), twice)], BODY, secrets=SECRET, now_s=NOW_S)


def test_bodies_are_bytes_of_any_kind() -> None:
    for body in (b"", b"\xff\xfe\0", b"null", b"\xef\xbb\xbf{}", b"<x/>"):
        event = received(v1(body=body), body=body)
        assert (event.body, event.payload, event.type) == (body, None, None)
    for body in (b"[1]", b' {"type": "a.b"}'):
        assert received(v1(body=body), body=body).payload is not None


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[" * 100_000,
        b'{"a":NaN}',
        b"[1e400]",
        b'["\\ud800"]',
        b'{"a":1}x',
        b"[" + b"1" * 1_000_000 + b"]",
        b'{"a":"\xff"}',
    ],
)
def test_json_that_is_signed_and_cannot_be_read_is_malformed(body: bytes) -> None:
    with pytest.raises(Malformed, match="JSON"):
        received(v1(body=body), body=body)


@pytest.mark.parametrize(
    "body",
    [
        b'{"test":2432232314}',
        BODY + b"\n",
        BODY.replace(b"4", b"5"),
        b"\xef\xbb\xbf" + BODY,
        BODY.replace(b" ", b"\r\n"),
        b"",
    ],
)
def test_another_body_is_a_mismatch(body: bytes) -> None:
    with pytest.raises(Mismatch):
        received(body=body)


def test_what_a_public_key_verifies_is_v1a() -> None:
    assert received(v1(PRIVATE), secrets=PUBLIC).id == ID
    assert received(f"{GOOD} {v1(PRIVATE)}", secrets=PUBLIC).id == ID
    assert received(f"{GOOD} {v1(PRIVATE)}", secrets=[OTHER, PUBLIC]).secret_index == 1
    for signature in (GOOD, GOOD.replace("v1", "v1a"), v1(PRIVATE).replace("v1a", "v1")):
        with pytest.raises((Mismatch, Malformed)):
            received(signature, secrets=PUBLIC)


def test_an_ed25519_signature_has_one_spelling_and_one_value() -> None:
    raw = b64decode(v1(PRIVATE).partition(",")[2])
    order = 2**252 + 27742317777372353535851937790883648493
    s = int.from_bytes(raw[32:], "little") + order
    malleable = raw[:32] + s.to_bytes(32, "little")
    forged = [malleable, bytes(64), raw[:63], raw + b"x", raw[:32] + bytes(32)]

    for signature in [f"v1a,{b64encode(other).decode()}" for other in forged]:
        with pytest.raises((Mismatch, Malformed)):
            received(signature, secrets=PUBLIC)
    with pytest.raises(Malformed):
        received(v1(PRIVATE).rstrip("="), secrets=PUBLIC)


def test_public_keys_under_which_anybody_can_sign_are_refused() -> None:
    for y in _SMALL_ORDER:
        for sign_bit in (0, 1 << 255):
            public = f"whpk_{b64encode((y | sign_bit).to_bytes(32, 'little')).decode()}"
            with pytest.raises(Misconfigured, match="anybody"):
                received(v1(PRIVATE), secrets=public)


def test_the_points_of_small_order_are_all_there() -> None:
    """An independent look: the y of every point whose eightfold is the neutral one, computed."""
    p = 2**255 - 19
    d = -121665 * pow(121666, -1, p) % p

    def order_divides_eight(y: int) -> bool:
        # x² = (y² - 1) / (d·y² + 1); doubling three times must give (0, 1).
        square = (y * y - 1) * pow(d * y * y + 1, -1, p) % p
        root = pow(square, (p + 3) // 8, p)
        if (root * root - square) % p:
            root = root * pow(2, (p - 1) // 4, p) % p
        if (root * root - square) % p:
            return False
        x = root
        for _ in range(3):
            product = d * x * x * y * y
            x, y = (
                2 * x * y * pow(1 + product, -1, p) % p,
                (y * y + x * x) * pow(1 - product, -1, p) % p,
            )
        return (x, y) == (0, 1)

    canonical = {y for y in _SMALL_ORDER if y < p}
    assert len(canonical) == 5
    assert all(order_divides_eight(y) for y in canonical)
    assert not order_divides_eight(4 * pow(5, -1, p) % p)


@pytest.mark.parametrize(
    ("secret", "says"),
    [
        ("", "empty"),
        ("whsec_", "24 to 75 bytes"),
        ("whsec_MfKQ", "24 to 75 bytes"),
        ("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "starts with whsec_"),
        ("hwsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "starts with whsec_"),
        (SECRET + "\n", "line break"),
        (PRIVATE, "public half"),
        ("whpk_AAAA", "32 bytes"),
        ("whpk_!", "32 bytes"),
        ("whsec_" + "A" * 10_000, "exceeds"),
    ],
)
def test_a_secret_of_another_kind_is_the_receiver_s_mistake(secret: str, says: str) -> None:
    with pytest.raises(Misconfigured, match=says) as caught:
        received(secrets=secret)
    assert caught.value.status == 500


@pytest.mark.parametrize("family", ["webhook", "svix"])
def test_families_of_headers_are_not_mixed(family: standard.HeaderFamily) -> None:
    other = "svix" if family == "webhook" else "webhook"
    provider = "standard" if family == "webhook" else "svix"
    good = {f"{family}-id": ID, f"{family}-timestamp": str(NOW_S), f"{family}-signature": GOOD}
    bad = {f"{other}-id": "x", f"{other}-timestamp": "1", f"{other}-signature": "v1,x"}

    both = verify(provider, {**good, **bad}, BODY, secrets=SECRET, now_s=NOW_S)
    assert both.id == ID
    for name in good:
        mixed = {**good, **bad}
        mixed[name.replace(family, other)] = mixed.pop(name)
        with pytest.raises((Missing, Malformed, Mismatch)):
            verify(provider, mixed, BODY, secrets=SECRET, now_s=NOW_S)


def test_a_hostile_number_of_headers_is_refused() -> None:
    good = [("webhook-id", ID), ("webhook-timestamp", str(NOW_S)), ("webhook-signature", GOOD)]
    filler = [(f"x-{number}", "") for number in range(HEADERS_MAX - 3)]
    assert verify("standard", filler + good, BODY, secrets=SECRET, now_s=NOW_S).id == ID
    with pytest.raises(Malformed, match=str(HEADERS_MAX)):
        verify("standard", [*filler, ("y", ""), *good], BODY, secrets=SECRET, now_s=NOW_S)
    with pytest.raises(Malformed, match=str(HEADER_CHARS_MAX)):
        received("v1," + " " * HEADER_CHARS_MAX)


@pytest.mark.parametrize("package", [standardwebhooks.Webhook, svix.webhooks.Webhook])
@pytest.mark.parametrize("secret", [SECRET, OTHER])
def test_what_the_official_packages_sign_is_accepted(
    package: Callable[[str], standardwebhooks.Webhook], secret: str
) -> None:
    from datetime import UTC, datetime

    signed_at = datetime.fromtimestamp(NOW_S, UTC)
    signature = package(secret).sign(ID, signed_at, BODY.decode())

    assert received(signature, secrets=[SECRET, OTHER]).id == ID
    with pytest.raises(Mismatch):
        received(signature, secrets=OTHER if secret == SECRET else SECRET)
