"""The raw body of a request, whole and bounded, or why not.

The bytes are handed on as they came: nothing is decoded, decompressed or parsed. A body that is
shorter than it was announced is never taken for a whole one.
"""

from collections.abc import AsyncIterable, Callable
from typing import Final

BODY_BYTES_MAX: Final = 4 * 1024 * 1024
BODY_S_MAX: Final = 10.0
PIECE_BYTES: Final = 64 * 1024


class Unread(Exception):
    """The body was not read to its end. `status` and `word` are for the answer."""

    def __init__(self, status: int, word: str, why: str) -> None:
        super().__init__(why)
        self.status = status
        self.word = word


async def gathered(
    pieces: AsyncIterable[bytes], *, declared: str | None, bytes_max: int, seconds: float
) -> bytes:
    """All pieces, in one. `declared` is the Content-Length, if there is one. Raises Unread."""
    from asyncio import timeout

    size = declared_size(declared, bytes_max=bytes_max)
    kept: list[bytes] = []
    received = 0
    try:
        async with timeout(seconds):
            async for piece in pieces:
                received += len(piece)
                if received > bytes_max:
                    raise too_large(bytes_max)
                kept.append(piece)
    except TimeoutError:
        raise Unread(408, "timeout", f"the body had not come within {seconds:g} s") from None
    if size is not None and received < size:
        raise incomplete()
    return b"".join(kept)


def read_whole(
    read: Callable[[int], bytes], *, declared: str | None, is_chunked: bool, bytes_max: int
) -> bytes:
    """The same from a stream that blocks. `is_chunked` says that a body without a length was sent.

    Where a server does not unpack those, nothing can be read, and that is not an empty body.
    """
    size = declared_size(declared, bytes_max=bytes_max)
    left = bytes_max + 1 if size is None else size
    kept: list[bytes] = []
    while left > 0 and (piece := read(min(left, PIECE_BYTES))):
        kept.append(piece)
        left -= len(piece)
    if size is not None:
        if left > 0:
            raise incomplete()
    elif left <= 0:
        raise too_large(bytes_max)
    elif is_chunked and not kept:
        raise Unread(
            411,
            "length_required",
            "the body came in chunks, which this server does not unpack; use one that does",
        )
    return b"".join(kept)


def declared_size(text: str | None, *, bytes_max: int) -> int | None:
    """The Content-Length; None without one. Raises Unread if it is none, or too large."""
    if not text:
        return None
    if not (text.isascii() and text.isdigit()):
        raise Unread(400, "bad_length", "the Content-Length is not a number")
    if len(text) > 18 or int(text) > bytes_max:
        raise too_large(bytes_max)
    return int(text)


def too_large(bytes_max: int) -> Unread:
    return Unread(
        413,
        "too_large",
        f"the body exceeds {bytes_max} bytes; if the provider means it, raise `body_bytes_max`",
    )


def incomplete() -> Unread:
    return Unread(
        400,
        "incomplete",
        "the body ended early: its connection broke, or something in this app had read it before",
    )
