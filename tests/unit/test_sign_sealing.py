"""Sealed secrets open for their owner under their main secret, and for nobody else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.errors import SecretError
from ringback.sign.sealing import NONCE_BYTES, Sealer, owner

WHSEC = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
WHSK = (
    "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg=="
)
MAIN = "correct horse battery staple, and then some more"
NONCE = bytes(range(NONCE_BYTES))
OWNER = owner("app_1", "ep_1")
STORED = (
    "sealed1:785eb2ba:AAECAwQFBgcICQoLAI9e1Z4l4HCfu+TnrcV3DSoa"
    "XgAf6oNbcQdVnR1YKfGkLGwijx7MgcvkIEVzuYgAB4R69fvI"
)


@given(
    main=st.text(min_size=1, max_size=60),
    text=st.sampled_from([WHSEC, WHSK]),
    nonce=st.binary(min_size=NONCE_BYTES, max_size=NONCE_BYTES),
    aad=st.binary(max_size=60),
)
def test_what_is_sealed_opens_again(main: str, text: str, nonce: bytes, aad: bytes) -> None:
    sealed = Sealer(main).seal(text, aad=aad, nonce=nonce)

    assert sealed.isascii()
    assert text.partition("_")[2] not in sealed
    assert Sealer(main).open(sealed, aad=aad) == text


def test_the_stored_form_does_not_change_between_versions() -> None:
    sealed = Sealer(MAIN).seal(WHSEC, aad=OWNER, nonce=NONCE)

    assert sealed == STORED
    assert Sealer(MAIN).open(STORED, aad=OWNER) == WHSEC


def test_another_main_secret_is_named_as_the_reason() -> None:
    sealed = Sealer(MAIN).seal(WHSEC, aad=OWNER, nonce=NONCE)

    with pytest.raises(SecretError, match=r"sealed with another main_secret .*start with that one"):
        Sealer(MAIN + "!").open(sealed, aad=OWNER)


def test_without_a_main_secret_nothing_is_sealed_and_nothing_opens() -> None:
    unsealing = Sealer("")

    assert unsealing.seal(WHSEC, aad=OWNER, nonce=NONCE) == WHSEC
    assert unsealing.open(WHSEC, aad=OWNER) == WHSEC
    with pytest.raises(SecretError, match="none is set; start with that one"):
        unsealing.open(STORED, aad=OWNER)


@pytest.mark.parametrize("text", [WHSEC, WHSK])
def test_secrets_from_before_there_was_a_main_secret_pass_through(text: str) -> None:
    assert Sealer(MAIN).open(text, aad=OWNER) == text


@pytest.mark.parametrize(
    "aad", [owner("app_2", "ep_1"), owner("app_1", "ep_2"), owner("app_1e", "p_1"), b""]
)
def test_a_sealed_secret_does_not_open_for_another_endpoint(aad: bytes) -> None:
    with pytest.raises(SecretError, match="belongs to another endpoint"):
        Sealer(MAIN).open(STORED, aad=aad)


def test_no_character_of_the_sealed_text_can_be_changed() -> None:
    sealer = Sealer(MAIN)
    for position, letter in enumerate(STORED):
        changed = STORED[:position] + ("A" if letter != "A" else "B") + STORED[position + 1 :]
        with pytest.raises(SecretError) as caught:
            sealer.open(changed, aad=OWNER)
        assert changed not in str(caught.value)


@pytest.mark.parametrize(
    "stored",
    [
        "",
        "sealed",
        "sealed1:",
        "sealed1::",
        "sealed1:0a1b2c3d",
        "sealed1:0a1b2c3d:A",
        "sealed1:0a1b2c3d:AB=",
        "sealed1:0a1b2c3d:!!!!",
        "sealed1:0A1B2C3D:AAAA",
        "sealed1:0a1b2c3d:AAAA\n",
        "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4=",
        "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "sealed1:0a1b2c3d:é",
    ],
)
@pytest.mark.parametrize("main", [MAIN, ""])
def test_what_is_neither_sealed_nor_a_secret_is_refused(stored: str, main: str) -> None:
    with pytest.raises(SecretError, match="neither sealed nor a signing secret"):
        Sealer(main).open(stored, aad=OWNER)


@pytest.mark.parametrize("length", range(0, 60, 7))
def test_a_cut_off_text_is_refused(length: int) -> None:
    with pytest.raises(SecretError):
        Sealer(MAIN).open(STORED[:length], aad=OWNER)
    with pytest.raises(SecretError):
        Sealer(MAIN).open(STORED[: len("sealed1:00000000:") + length // 4 * 4], aad=OWNER)


def test_a_newer_form_asks_for_an_upgrade() -> None:
    with pytest.raises(SecretError, match="upgrade"):
        Sealer(MAIN).open("sealed2:whatever", aad=OWNER)


@pytest.mark.parametrize("text", ["", "whpk_AAAA", STORED, "hunter2"])
@pytest.mark.parametrize("main", [MAIN, ""])
def test_only_signing_secrets_are_sealed(text: str, main: str) -> None:
    with pytest.raises(SecretError, match="only a signing secret"):
        Sealer(main).seal(text, aad=OWNER, nonce=NONCE)


@pytest.mark.parametrize("size", [0, 11, 13])
def test_a_nonce_has_twelve_bytes(size: int) -> None:
    with pytest.raises(ValueError, match="12"):
        Sealer(MAIN).seal(WHSEC, aad=OWNER, nonce=bytes(size))


def test_main_secrets_from_the_environment_may_hold_any_bytes() -> None:
    main = b"\xff\xfe not UTF-8, but random enough to serve".decode("utf-8", "surrogateescape")

    sealed = Sealer(main).seal(WHSEC, aad=OWNER, nonce=NONCE)

    assert Sealer(main).open(sealed, aad=OWNER) == WHSEC


def test_a_sealer_shows_no_secret() -> None:
    sealer = Sealer(MAIN)

    assert MAIN not in repr(sealer)
    assert repr(sealer) == f"Sealer(main_secret {STORED.split(':')[1]})"
    assert repr(Sealer("")) == "Sealer(no main_secret)"
    assert not hasattr(sealer, "__dict__")
