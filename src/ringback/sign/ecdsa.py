"""ECDSA on P-256 with SHA-256: public keys of providers as text, and whether they signed.

The curve is the one thing that is accepted: a key of another kind is refused, not tried.
"""

from base64 import b64decode, b64encode
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from ringback.errors import SecretError
from ringback.sign.scheme import KEYS_CACHED_MAX, KeyPair
from ringback.sign.secret_text import check_text

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

_ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


def is_signed(public: str, signature: bytes, content: bytes) -> bool:
    """Whether this DER signature of the content belongs to the base64 SubjectPublicKeyInfo.

    Raises SecretError for a text that is no such key.
    """
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
    from cryptography.hazmat.primitives.hashes import SHA256

    try:
        _key(public).verify(signature, content, ECDSA(SHA256()))
    except InvalidSignature:
        return False
    return True


def sign(private: str, content: bytes) -> bytes:
    """The DER signature by a base64 PKCS #8 key, for tests. Raises SecretError for another text.

    Deterministic (RFC 6979), so that nothing here draws random numbers.
    """
    from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.serialization import load_der_private_key

    try:
        key = load_der_private_key(b64decode(private, validate=True), None)
    except (ValueError, TypeError):
        raise SecretError("give the private key as base64 of PKCS #8") from None
    if not isinstance(key, EllipticCurvePrivateKey):
        raise SecretError("give the private key of an elliptic curve, P-256")
    return key.sign(content, ECDSA(SHA256(), deterministic_signing=True))


def keys(random_bytes: bytes) -> KeyPair:
    """A private key as base64 PKCS #8 and its public one as base64 SubjectPublicKeyInfo."""
    from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, derive_private_key
    from cryptography.hazmat.primitives.serialization import (
        Encoding,
        NoEncryption,
        PrivateFormat,
        PublicFormat,
    )

    number = int.from_bytes(random_bytes) % (_ORDER - 1) + 1
    key = derive_private_key(number, SECP256R1())
    private = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return KeyPair(b64encode(private).decode(), b64encode(public).decode())


@lru_cache(maxsize=KEYS_CACHED_MAX)
def _key(text: str) -> "EllipticCurvePublicKey":
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
    from cryptography.hazmat.primitives.serialization import load_der_public_key

    check_text(text, "the public key")
    try:
        key = load_der_public_key(b64decode(text, validate=True))
    except (ValueError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, EllipticCurvePublicKey) or not isinstance(key.curve, SECP256R1):
        raise SecretError(
            "give the public key as the provider shows it: base64 of a P-256 key (MFkw…), one line,"
            " without BEGIN and END"
        )
    return key
