"""Sends a shot over a connection of its own and reads what comes back, all within a time.

Not the client that delivers: this one must be able to send what no client would. It dials the
address that was checked, and only once per shot.
"""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

import httptools
from msgspec import Struct, structs

from ringback.clock import Clock
from ringback.errors import ConfigError
from ringback.torture.case import BODY_KEPT_BYTES, Answer, Shot

READ_BYTES: Final = 65_536
PIECES: Final = 16
CONNECT_S: Final = 5.0


class Place(Struct, frozen=True):
    """A receiver's address, looked up once; `host` is the value of the Host header."""

    address: str
    port: int
    name: str
    is_tls: bool
    host: str


async def place_of(url: str, *, may_be_anywhere: bool) -> Place:
    """Raises ConfigError for no URL, no address, or another machine's without leave."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username:
        raise ConfigError(f"{url!r} is not a URL like http://127.0.0.1:8000/webhooks")
    is_tls = parts.scheme == "https"
    port = port or (443 if is_tls else 80)
    addresses = await _addresses(parts.hostname, port)
    strangers = [address for address in addresses if not ip_address(address).is_loopback]
    if strangers and not may_be_anywhere:
        raise ConfigError(
            f"{parts.hostname} is {strangers[0]}, which is not this machine: trying somebody else's"
            " receiver is an attack. If it is yours, say --yes-this-is-mine"
        )
    return Place(addresses[0], port, parts.hostname, is_tls, parts.netloc)


async def _addresses(name: str, port: int) -> list[str]:
    try:
        found = await asyncio.get_running_loop().getaddrinfo(name, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise ConfigError(f"{name} has no address; is it spelled right?") from None
    return [str(entry[4][0]).partition("%")[0] for entry in found]


class Dialler:
    """Fires shots at one place. Every one ends within `timeout_s`."""

    def __init__(self, place: Place, clock: Clock, *, timeout_s: float, cafile: str | None) -> None:
        self._place = place
        self._clock = clock
        self._timeout_s = timeout_s
        self._tls = _trusting(cafile) if place.is_tls else None

    async def fire(self, shots: Sequence[Shot]) -> list[Answer]:
        """One after the other on one connection, or as far as it lasts."""
        answers: list[Answer] = []
        began_s = self._clock.monotonic()
        fault = Answer(fault="timeout")
        try:
            async with asyncio.timeout(self._timeout_s), self._connection() as (reader, writer):
                for shot in shots:
                    began_s = self._clock.monotonic()
                    answer = await self._exchange(reader, writer, shot)
                    answers.append(answer)
        except TimeoutError:
            pass
        except ConnectionRefusedError:
            fault = Answer(fault="refused")
        except ssl.SSLError:
            fault = Answer(fault="tls")
        except (OSError, asyncio.IncompleteReadError, EOFError):
            fault = Answer(fault="closed")
        except httptools.HttpParserError:
            fault = Answer(fault="garbage")
        took_s = self._clock.monotonic() - began_s
        missing = [structs.replace(fault, took_s=took_s)] * (len(shots) - len(answers))
        return [*answers, *missing]

    @asynccontextmanager
    async def held(self, beginnings: Sequence[bytes]) -> AsyncIterator[None]:
        """Meanwhile so many connections are open on which a request has begun and does not end."""
        writers: list[asyncio.StreamWriter] = []
        try:
            for beginning in beginnings:
                with suppress(OSError, TimeoutError):
                    _, writer = await self._open()
                    writers.append(writer)
                    writer.write(beginning.replace(b"{host}", self._place.host.encode()))
                    await writer.drain()
            yield
        finally:
            for writer in writers:
                writer.transport.abort()

    @asynccontextmanager
    async def _connection(
        self,
    ) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        reader, writer = await self._open()
        try:
            yield reader, writer
        finally:
            writer.transport.abort()

    async def _open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        place = self._place
        async with asyncio.timeout(min(CONNECT_S, self._timeout_s)):
            return await asyncio.open_connection(
                place.address,
                place.port,
                ssl=self._tls,
                server_hostname=place.name if self._tls else None,
            )

    async def _exchange(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, shot: Shot
    ) -> Answer:
        """Reads while it writes: who refuses a huge body answers before its end."""
        began_s = self._clock.monotonic()
        writing = asyncio.create_task(self._write(writer, shot))
        try:
            response = await _read(reader)
        finally:
            writing.cancel()
            with suppress(asyncio.CancelledError, OSError):
                await writing
        took_s = max(self._clock.monotonic() - began_s - shot.pace_s, 0.0)
        return Answer(
            status=response.status,
            body=bytes(response.body),
            head=bytes(response.head),
            took_s=took_s,
        )

    async def _write(self, writer: asyncio.StreamWriter, shot: Shot) -> None:
        writer.write(head_of(shot, self._place.host))
        if not shot.pace_s:
            writer.write(_chunked(shot.body) if shot.is_chunked else shot.body)
            await writer.drain()
            return
        step = max(len(shot.body) // PIECES, 1)
        for start in range(0, len(shot.body), step):
            piece = shot.body[start : start + step]
            writer.write(_chunk(piece) if shot.is_chunked else piece)
            await writer.drain()
            await self._clock.sleep(shot.pace_s / PIECES)
        if shot.is_chunked:
            writer.write(b"0\r\n\r\n")


def _trusting(cafile: str | None) -> ssl.SSLContext:
    """The system's authorities, and those of a file; given a file, the library takes no others."""
    context = ssl.create_default_context()
    if cafile is not None:
        context.load_verify_locations(cafile)
    return context


def head_of(shot: Shot, host: str) -> bytes:
    """The head of a request, to its empty line."""
    length = len(shot.body) if shot.length is None else shot.length
    framing = b"Transfer-Encoding: chunked" if shot.is_chunked else b"Content-Length: %d" % length
    lines = [
        f"{shot.method} {shot.target} HTTP/1.1".encode(),
        b"Host: " + host.encode(),
        *(name + b": " + text for name, text in shot.headers),
        framing,
    ]
    return b"\r\n".join(lines) + b"\r\n\r\n"


class _Response:
    """What the parser calls."""

    def __init__(self) -> None:
        self.status = 0
        self.body = bytearray()
        self.head = bytearray()
        self.is_whole = False
        self.parser = httptools.HttpResponseParser(self)

    def on_header(self, name: bytes, value: bytes) -> None:
        if len(self.head) < BODY_KEPT_BYTES:
            self.head += name.lower() + b": " + value + b"\n"

    def on_body(self, body: bytes) -> None:
        self.body += body[: max(BODY_KEPT_BYTES - len(self.body), 0)]

    def on_message_complete(self) -> None:
        status = self.parser.get_status_code()
        if status >= 200:
            self.status, self.is_whole = status, True


async def _read(reader: asyncio.StreamReader) -> _Response:
    """The final response; the body as far as it came in time. Raises what the network raises."""
    response = _Response()
    while not response.is_whole:
        piece = await reader.read(READ_BYTES)
        if not piece:
            # Without a length, the end of the connection is the end of the body.
            status = response.parser.get_status_code()
            if status < 200:
                raise EOFError
            response.status = status
            break
        response.parser.feed_data(piece)
    return response


def _chunked(body: bytes) -> bytes:
    half = len(body) // 2
    return _chunk(body[:half]) + _chunk(body[half:]) + b"0\r\n\r\n"


def _chunk(piece: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(piece), piece) if piece else b""
