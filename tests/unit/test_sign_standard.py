"""The Standard Webhooks signature: published vectors, official verifiers, properties."""

import hashlib
import hmac
import time
from base64 import b64decode

import pytest
import standardwebhooks
import svix.webhooks
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st

from ringback.errors import SecretError
from ringback.model import SignatureType
from ringback.sign.hmac_key import hmac_key
from ringback.sign.secret import Ed25519Key, generate, parse
from ringback.sign.standard import HeaderFamily, headers, identity_headers, sign, signature

WHSEC = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
WHSK = (
    "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg=="
)
OLD_WHSEC = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
MSG_ID = "msg_p5jXN8AQM9LWM0D4loKWxJek"
BODY = b'{"test": 2432232314}'

# The values of the official libraries' own tests; "SW-5" was derived, Ed25519 being deterministic.
VECTORS = {
    "SW-1": (
        WHSEC,
        MSG_ID,
        1614265330,
        BODY,
        "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    ),
    "SW-2": (
        OLD_WHSEC,
        "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk",
        1649367553,
        b'{"email":"test@example.com","username":"test_user"}',
        "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=",
    ),
    "SW-4": (
        WHSK,
        MSG_ID,
        1614265330,
        BODY,
        "v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg==",
    ),
    "SW-5": (
        WHSK,
        "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk",
        1649367553,
        b'{"email":"test@example.com","username":"test_user"}',
        "v1a,LFHB363YvoTm7xdMyZd/981dRSdVxW0u27ld7pRBYKa+E1Is4O8e+VFZlwtUB7muxeGaguMrB+8TDoJMHA5lCQ==",
    ),
}
FAMILIES: tuple[HeaderFamily, ...] = ("webhook", "svix")


@pytest.mark.parametrize(
    ("secret", "msg_id", "timestamp_s", "body", "expected"), VECTORS.values(), ids=VECTORS.keys()
)
def test_published_vectors(
    secret: str, msg_id: str, timestamp_s: int, body: bytes, expected: str
) -> None:
    key = parse(secret)

    assert sign(key, msg_id, timestamp_s=timestamp_s, body=body) == expected
    assert signature([key], msg_id, timestamp_s=timestamp_s, body=body) == expected


def test_a_published_vector_whose_secret_is_too_short_to_be_taken_from_a_user() -> None:
    """SW-3, the example of Svix's page on verifying by hand: 18 bytes where 24 are the least."""
    text = "whsec_plJ3nmyCDGBKInavdOK15jsl"
    key = hmac_key(b64decode(text.removeprefix("whsec_")))

    signed = sign(
        key,
        "msg_loFOjxBNrRLzqYUf",
        timestamp_s=1731705121,
        body=b'{"event_type":"ping","data":{"success":true}}',
    )

    assert signed == "v1,rAvfW3dJ/X/qxhsaXPOyyCGmRKsaKWcsNccKXlIktD0="
    with pytest.raises(SecretError, match="this one 18"):
        parse(text)


def test_several_keys_sign_in_their_order_whatever_their_kind() -> None:
    keys = [parse(WHSK), parse(WHSEC), parse(OLD_WHSEC)]

    signed = signature(keys, MSG_ID, timestamp_s=1614265330, body=BODY)

    assert signed.split(" ") == [
        VECTORS["SW-4"][4],
        VECTORS["SW-1"][4],
        sign(parse(OLD_WHSEC), MSG_ID, timestamp_s=1614265330, body=BODY),
    ]


@pytest.mark.parametrize("family", FAMILIES)
def test_headers_are_wire_bytes(family: HeaderFamily) -> None:
    wire = headers(family, MSG_ID, timestamp_s=1614265330, signature="v1,x v1a,y")

    assert wire == (
        f"{family}-id: {MSG_ID}\r\n"
        f"{family}-timestamp: 1614265330\r\n"
        f"{family}-signature: v1,x v1a,y\r\n"
    ).encode("ascii")
    assert wire.startswith(identity_headers(family, MSG_ID, timestamp_s=1614265330))


def parsed(wire: bytes) -> dict[str, str]:
    return dict(line.split(": ", 1) for line in wire.decode().removesuffix("\r\n").split("\r\n"))


@pytest.mark.parametrize("receivers_secret", [WHSEC, OLD_WHSEC])
@pytest.mark.parametrize("family", FAMILIES)
def test_the_official_verifiers_accept_our_headers_during_a_rotation(
    family: HeaderFamily, receivers_secret: str
) -> None:
    now_s = int(time.time())
    keys = [parse(WHSEC), parse(WHSK), parse(OLD_WHSEC)]
    signed = signature(keys, MSG_ID, timestamp_s=now_s, body=BODY)
    sent = parsed(headers(family, MSG_ID, timestamp_s=now_s, signature=signed))

    svix.webhooks.Webhook(receivers_secret).verify(BODY, sent)
    if family == "webhook":
        verified = standardwebhooks.Webhook(receivers_secret).verify(BODY, sent)
        assert verified == {"test": 2432232314}


def test_the_official_verifier_refuses_our_headers_on_another_body() -> None:
    now_s = int(time.time())
    signed = signature([parse(WHSEC)], MSG_ID, timestamp_s=now_s, body=BODY)
    sent = parsed(headers("webhook", MSG_ID, timestamp_s=now_s, signature=signed))

    with pytest.raises(standardwebhooks.WebhookVerificationError):
        standardwebhooks.Webhook(WHSEC).verify(BODY + b" ", sent)


ids = st.from_regex(r"[A-Za-z0-9_]{1,40}", fullmatch=True)
timestamps = st.integers(min_value=0, max_value=2**40)
seeds = st.binary(min_size=32, max_size=32)


@given(seed=seeds, msg_id=ids, timestamp_s=timestamps, body=st.binary(max_size=500))
def test_an_hmac_signature_is_what_the_standard_library_computes(
    seed: bytes, msg_id: str, timestamp_s: int, body: bytes
) -> None:
    key = parse(generate(SignatureType.HMAC256, seed))

    version, _, encoded = sign(key, msg_id, timestamp_s=timestamp_s, body=body).partition(",")

    content = f"{msg_id}.{timestamp_s}.".encode() + body
    assert version == "v1"
    assert b64decode(encoded, validate=True) == hmac.digest(seed, content, hashlib.sha256)


@given(seed=seeds, msg_id=ids, timestamp_s=timestamps, body=st.binary(max_size=500))
def test_an_ed25519_signature_is_verified_by_the_public_key(
    seed: bytes, msg_id: str, timestamp_s: int, body: bytes
) -> None:
    key = parse(generate(SignatureType.ED25519, seed))
    assert isinstance(key, Ed25519Key)

    version, _, encoded = sign(key, msg_id, timestamp_s=timestamp_s, body=body).partition(",")

    content = f"{msg_id}.{timestamp_s}.".encode() + body
    assert version == "v1a"
    public = Ed25519PublicKey.from_public_bytes(key.public)
    public.verify(b64decode(encoded, validate=True), content)


def test_bodies_need_not_be_text() -> None:
    body = b"\xff\xfe\x00\r\n"

    signed = sign(parse(WHSEC), MSG_ID, timestamp_s=0, body=body)

    raw = b64decode(WHSEC.removeprefix("whsec_"))
    expected = hmac.digest(raw, f"{MSG_ID}.0.".encode() + body, "sha256")
    assert b64decode(signed.removeprefix("v1,")) == expected
