"""XChaCha20-Poly1305 against the values of draft-irtf-cfrg-xchacha-03, 2.2.1 and A.3.1."""

import pytest

from ringback.sign.xchacha import decrypt, hchacha20

KEY = bytes(range(0x80, 0xA0))
NONCE = bytes(range(0x40, 0x58))
AAD = bytes.fromhex("50515253c0c1c2c3c4c5c6c7")
PLAIN = (
    b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future,"
    b" sunscreen would be it."
)
SEALED = bytes.fromhex(
    "bd6d179d3e83d43b9576579493c0e939572a1700252bfaccbed2902c21396cbb"
    "731c7f1b0b4aa6440bf3a82f4eda7e39ae64c6708c54c216cb96b72e1213b452"
    "2f8c9ba40db5d945b11b69b982c1bb9e3f3fac2bc369488f76b2383565d3fff9"
    "21f9664c97637da9768812f615c68b13b52e"
    "c0875924c1c7987947deafd8780acf49"
)


def test_the_key_is_mixed_as_the_draft_says() -> None:
    nonce = bytes.fromhex("000000090000004a0000000031415927")
    mixed = "82413b4227b27bfed30e42508a877d73a0f9e4d58a74a853c12ec41326d3ecdc"
    assert hchacha20(bytes(range(32)), nonce).hex() == mixed


def test_what_the_draft_sealed_opens() -> None:
    assert decrypt(KEY, NONCE, SEALED, aad=AAD) == PLAIN


@pytest.mark.parametrize(
    ("key", "nonce", "sealed", "aad"),
    [
        (bytes(32), NONCE, SEALED, AAD),
        (KEY, NONCE, SEALED[:-1] + b"\0", AAD),
        (KEY, NONCE, SEALED, b""),
        (KEY, NONCE, b"short", AAD),
        (KEY[:16], NONCE, SEALED, AAD),
        (KEY, NONCE[:12], SEALED, AAD),
    ],
)
def test_anything_else_does_not(key: bytes, nonce: bytes, sealed: bytes, aad: bytes) -> None:
    with pytest.raises(ValueError, match=r"altered|wrong length"):
        decrypt(key, nonce, sealed, aad=aad)
