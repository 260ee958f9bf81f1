"""XChaCha20-Poly1305: opening what another program has sealed with it. Nothing is sealed here.

(draft-irtf-cfrg-xchacha-03. The 24-byte nonce is ChaCha20-Poly1305's, RFC 8439, after 16 of its
bytes were mixed into the key by HChaCha20.)
"""

import struct
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.ciphers.algorithms import ChaCha20

KEY_BYTES: Final = 32
NONCE_BYTES: Final = 24
TAG_BYTES: Final = 16
_MIXED_BYTES: Final = 16
_WORDS: Final = struct.Struct("<16I")
_CONSTANTS: Final = struct.unpack("<4I", b"expand 32-byte k")
_WORD: Final = 0xFFFF_FFFF


def decrypt(key: bytes, nonce: bytes, ciphertext: bytes, *, aad: bytes = b"") -> bytes:
    """The plain text; `ciphertext` ends with its tag.

    Raises ValueError if it was altered, sealed with another key, or anything has a wrong length.
    """
    if len(key) != KEY_BYTES or len(nonce) != NONCE_BYTES or len(ciphertext) < TAG_BYTES:
        raise ValueError("the key, the nonce or the ciphertext has a wrong length")
    cipher = ChaCha20Poly1305(hchacha20(key, nonce[:_MIXED_BYTES]))
    try:
        return cipher.decrypt(bytes(4) + nonce[_MIXED_BYTES:], ciphertext, aad)
    except InvalidTag:
        raise ValueError("it was altered, or sealed with another key") from None


def hchacha20(key: bytes, nonce: bytes) -> bytes:
    """A key from a key and 16 bytes.

    It is ChaCha20's block without the last step, which adds the words that went in; those at either
    end are known, so they are taken off again.
    """
    block = Cipher(ChaCha20(key, nonce), None).encryptor().update(bytes(_WORDS.size))
    words = _WORDS.unpack(block)
    added = (*_CONSTANTS, *struct.unpack("<4I", nonce))
    ends = (*words[:4], *words[12:])
    return struct.pack(
        "<8I", *((word - one) & _WORD for word, one in zip(ends, added, strict=True))
    )
