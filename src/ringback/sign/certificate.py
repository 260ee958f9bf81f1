"""Certificates that providers publish, and whether their key signed (RSA, PKCS #1 v1.5).

Trust comes from the place: a scheme lets a certificate be fetched over HTTPS from the provider's
own host only. So no chain is built here; the certificate must be valid now and hold an RSA key.
"""

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Final, Literal

from ringback.errors import Mismatch, SecretError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey

CERTIFICATE_BYTES_MAX: Final = 65_536
CERTIFICATES_CACHED_MAX: Final = 64
RSA_BITS_MIN: Final = 2_048

Hash = Literal["sha1", "sha256"]


def is_signed(
    pem: bytes, signature: bytes, content: bytes, *, now_s: int, algorithm: Hash = "sha256"
) -> bool:
    """Whether the content was signed with the key of this certificate, which is valid now.

    Raises Mismatch for a certificate that is none, has expired or is not yet valid, or whose key is
    of another kind or too short: with it nothing is proven.
    """
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
    from cryptography.hazmat.primitives.hashes import SHA1, SHA256

    key, valid_from_s, valid_until_s = _read(pem)
    if not valid_from_s <= now_s <= valid_until_s:
        raise Mismatch("the provider's certificate is not valid now; fetch it again")
    try:
        # One provider still signs with SHA-1 by default; its scheme says where that is accepted.
        digest = SHA256() if algorithm == "sha256" else SHA1()  # noqa: S303
        key.verify(signature, content, PKCS1v15(), digest)
    except InvalidSignature:
        return False
    return True


def sign(pem: str, content: bytes, *, algorithm: Hash = "sha256") -> bytes:
    """The signature by an RSA private key, for tests. Deterministic. Raises SecretError."""
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
    from cryptography.hazmat.primitives.hashes import SHA1, SHA256

    digest = SHA256() if algorithm == "sha256" else SHA1()  # noqa: S303
    return _private(pem).sign(content, PKCS1v15(), digest)


def self_signed(pem: str, *, host: str, at_s: int) -> bytes:
    """A certificate of this private key for tests, valid for a year around an instant."""
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.serialization import Encoding
    from cryptography.x509 import CertificateBuilder, Name, NameAttribute
    from cryptography.x509.oid import NameOID

    key, at = _private(pem), datetime.fromtimestamp(at_s, UTC)
    name = Name([NameAttribute(NameOID.COMMON_NAME, host)])
    certificate = (
        CertificateBuilder(name, name, key.public_key(), serial_number=1)
        .not_valid_before(at - timedelta(days=180))
        .not_valid_after(at + timedelta(days=180))
        .sign(key, SHA256())
    )
    return certificate.public_bytes(Encoding.PEM)


@lru_cache(maxsize=CERTIFICATES_CACHED_MAX)
def _read(pem: bytes) -> "tuple[RSAPublicKey, int, int]":
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
    from cryptography.x509 import load_pem_x509_certificate

    try:
        certificate = load_pem_x509_certificate(pem[:CERTIFICATE_BYTES_MAX])
        key = certificate.public_key()
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise Mismatch("what was fetched is not the provider's certificate") from None
    if not isinstance(key, RSAPublicKey) or key.key_size < RSA_BITS_MIN:
        raise Mismatch(f"the provider's certificate has no RSA key of {RSA_BITS_MIN} bits")
    since, until = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    return key, int(since.timestamp()), int(until.timestamp())


def _private(pem: str) -> "RSAPrivateKey":
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(pem.encode(), None)
    except (ValueError, TypeError):
        raise SecretError("give the signing key as PEM") from None
    if not isinstance(key, RSAPrivateKey):
        raise SecretError("give an RSA key")
    return key
