"""What a receiver can do to a sender, each thing under a name: the tables are at the end.

A behaviour gets a connection on which a request has just been read, and the argument of its name;
those of `BEFORE_BODY` begin when only the head of the request has been read. To return is to be
ready for the next request on the same connection. Some never end: whoever started them cancels.
"""

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable, Sized
from contextlib import suppress
from typing import Final, Protocol

FLOOD_BYTES: Final = 16 * 1024
_OK: Final = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok"
_CHUNKED: Final = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
_SETTINGS: Final = b"\x00\x00\x12\x04\x00\x00\x00\x00\x00" + bytes(18)  # a frame of HTTP/2
_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)


class Receiver(Protocol):
    """What a behaviour asks of the receiver that it serves."""

    @property
    def requests(self) -> Sized:
        """All that were read to their end, the one to be answered included."""
        ...

    def url(self, path: str) -> str: ...


class Visit:
    """One connection to a receiver: what a behaviour works with."""

    def __init__(
        self,
        receiver: Receiver,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        number: int,
    ) -> None:
        self.receiver = receiver
        self.reader = reader
        self.writer = writer
        self.number = number
        self.requests = 0

    async def say(self, *parts: bytes) -> None:
        for part in parts:
            self.writer.write(part)
            await self.writer.drain()
        # Over TLS a connection that broke is known as such a turn of the loop later: without one,
        # who says things for ever would never learn of it, and nobody else would run.
        await asyncio.sleep(0)

    async def pause(self, seconds: float) -> None:
        """That long, or until the sender closes the connection: ConnectionResetError then."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.hang()
                raise ConnectionResetError

    async def hang(self) -> None:
        """Until the receiver ends or the sender closes the connection."""
        with suppress(ConnectionError):
            while await self.reader.read(FLOOD_BYTES):
                pass

    def reset(self) -> None:
        """Closes with RST instead of FIN."""
        connected = self.writer.get_extra_info("socket")
        if connected is not None:
            connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        self.writer.transport.abort()

    def close(self) -> None:
        self.writer.close()


Behaviour = Callable[[Visit, str], Awaitable[None]]


# Answers


async def answer_ok(visit: Visit, _: str) -> None:
    await visit.say(_OK)


async def answer_status(visit: Visit, status: str) -> None:
    body = b"" if status in ("204", "205", "304") else b"as you wish"
    await visit.say(response(f"{status} Said So", body))


async def answer_slowly(visit: Visit, seconds: str) -> None:
    await visit.pause(float(seconds))
    await visit.say(_OK)


async def answer_alternating(visit: Visit, _: str) -> None:
    is_odd = len(visit.receiver.requests) % 2 == 1
    await visit.say(_OK if is_odd else response("500 Every Other", b"no"))


async def answer_retry_after(visit: Visit, value: str) -> None:
    await visit.say(response("429 Slow Down", b"", f"Retry-After: {value}"))


async def answer_redirect(visit: Visit, status: str) -> None:
    location = f"Location: {visit.receiver.url('/redirect/' + status)}"
    await visit.say(response(f"{status or 302} Round And Round", b"", location))


async def answer_and_close(visit: Visit, _: str) -> None:
    await visit.say(response("200 OK", b"ok", "Connection: close"))
    visit.close()


async def answer_and_hang_up(visit: Visit, _: str) -> None:
    """Closes silently: the response did not say so."""
    await visit.say(_OK)
    visit.close()


async def answer_until_close(visit: Visit, _: str) -> None:
    await visit.say(b"HTTP/1.1 200 OK\r\n\r\n", b"until ", b"the end")
    visit.close()


async def answer_chunked(visit: Visit, _: str) -> None:
    await visit.say(_CHUNKED, b"3;x=y\r\nabc\r\n", b"2\r\nde\r\n0\r\nX-Trailer: t\r\n\r\n")


async def answer_first_then_hang_up(visit: Visit, _: str) -> None:
    """Answers the first request of a connection, and closes on the second without a word."""
    if visit.requests == 1:
        await visit.say(_OK)
    else:
        visit.close()


async def answer_with_cookie(visit: Visit, _: str) -> None:
    await visit.say(response("200 OK", b"ok", "Set-Cookie: session=1; Path=/"))


async def answer_with_markup(visit: Visit, _: str) -> None:
    await visit.say(
        response("500 Oops", b"<script>alert(1)</script>\x00\x1b[31m\xff\xf0\x9f\x92\xa9")
    )


async def answer_compressed(visit: Visit, _: str) -> None:
    """Says gzip, and is not: whoever unpacks it fails."""
    await visit.say(response("200 OK", b"\x1f\x8b not really", "Content-Encoding: gzip"))


async def say_hints_first(visit: Visit, _: str) -> None:
    await visit.say(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", _OK)


# Wrong answers


async def flood_informational(visit: Visit, _: str) -> None:
    while True:
        await visit.say(b"HTTP/1.1 100 Continue\r\n\r\n" * 50)


async def drip_informational(visit: Visit, _: str) -> None:
    """Each in time: "wait", "wait", for ever."""
    while True:
        await visit.say(b"HTTP/1.1 102 Processing\r\n\r\n")
        await visit.pause(0.01)


async def switch_protocols(visit: Visit, _: str) -> None:
    await visit.say(b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n")
    await visit.hang()


async def say_garbage(visit: Visit, _: str) -> None:
    await visit.say(b"\x16\x03\x01 SSH-2.0 what?\r\n\r\n")
    await visit.hang()


async def say_bad_status_line(visit: Visit, _: str) -> None:
    await visit.say(b"HTTP/1.1 OK 200\r\nContent-Length: 0\r\n\r\n")
    await visit.hang()


async def say_http2(visit: Visit, _: str) -> None:
    await visit.say(_SETTINGS)
    await visit.hang()


async def say_http2_preface(visit: Visit, _: str) -> None:
    """What a client of HTTP/2 says first; a proxy that mixes up its ends says it too."""
    await visit.say(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + _SETTINGS)
    await visit.hang()


async def say_http2_goaway(visit: Visit, _: str) -> None:
    """As a server of HTTP/2 alone ends a connection on which it hears HTTP/1.1."""
    await visit.say(_SETTINGS, b"\x00\x00\x08\x07\x00\x00\x00\x00\x00" + bytes(7) + b"\x01")
    visit.close()


async def frame_twice(visit: Visit, _: str) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"
    await visit.say(head, b"2\r\nab\r\n0\r\n\r\n")
    await visit.hang()


async def say_no_content_with_body(visit: Visit, _: str) -> None:
    await visit.say(b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello")
    await visit.hang()


async def say_more_than_asked(visit: Visit, _: str) -> None:
    """Answers twice: the second would be the answer to the next request."""
    await visit.say(_OK + response("500 Not Yours", b"no"))
    await visit.hang()


async def say_more_later(visit: Visit, _: str) -> None:
    """Answers, and speaks again on the connection that is idle by then."""
    await visit.say(_OK)
    await visit.pause(0.01)
    await visit.say(response("500 Not Asked", b"no"))
    await visit.hang()


# Endless and slow answers


async def drip(visit: Visit, seconds: str) -> None:
    for byte in _OK:
        await visit.say(bytes([byte]))
        await visit.pause(float(seconds or 0.05))


async def drip_body(visit: Visit, seconds: str) -> None:
    await visit.say(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
    while True:
        await visit.say(b".")
        await visit.pause(float(seconds or 0.05))


async def endless_headers(visit: Visit, _: str) -> None:
    await visit.say(b"HTTP/1.1 200 OK\r\n")
    while True:
        await visit.say(b"X-More: and more\r\n" * 500)


async def header_bomb(visit: Visit, _: str) -> None:
    """All at once, and as many as there can be: the smallest header has four bytes."""
    await visit.say(b"HTTP/1.1 200 OK\r\n" + b"a:\r\n" * 1_000_000 + b"\r\n")
    await visit.hang()


async def endless_header_line(visit: Visit, _: str) -> None:
    await visit.say(b"HTTP/1.1 200 OK\r\nX-Long: ")
    while True:
        await visit.say(b"a" * FLOOD_BYTES)


async def endless_body(visit: Visit, _: str) -> None:
    await visit.say(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        await visit.say(b"." * FLOOD_BYTES)


async def endless_chunks(visit: Visit, _: str) -> None:
    await visit.say(_CHUNKED)
    while True:
        await visit.say(b"400\r\n" + b"." * 1024 + b"\r\n")


async def endless_chunk_extension(visit: Visit, _: str) -> None:
    await visit.say(_CHUNKED, b"1;x=")
    while True:
        await visit.say(b"y" * FLOOD_BYTES)


async def huge_length(visit: Visit, _: str) -> None:
    await visit.say(b"HTTP/1.1 200 OK\r\nContent-Length: 10737418240\r\n\r\n")
    while True:
        await visit.say(b"." * FLOOD_BYTES)


# Ends and silences


async def hang_up(visit: Visit, _: str) -> None:
    visit.close()


async def reset(visit: Visit, _: str) -> None:
    visit.reset()


async def reset_in_head(visit: Visit, _: str) -> None:
    await visit.say(b"HTTP/1.1 200 OK\r\nContent-")
    visit.reset()


async def reset_in_body(visit: Visit, _: str) -> None:
    await visit.say(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nnot all")
    visit.reset()


async def close_in_body(visit: Visit, _: str) -> None:
    await visit.say(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nnot all")
    visit.close()


async def hang(visit: Visit, _: str) -> None:
    await visit.hang()


async def hang_in_head(visit: Visit, _: str) -> None:
    await visit.say(b"HTTP/1.1 200 OK\r\nContent-")
    await visit.hang()


async def hang_in_body(visit: Visit, _: str) -> None:
    await visit.say(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nnot all")
    await visit.hang()


async def hang_without_reading(visit: Visit, _: str) -> None:
    """Leaves the body in the socket, so that the sender's writes stall."""
    visit.writer.transport.pause_reading()  # type: ignore[attr-defined]
    await asyncio.get_running_loop().create_future()


async def answer_early(visit: Visit, _: str) -> None:
    """Refuses before the body was read."""
    await visit.say(response("413 Too Large", b"no"))
    await visit.hang()


def response(status: str, body: bytes, *headers: str) -> bytes:
    """A whole response; `status` has its reason phrase."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


def chosen(behaviour: str) -> tuple[str, str]:
    """`drip/0.05` → ("drip", "0.05"); longer names win (`reset/body`)."""
    if behaviour in BEHAVIOURS or behaviour in BEFORE_BODY:
        return behaviour, ""
    name, _, argument = behaviour.partition("/")
    return name, argument


BEFORE_BODY: Final[dict[str, Behaviour]] = {
    "early": answer_early,
    "reset/request": reset,
    "hang/request": hang_without_reading,
}
BEHAVIOURS: Final[dict[str, Behaviour]] = {
    "ok": answer_ok,
    "status": answer_status,  # /CODE, any three digits
    "slow": answer_slowly,  # /SECONDS
    "alternating": answer_alternating,
    "retry-after": answer_retry_after,  # /VALUE, whatever it is
    "redirect": answer_redirect,  # /CODE, to itself
    "close": answer_and_close,
    "silent-close": answer_and_hang_up,
    "until-close": answer_until_close,
    "chunked": answer_chunked,
    "stale": answer_first_then_hang_up,
    "cookie": answer_with_cookie,
    "markup": answer_with_markup,
    "gzip": answer_compressed,
    "hints": say_hints_first,
    "informational": flood_informational,
    "informational/drip": drip_informational,
    "upgrade": switch_protocols,
    "garbage": say_garbage,
    "bad-status-line": say_bad_status_line,
    "http2": say_http2,
    "http2/preface": say_http2_preface,
    "http2/goaway": say_http2_goaway,
    "two-framings": frame_twice,
    "no-content-with-body": say_no_content_with_body,
    "two-answers": say_more_than_asked,
    "late-answer": say_more_later,
    "drip": drip,  # /SECONDS between bytes
    "drip-body": drip_body,  # /SECONDS between bytes
    "header-bomb": header_bomb,
    "endless/headers": endless_headers,
    "endless/header-line": endless_header_line,
    "endless/body": endless_body,
    "endless/chunks": endless_chunks,
    "endless/chunk-extension": endless_chunk_extension,
    "huge-length": huge_length,
    "hang-up": hang_up,
    "reset": reset,
    "reset/head": reset_in_head,
    "reset/body": reset_in_body,
    "close/body": close_in_body,
    "hang": hang,
    "hang/head": hang_in_head,
    "hang/body": hang_in_body,
}
