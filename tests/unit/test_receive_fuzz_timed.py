"""Damaged requests and handshakes for as long as one likes: nothing foreign, and no forgery.

    RINGBACK_TEST_FUZZ_S=600 pytest -n 0 tests/unit/test_receive_fuzz_timed.py

Without the variable a few hundred are tried, always the same ones. Unlike `test_receive_fuzz` it
knows what a scheme signs: a request that is accepted must have a body that was really signed.
A failure names the seed, which makes the same request again.
"""

import json
import os
import random
import time
from collections.abc import Callable
from typing import Any

import pytest
from msgspec import Struct, structs

from ringback.errors import VerificationError
from ringback.receive import Draft, Reply, VerifiedEvent, respond, sign, verify
from ringback.sign.event import enveloped
from ringback.sign.providers import names, scheme
from ringback.testing.provider_keys import key_pair

FUZZ_S = float(os.environ.get("RINGBACK_TEST_FUZZ_S", "0"))
ROUNDS = 40
NOW_S = 1_735_689_600
URL = "https://shop.example/hooks?a=1"
# What is signed of these is not the bytes, so other bytes may say the same.
NOT_BYTES = {"braintree", "twilio"}
PIECES = [
    "", "\0", "\r\n", " ", ",", ";", "=", ".", "|", "&", "%", "+", "{", "}", "[", "]", '"', "\\",
    "v1,", "v0=", "t=", "sha256=", "é", "\udcff", "\u0661", "9" * 400, "A" * 90, "null", "1e400",
    "\\ud800", "<script>", "https://", "..", "../", "#", "\ufeff", "-1", "nan", "A" * 43 + "=",
]  # fmt: skip
QUERIES = [
    "hub.mode=subscribe&hub.challenge=1&hub.verify_token=x",
    "challenge=abc",
    "validationToken=a%20b",
    "crc_token=abc",
    "bt_challenge=20f9f8ed05f77439fe955c977e4c8a53",
    "bodySHA256=" + "0" * 64,
    "a=%",
    "&".join(["a=1"] * 2_000),
]
EXTRA_HEADERS = [
    "X-Okta-Verification-Challenge",
    "Smartsheet-Hook-Challenge",
    "X-Hook-Secret",
    "webhook-signature",
    "Content-Encoding",
]
HANDSHAKES: list[object] = [
    {"type": 1},
    {"type": 0},
    {"type": "url_verification", "challenge": "abc"},
    {"event": "endpoint.url_validation", "payload": {"plainToken": "abc"}},
    {"challenge": "abc"},
    {"verification_token": "secret_abc"},
]
ODD: list[Any] = [
    None, True, 0, -1, 1.5, 2**70, "", "x", "\0", "é" * 300, [], {}, [[]], [None], {"": None},
    {"id": {}}, [1] * 50,
]  # fmt: skip


class Try(Struct, frozen=True):
    """One call of `verify` and `respond`."""

    headers: list[tuple[str, str]]
    body: bytes
    secrets: str | list[str]
    now_s: float
    url: str | None
    method: str
    documents: dict[str, bytes]


def made(name: str, payload: object) -> Try | None:
    """A good request with this payload; nothing if the provider could not sign it."""
    found = scheme(name)
    draft = Draft(body=b"", timestamp_s=NOW_S, url=URL)
    try:
        body = enveloped(found, draft, payload)
        request = sign(found, structs.replace(draft, body=body), key_pair(found, 1).signing)
    except (VerificationError, UnicodeEncodeError, OverflowError):
        return None
    return Try(
        list(request.headers),
        request.body,
        key_pair(found, 1).verifying,
        NOW_S,
        request.url,
        request.method,
        dict(request.documents),
    )


SEEDS = {
    name: [one for payload in ({"a": 1}, *HANDSHAKES) if (one := made(name, payload))]
    for name in names()
}


def spliced(dice: random.Random, text: str) -> str:
    at = dice.randint(0, len(text))
    return text[:at] + dice.choice(PIECES) + text[at + dice.choice((0, 0, 1, 2, 9)) :]


def with_odd_header(dice: random.Random, one: Try) -> Try:
    headers = list(one.headers) or [("x", "y")]
    at = dice.randrange(len(headers))
    name, text = headers[at]
    match dice.randrange(6):
        case 0:
            del headers[at]
        case 1:
            headers.insert(at, (name.upper(), spliced(dice, text)))
        case 2:
            headers[at] = (name, dice.choice(PIECES))
        case 3:
            headers.append((dice.choice(EXTRA_HEADERS), dice.choice(["abc", spliced(dice, text)])))
        case _:
            headers[at] = (name, spliced(dice, text))
    return structs.replace(one, headers=headers)


def with_odd_body(dice: random.Random, one: Try) -> Try:
    body = one.body
    at = dice.randint(0, len(body))
    match dice.randrange(5):
        case 0:
            body = body[:at]
        case 1:
            body = dice.randbytes(dice.randrange(200))
        case 2:
            body = json.dumps(dice.choice(HANDSHAKES)).encode()
        case 3:
            piece = dice.choice(PIECES).encode("utf-8", "surrogatepass")
            body = body[:at] + piece + body[at + dice.randrange(4) :]
        case _:
            body = with_odd_value(dice, body)
    return structs.replace(one, body=body)


def with_odd_value(dice: random.Random, body: bytes) -> bytes:
    try:
        payload = json.loads(body)
    except ValueError:
        return body
    inner = payload
    while isinstance(inner, dict | list) and inner:
        key = dice.choice(list(inner) if isinstance(inner, dict) else range(len(inner)))
        if dice.random() < 0.4 or not isinstance(inner[key], dict | list):
            inner[key] = dice.choice(ODD)
            break
        inner = inner[key]
    return json.dumps(payload).encode("utf-8", "surrogatepass")


def with_odd_url(dice: random.Random, one: Try) -> Try:
    url = one.url or ""
    odd = [
        None,
        "",
        f"{url}&{dice.choice(QUERIES)}",
        f"/?{dice.choice(QUERIES)}",
        spliced(dice, url),
    ]
    method = dice.choice(["GET", "POST", "HEAD", "", "é"])
    return structs.replace(one, url=dice.choice(odd), method=method)


def with_odd_terms(dice: random.Random, one: Try) -> Try:
    secret = one.secrets if isinstance(one.secrets, str) else one.secrets[0]
    secrets = dice.choice([[secret, spliced(dice, secret)], spliced(dice, secret), [secret] * 3])
    now_s = dice.choice([NOW_S, NOW_S + 1_000, 0, -1, float("nan"), float("inf"), 1e18])
    documents = {
        url: dice.choice([document, b"", document[: len(document) // 2], b"{}", b"[1]"])
        for url, document in one.documents.items()
    }
    return structs.replace(one, secrets=secrets, now_s=now_s, documents=documents)


CHANGES: list[Callable[[random.Random, Try], Try]] = [
    with_odd_header,
    with_odd_header,
    with_odd_body,
    with_odd_body,
    with_odd_url,
    with_odd_terms,
]


def tried(call: Any, name: str, one: Try) -> object:
    """The answer, or the VerificationError; any other exception is the failure that is sought."""
    try:
        return call(
            name,
            dict(one.headers) if len(one.headers) % 2 else one.headers,
            one.body,
            secrets=one.secrets,
            now_s=one.now_s,
            url=one.url,
            method=one.method,
            documents=one.documents,
        )
    except VerificationError as error:
        return error


def fuzzed(name: str, seed: int) -> None:
    dice = random.Random(f"{name} {seed}")
    one = dice.choice(SEEDS[name])
    if dice.random() < 0.2:
        one = made(name, {"a": dice.choice(ODD), "type": dice.choice(ODD)}) or one
    signed_body = one.body
    for _ in range(dice.choice((1, 1, 2, 4))):
        one = dice.choice(CHANGES)(dice, one)

    answer = tried(respond, name, one)
    event = tried(verify, name, one)

    assert answer is None or isinstance(answer, Reply | VerificationError), (name, seed)
    assert isinstance(event, VerifiedEvent | VerificationError), (name, seed)
    if isinstance(event, VerifiedEvent):
        ids = [event.id, *(part.id for part in event.events())]
        assert all(0 < len(text) <= 256 for text in ids), (name, seed)
        if scheme(name).covers_body and name not in NOT_BYTES:
            assert event.body == signed_body, f"a forgery by {name}, seed {seed}"


@pytest.mark.timeout(FUZZ_S + 120)
def test_nothing_foreign_and_nothing_forged_comes_out() -> None:
    end, seed = time.monotonic() + FUZZ_S, 0
    while seed < ROUNDS or time.monotonic() < end:
        for name in SEEDS:
            fuzzed(name, seed)
        seed += 1
    if FUZZ_S:
        print(f"{seed * len(SEEDS)} requests, {len(SEEDS)} providers, {FUZZ_S:.0f} s")


def test_the_seeds_are_good_ones() -> None:
    """Else the fuzzer would only ever see the first check."""
    for name, seeds in SEEDS.items():
        answers = [tried(verify, name, one) for one in seeds]
        good = [one for one in answers if isinstance(one, VerifiedEvent)]
        assert good, (name, answers)
