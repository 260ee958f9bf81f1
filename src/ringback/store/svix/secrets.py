"""Svix's signing keys, from its database to the text that receivers know.

A key of exactly 24 bytes is an HMAC key as it is. Otherwise its first byte says what the rest is:

    1, 2            an HMAC key, an Ed25519 key pair (seed and public key)
    + 0x80          sealed with XChaCha20-Poly1305, after a nonce of 24 bytes, without further data

Sealed with HMAC-SHA256(key = main_secret, message = "main"). Old keys are the same in base64, or
`whsec_…` as it is.
"""

import hashlib
import hmac
from base64 import b64decode, b64encode
from typing import Final

from ringback.errors import SecretError
from ringback.sign import xchacha
from ringback.sign.secret import HMAC_PREFIX, PRIVATE_PREFIX, parse

LEGACY_BYTES: Final = 24
SEALED: Final = 0x80
PREFIXES: Final = {1: HMAC_PREFIX, 2: PRIVATE_PREFIX}


class SvixSecrets:
    """With an empty `main_secret` sealed keys do not open."""

    def __init__(self, main_secret: str) -> None:
        raw = main_secret.encode("utf-8", "surrogateescape")
        self._key = hmac.digest(raw, b"main", hashlib.sha256) if raw else b""

    def text(self, stored: bytes) -> str:
        """A `whsec_…` or `whsk_…` text. Raises SecretError."""
        if len(stored) == LEGACY_BYTES:
            prefix, key = HMAC_PREFIX, stored
        else:
            prefix, key = self._opened(stored)
        text = prefix + b64encode(key).decode()
        parse(text)
        return text

    def old_text(self, stored: str) -> str:
        """The same for a key that was rotated out. Raises SecretError."""
        if stored.startswith(HMAC_PREFIX):
            parse(stored)
            return stored
        try:
            raw = b64decode(stored, validate=True)
        except ValueError:
            raise SecretError("an old key is not base64") from None
        return self.text(raw)

    def _opened(self, stored: bytes) -> tuple[str, bytes]:
        prefix = PREFIXES.get(stored[0] & ~SEALED) if len(stored) > LEGACY_BYTES else None
        if prefix is None:
            raise SecretError("the key is of a kind that is not known here")
        key = stored[1:]
        if not stored[0] & SEALED:
            return prefix, key
        if not self._key:
            raise SecretError(
                "the key is sealed with Svix's main_secret; give that in SVIX_MAIN_SECRET, or in a"
                " file with --svix-main-secret-file"
            )
        nonce, sealed = key[: xchacha.NONCE_BYTES], key[xchacha.NONCE_BYTES :]
        try:
            return prefix, xchacha.decrypt(self._key, nonce, sealed)
        except ValueError:
            raise SecretError("the key does not open with this main_secret of Svix") from None
