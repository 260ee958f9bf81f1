"""Bodies that are small until somebody unpacks them, by content coding.

The one called `br` is not even Brotli: it says so, and who believes it fails. The others unpack to
UNPACKED_BYTES zeros.
"""

import gzip
from collections.abc import Mapping
from typing import Final

UNPACKED_BYTES: Final = 1024 * 1024 * 1024
_MEMBER_BYTES: Final = 1024 * 1024
_BLOCK_BYTES: Final = 128 * 1024


def _gzip() -> bytes:
    """Members follow one another (RFC 1952 section 2.2)."""
    return gzip.compress(bytes(_MEMBER_BYTES), mtime=0) * (UNPACKED_BYTES // _MEMBER_BYTES)


def _zstd() -> bytes:
    """One frame of blocks that each say "this byte, 128 KiB of it" (RFC 8878 section 3.1.1)."""
    magic, descriptor, window = b"\x28\xb5\x2f\xfd", b"\x00", b"\x38"
    count = UNPACKED_BYTES // _BLOCK_BYTES
    block = _run(is_last=False) * (count - 1) + _run(is_last=True)
    return magic + descriptor + window + block


def _run(*, is_last: bool) -> bytes:
    return (_BLOCK_BYTES << 3 | 1 << 1 | is_last).to_bytes(3, "little") + b"\0"


BOMBS: Final[Mapping[str, bytes]] = {
    "gzip": _gzip(),
    "br": b"\xce\xb2\xcf\x81\xff" * 10_000,
    "zstd": _zstd(),
}
