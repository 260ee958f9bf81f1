"""HMAC keys that have been mixed in once, so that a signature costs two hash states.

Standard library only: a receiver that verifies HMAC loads no cryptography package. The states are
those of RFC 2104, the inner and the outer one; measured, copying them is a third faster than
copying an `hmac.HMAC`. No key, repr or error made here shows key material.
"""

import hashlib
from typing import Any, Final, Literal

from msgspec import Struct

from ringback.errors import SecretError

Algorithm = Literal["sha1", "sha256", "sha384", "sha512"]

_INNER: Final = bytes(byte ^ 0x36 for byte in range(256))
_OUTER: Final = bytes(byte ^ 0x5C for byte in range(256))


class HmacKey(Struct, frozen=True, eq=False):
    """A key whose states are never updated: one serves any number of signatures and threads."""

    inner: Any  # hash states, which have no public type
    outer: Any

    def sign(self, *parts: bytes) -> bytes:
        """The tag of the parts joined, without joining them; as long as the algorithm's digest."""
        inner = self.inner.copy()
        for part in parts:
            inner.update(part)
        outer = self.outer.copy()
        outer.update(inner.digest())
        tag: bytes = outer.digest()
        return tag

    def __repr__(self) -> str:
        return "HmacKey(…)"


def hmac_key(raw: bytes, algorithm: Algorithm = "sha256") -> HmacKey:
    """The key of these bytes. Raises SecretError for none: anybody could make its signatures."""
    if not raw:
        raise SecretError("the signing secret is empty; give one, or leave it out to get a new one")
    # RFC 2104 is built from SHA-1 for some providers; the collisions of SHA-1 do not break it.
    state = hashlib.new(algorithm)
    if len(raw) > state.block_size:
        raw = hashlib.new(algorithm, raw).digest()
    block = raw.ljust(state.block_size, b"\0")
    return HmacKey(
        hashlib.new(algorithm, block.translate(_INNER)),
        hashlib.new(algorithm, block.translate(_OUTER)),
    )
