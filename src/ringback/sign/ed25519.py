"""Ed25519 public keys of senders, and whether a signature is theirs (RFC 8032).

Points of small order are refused as keys: under them anybody's signatures verify. The library that
does the arithmetic refuses a non-canonical `s`, so nobody can make a second signature from a first.
"""

from functools import lru_cache
from typing import TYPE_CHECKING, Final

from ringback.errors import SecretError
from ringback.sign.scheme import KEYS_CACHED_MAX

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

PUBLIC_KEY_BYTES: Final = 32
SIGNATURE_BYTES: Final = 64

_P: Final = 2**255 - 19
# The y coordinates of the eight points of small order; p and p + 1 are 0 and 1 spelled otherwise.
_OF_ORDER_8: Final = 0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7
_SMALL_ORDER: Final = {0, 1, _P - 1, _P, _P + 1, _OF_ORDER_8, _P - _OF_ORDER_8}


def is_signed(public: bytes, signature: bytes, content: bytes) -> bool:
    """Whether the signature of the content was made with the key behind these 32 public bytes.

    Raises SecretError for bytes that are no public key.
    """
    from cryptography.exceptions import InvalidSignature

    try:
        _key(public).verify(signature, content)
    except InvalidSignature:
        return False
    return True


@lru_cache(maxsize=KEYS_CACHED_MAX)
def _key(public: bytes) -> "Ed25519PublicKey":
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    if len(public) != PUBLIC_KEY_BYTES:
        raise SecretError(f"an Ed25519 public key has {PUBLIC_KEY_BYTES} bytes, not {len(public)}")
    if int.from_bytes(public, "little") & (2**255 - 1) in _SMALL_ORDER:
        raise SecretError("this Ed25519 public key would verify anybody's signatures; get another")
    return Ed25519PublicKey.from_public_bytes(public)
