"""A request of HTTP/1.1, read from a stream within limits, header names and values as they came.

    head     request line and headers, at most HEAD_BYTES_MAX, within HEAD_S
    body     by Content-Length or in chunks, at most BODY_BYTES_MAX, within BODY_S

Whatever cannot be read is Unreadable, with the status to answer. Nothing is decoded or unpacked:
what is verified and kept must be the bytes that came.
"""

import asyncio
import re
from typing import Final

from msgspec import Struct

HEAD_BYTES_MAX: Final = 64 * 1024
HEAD_S: Final = 75.0
BODY_BYTES_MAX: Final = 32 * 1024 * 1024
BODY_S: Final = 120.0
_CHUNK_LINE_BYTES_MAX: Final = 256
_FIRST: Final = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]{1,32}) ([!-~]{1,16384}) HTTP/1\.([01])")
_NAME: Final = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


class Unreadable(Exception):
    """What came is no request, or exceeds a limit."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Head(Struct, frozen=True):
    """`headers` are in the order and the case in which they came, as Latin-1."""

    method: str
    target: str
    is_1_0: bool
    headers: tuple[tuple[str, str], ...]

    def header(self, name: str) -> str:
        """The one value of a header, by lower-case name; empty without it. Raises Unreadable."""
        found = [text for other, text in self.headers if other.lower() == name]
        if len(found) > 1:
            raise Unreadable(400, f"the header {name} came more than once")
        return found[0] if found else ""

    def is_last(self) -> bool:
        """Whether the sender will not use the connection again."""
        wish = ",".join(text.lower() for name, text in self.headers if name.lower() == "connection")
        return "close" in wish or (self.is_1_0 and "keep-alive" not in wish)


async def read_head(reader: asyncio.StreamReader) -> Head | None:
    """The next one; None if the sender ended the connection, or lets us wait. Raises Unreadable."""
    try:
        async with asyncio.timeout(HEAD_S):
            raw = await reader.readuntil(b"\r\n\r\n")
    except (TimeoutError, asyncio.IncompleteReadError):
        return None
    except asyncio.LimitOverrunError:
        raise Unreadable(431, f"the head exceeds {HEAD_BYTES_MAX} bytes") from None
    return head_of(raw)


def head_of(raw: bytes) -> Head:
    """Raises Unreadable for what is no head of HTTP/1.1."""
    first, *lines = raw.removesuffix(b"\r\n\r\n").lstrip(b"\r\n").split(b"\r\n")
    form = _FIRST.fullmatch(first)
    if not form:
        raise Unreadable(400, "the first line is not METHOD TARGET HTTP/1.1")
    headers = []
    for line in lines:
        name, colon, text = line.partition(b":")
        if not colon or not _NAME.fullmatch(name):
            raise Unreadable(400, "a header is not NAME: VALUE")
        headers.append((name.decode("ascii"), text.strip(b" \t").decode("latin-1")))
    return Head(form[1].decode(), form[2].decode(), form[3] == b"0", tuple(headers))


async def read_body(reader: asyncio.StreamReader, head: Head) -> bytes:
    """Raises Unreadable, ConnectionError and IncompleteReadError."""
    coding, length = head.header("transfer-encoding"), head.header("content-length")
    if coding and (coding.lower() != "chunked" or length):
        raise Unreadable(400, "the body is framed in a way that programs read differently")
    try:
        async with asyncio.timeout(BODY_S):
            if coding:
                return await _chunks(reader)
            return await reader.readexactly(_size(length or "0", base=10))
    except TimeoutError:
        raise Unreadable(408, f"the body did not come within {BODY_S:g} s") from None


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    body = bytearray()
    while True:
        size = _size((await _line(reader)).partition(b";")[0].strip().decode("latin-1"), base=16)
        if size == 0:
            break
        if len(body) + size > BODY_BYTES_MAX:
            raise Unreadable(413, f"the body exceeds {BODY_BYTES_MAX} bytes")
        body += await reader.readexactly(size)
        if await reader.readexactly(2) != b"\r\n":
            raise Unreadable(400, "a chunk does not end where it says")
    while await _line(reader):
        pass
    return bytes(body)


async def _line(reader: asyncio.StreamReader) -> bytes:
    try:
        line = await reader.readuntil(b"\r\n")
    except asyncio.LimitOverrunError:
        line = b"0" * (_CHUNK_LINE_BYTES_MAX + 1)
    if len(line) > _CHUNK_LINE_BYTES_MAX:
        raise Unreadable(400, f"a line between chunks exceeds {_CHUNK_LINE_BYTES_MAX} bytes")
    return line[:-2]


def _size(digits: str, *, base: int) -> int:
    alphabet = "[0-9]{1,16}" if base == 10 else "[0-9A-Fa-f]{1,16}"
    if not re.fullmatch(alphabet, digits):
        raise Unreadable(400, "the length of the body is not a number")
    size = int(digits, base)
    if size > BODY_BYTES_MAX:
        raise Unreadable(413, f"the body exceeds {BODY_BYTES_MAX} bytes")
    return size
