"""Secrets are read strictly, refused in one clear sentence, and never shown."""

import os
import pickle
import traceback
from base64 import b64decode, b64encode

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st

from ringback.errors import SecretError
from ringback.model import SignatureType
from ringback.sign import secret
from ringback.sign.hmac_key import HmacKey
from ringback.sign.secret import Ed25519Key, generate, parse, public_text, verbatim_key

WHSEC = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
WHSK = (
    "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg=="
)
WHPK = "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4="


def base64_of(raw: bytes) -> str:
    return b64encode(raw).decode()


def bytes_of(text: str) -> bytes:
    return b64decode(text.partition("_")[2])


MALFORMED = {
    "three bytes": ("whsec_MfKQ", "24 to 75 bytes"),
    "one byte": ("whsec_AA==", "24 to 75 bytes"),
    "23 bytes": ("whsec_" + base64_of(bytes(23)), "24 to 75 bytes"),
    "76 bytes": ("whsec_" + base64_of(bytes(76)), "at most 106 characters"),
    "a megabyte": ("whsec_" + "A" * 1_000_000, "at most 106 characters"),
    "empty": ("", "is empty"),
    "prefix only": ("whsec_", "24 to 75 bytes"),
    "private prefix only": ("whsk_", "64 bytes"),
    "wrong prefix": ("hwsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "starts with whsec_"),
    "no prefix": ("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "starts with whsec_"),
    "upper-case prefix": ("WHSEC_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "starts with whsec_"),
    "newer prefix": ("whsk1_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "starts with whsec_"),
    "public key": (WHPK, "cannot sign"),
    "trailing newline": (WHSEC + "\n", "line break"),
    "trailing carriage return": (WHSEC + "\r\n", "line break"),
    "leading space": (" " + WHSEC, "line break or a space"),
    "no-break space": (WHSEC + "\u00a0", "line break or a space"),
    "non-ASCII": ("whsec_ÄfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "other than ASCII"),
    "full-width": ("whsec_\uff2dfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "other than ASCII"),
    "lone surrogate": ("whsec_\udcffKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "other than ASCII"),
    "NUL": ("whsec_MfKQ9r8GKYqrTwjU\0D8ILPZIo2LaLaSw", "standard base64"),
    "newline inside": ("whsec_MfKQ9r8GKYqrTwjU\nPD8ILPZIo2LaLaSw", "standard base64"),
    "junk inside": ("whsec_MfKQ9r8GKYqrTwjU!!PD8ILPZIo2LaLaSw", "standard base64"),
    "base64url": ("whsec_MfKQ9r8GKYqrTwjU-_8ILPZIo2LaLaSw", "standard base64"),
    "padding missing": ("whsec_" + base64_of(bytes(25)).rstrip("="), "standard base64"),
    "padding extra": (WHSEC + "====", "standard base64"),
    "unused bits set": ("whsec_" + base64_of(bytes(25)).replace("A==", "B=="), "standard base64"),
    "halves that do not match": (
        "whsk_" + base64_of(bytes(32) + bytes(32)),
        "do not belong together",
    ),
    "private key of 33 bytes": ("whsk_" + base64_of(bytes(33)), "64 bytes"),
    "private key of 63 bytes": ("whsk_" + base64_of(bytes(63)), "64 bytes"),
    "private key of 65 bytes": ("whsk_" + base64_of(bytes(65)), "64 bytes"),
}


@pytest.mark.parametrize(("text", "says"), MALFORMED.values(), ids=MALFORMED.keys())
def test_a_malformed_secret_is_refused_in_one_sentence_without_the_secret(
    text: str, says: str
) -> None:
    with pytest.raises(SecretError) as caught:
        parse(text)

    message = str(caught.value)
    assert says in message
    assert "\n" not in message
    assert len(message) < 160
    shown = message + repr(caught.value.__context__) + repr(vars(caught.value))
    key_part = text.strip().rpartition("_")[2]
    assert not key_part or key_part not in shown


@pytest.mark.parametrize("text", [text for text, _ in MALFORMED.values()], ids=MALFORMED.keys())
def test_public_text_refuses_what_parse_refuses(text: str) -> None:
    with pytest.raises(SecretError):
        public_text(text)


@given(st.text(max_size=120))
def test_no_text_makes_parse_fail_in_another_way_or_repeat_it(text: str) -> None:
    for candidate in (text, "whsec_" + text, "whsk_" + text):
        try:
            parse(candidate)
        except SecretError as error:
            assert len(text) < 8 or text not in str(error)  # noqa: PT017


@pytest.mark.parametrize("size", [24, 32, 64, 65, 75])
def test_hmac_secrets_of_24_to_75_bytes_are_read(size: int) -> None:
    raw = bytes(range(size))

    key = parse("whsec_" + base64_of(raw))

    assert isinstance(key, HmacKey)
    assert key.sign(b"x") == verbatim_key(raw.decode()).sign(b"x")


def test_a_private_key_is_read_with_and_without_its_public_half() -> None:
    whole = parse(WHSK)
    seed_only = parse("whsk_" + base64_of(bytes_of(WHSK)[:32]))

    assert isinstance(whole, Ed25519Key)
    assert isinstance(seed_only, Ed25519Key)
    assert whole.public == seed_only.public == bytes_of(WHPK)
    assert whole.sign(b"x") == seed_only.sign(b"x")


def test_the_owner_sees_a_shared_secret_and_only_the_public_half_of_a_pair() -> None:
    assert public_text(WHSEC) == WHSEC
    assert public_text(WHSK) == WHPK
    assert public_text("whsk_" + base64_of(bytes_of(WHSK)[:32])) == WHPK


@given(st.binary(min_size=32, max_size=32))
def test_what_is_generated_can_be_read_again(random_bytes: bytes) -> None:
    shared = generate(SignatureType.HMAC256, random_bytes)
    private = generate(SignatureType.ED25519, random_bytes)

    assert shared == "whsec_" + base64_of(random_bytes)
    assert isinstance(parse(shared), HmacKey)
    pair = parse(private)
    assert isinstance(pair, Ed25519Key)
    assert bytes_of(private) == random_bytes + pair.public
    Ed25519PublicKey.from_public_bytes(pair.public).verify(pair.sign(b"a", b"b"), b"ab")


@pytest.mark.parametrize("kind", SignatureType)
@pytest.mark.parametrize("size", [0, 24, 31, 33, 64])
def test_a_new_secret_takes_32_random_bytes_and_no_other_count(
    kind: SignatureType, size: int
) -> None:
    with pytest.raises(SecretError, match="32 random bytes"):
        generate(kind, bytes(size))


def test_an_empty_text_is_never_a_key() -> None:
    with pytest.raises(SecretError, match="empty"):
        verbatim_key("")


def test_parsed_keys_are_reused_and_the_cache_is_bounded() -> None:
    assert parse(WHSEC) is parse(WHSEC)
    assert verbatim_key(WHSEC) is verbatim_key(WHSEC)
    assert secret._parse.cache_info().maxsize == secret.KEYS_CACHED_MAX
    assert secret._verbatim_key.cache_info().maxsize == secret.KEYS_CACHED_MAX


def test_signing_leaves_the_key_as_it_was() -> None:
    key = parse(WHSEC)

    first = key.sign(b"first")

    assert key.sign(b"second") != first
    assert key.sign(b"fir", b"st") == first


@pytest.mark.parametrize("text", [WHSEC, WHSK])
def test_a_key_shows_no_key_material(text: str) -> None:
    key = parse(text)
    raw = bytes_of(text)
    shown = f"{key} {key!r} {[key]!r}"

    for spelling in (base64_of(raw), raw.hex(), repr(raw), base64_of(raw[:32]), raw[:32].hex()):
        assert spelling not in shown


@pytest.mark.parametrize("text", [WHSEC, WHSK])
def test_a_key_cannot_be_written_out(text: str) -> None:
    with pytest.raises(TypeError):
        msgspec.json.encode(parse(text))
    with pytest.raises(TypeError):
        pickle.dumps(parse(text))


def test_a_printed_traceback_holds_no_secret() -> None:
    text = "whsec_" + base64_of(os.urandom(24)) + "é"
    try:
        parse(text)
    except SecretError:
        assert text[6:] not in traceback.format_exc()
    else:
        pytest.fail("a non-ASCII secret was accepted")


def test_no_text_makes_a_verbatim_key_fail_with_the_text_in_the_error() -> None:
    assert verbatim_key("\udcff secret").sign(b"x") != verbatim_key("\udcfe secret").sign(b"x")
