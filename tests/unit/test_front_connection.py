"""Framing, limits and keep-alive of the HTTP front, spoken to by raw bytes."""

import asyncio
import json
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
import uvloop

from ringback.clock import Clock
from ringback.front import Front
from ringback.front.connection import HEAD_BYTES_MAX, PIPELINE_MAX
from ringback.testing.eventually import eventually

BODY_BYTES_MAX = 1_000


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Answers with what it was asked, as JSON; 413 above the limit."""
    message = await receive()
    body = message["body"]
    headers = dict(scope["headers"])
    length = int(headers.get(b"content-length", b"0"))
    status = 413 if max(len(body), length) > BODY_BYTES_MAX else 200
    answer = json.dumps(
        {
            "method": scope["method"],
            "path": scope["path"],
            "query": scope["query_string"].decode(),
            "version": scope["http_version"],
            "body": len(body),
        }
    ).encode()
    head = [(b"content-length", b"%d" % len(answer))]
    await send({"type": "http.response.start", "status": status, "headers": head})
    await send({"type": "http.response.body", "body": answer})


class Peer:
    """A client that says exactly what it is told to."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def say(self, text: bytes) -> None:
        self.writer.write(text)

    async def answer(self) -> tuple[int, dict[str, str], bytes]:
        head = await self.reader.readuntil(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")[:-2]
        headers = dict(line.lower().split(": ", 1) for line in lines)
        if headers.get("transfer-encoding") == "chunked":
            body = await self.reader.readuntil(b"0\r\n\r\n")
        else:
            body = await self.reader.readexactly(int(headers.get("content-length", "0")))
        return int(first.split()[1]), headers, body

    async def told(self) -> dict[str, Any]:
        status, _headers, body = await self.answer()
        assert status == 200
        told: dict[str, Any] = json.loads(body)
        return told

    async def is_hung_up(self) -> bool:
        return await self.reader.read() == b""


def talk(story: Callable[[Peer], Coroutine[Any, Any, None]], app: Any = echo) -> None:
    async def conversation() -> None:
        front = Front(Clock(), body_bytes_max=BODY_BYTES_MAX)
        url = await front.bind("127.0.0.1", 0)
        await front.open(app)
        peer = Peer(*await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2])))
        try:
            async with asyncio.timeout(60):
                await story(peer)
        finally:
            peer.writer.close()
            await front.close(1.0)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(conversation())


def post(body: bytes, *extra: bytes, path: bytes = b"/p") -> bytes:
    lines = [b"POST %b HTTP/1.1" % path, b"Host: x", b"Content-Length: %d" % len(body), *extra]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def test_requests_follow_one_another_on_a_kept_connection() -> None:
    async def story(peer: Peer) -> None:
        for size in (0, 1, 1_000):
            peer.say(post(b"x" * size, path=b"/a%20b?c=d%20e#f"))
            told = await peer.told()
            assert told == {
                "method": "POST",
                "path": "/a b",
                "query": "c=d%20e",
                "version": "1.1",
                "body": size,
            }

    talk(story)


def test_a_request_may_come_byte_by_byte() -> None:
    async def story(peer: Peer) -> None:
        for byte in post(b"abc"):
            peer.say(bytes([byte]))
            await peer.writer.drain()
        assert (await peer.told())["body"] == 3

    talk(story)


def test_pipelined_requests_are_answered_in_order_however_many() -> None:
    async def story(peer: Peer) -> None:
        count = 5 * PIPELINE_MAX
        peer.say(b"".join(post(b"", path=b"/%d" % number) for number in range(count)))
        paths = [(await peer.told())["path"] for _ in range(count)]
        assert paths == [f"/{number}" for number in range(count)]

    talk(story)


def test_chunked_bodies_with_trailers() -> None:
    async def story(peer: Peer) -> None:
        peer.say(b"POST /p HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        peer.say(b"3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nTrailer: t\r\n\r\n")
        assert (await peer.told())["body"] == 5
        peer.say(post(b""))
        assert (await peer.told())["body"] == 0

    talk(story)


@pytest.mark.parametrize(
    "request_line", [b"GET / HTTP/1.0\r\n", b"GET / HTTP/1.1\r\nConnection: close\r\n"]
)
def test_a_connection_is_closed_when_it_is_not_to_be_kept(request_line: bytes) -> None:
    async def story(peer: Peer) -> None:
        peer.say(request_line + b"Host: x\r\n\r\n")
        status, headers, _body = await peer.answer()
        assert status == 200
        assert headers["connection"] == "close"
        assert await peer.is_hung_up()

    talk(story)


def test_continue_is_said_before_a_body_that_waits_for_it() -> None:
    async def story(peer: Peer) -> None:
        request = post(b"abc", b"Expect: 100-continue")
        peer.say(request[:-3])
        assert await peer.reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        peer.say(b"abc")
        assert (await peer.told())["body"] == 3

    talk(story)


def test_a_body_that_says_it_is_too_large_is_refused_before_it_comes() -> None:
    async def story(peer: Peer) -> None:
        peer.say(post(b"x" * 5_000, b"Expect: 100-continue")[:-5_000])
        status, headers, _body = await peer.answer()
        assert status == 413
        assert headers["connection"] == "close"
        peer.say(b"x" * 5_000)
        assert await peer.is_hung_up()

    talk(story)


def test_a_chunked_body_that_turns_out_too_large_is_refused_and_then_thrown_away() -> None:
    async def story(peer: Peer) -> None:
        peer.say(b"POST /p HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        peer.say(b"600\r\n" + b"x" * 0x600 + b"\r\n")
        status, _headers, _body = await peer.answer()
        assert status == 413
        peer.say(b"600\r\n" + b"x" * 0x600 + b"\r\n0\r\n\r\n")
        assert await peer.is_hung_up()

    talk(story)


def test_bodies_of_all_connections_together_have_a_limit() -> None:
    async def story() -> None:
        front = Front(Clock(), body_bytes_max=BODY_BYTES_MAX, bodies_bytes_max=1_500)
        url = await front.bind("127.0.0.1", 0)
        await front.open(echo)
        port = int(url.rpartition(":")[2])

        async def connected() -> Peer:
            return Peer(*await asyncio.open_connection("127.0.0.1", port))

        async def look() -> int:
            return front.held_bytes

        async def held(size: int) -> None:
            await eventually(look, lambda seen: seen == size)

        request = post(b"x" * 1_000)
        one, other = await connected(), await connected()
        one.say(request[:-100])
        await held(900)
        other.say(request[:-100])
        status, headers, body = await other.answer()
        assert (status, headers["retry-after"]) == (503, "1")
        assert json.loads(body)["code"] == "unavailable"
        assert front.held_bytes == 900
        other.say(request[-100:])
        assert await other.is_hung_up()

        one.say(request[-100:])
        assert (await one.told())["body"] == 1_000
        assert front.held_bytes == 0
        one.say(request[:-100])
        await held(900)
        one.writer.transport.abort()
        await held(0)
        other.writer.close()
        await front.close(1.0)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(story())


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"\x00\x01\x02\x03\r\n\r\n", 400),
        (b"BREW / HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET / HTTP/9.9\r\nHost: x\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nBad Name: y\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
        # Two ways to read one request are how requests are smuggled.
        (
            b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            400,
        ),
        (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
        (b"GET /" + b"a" * (HEAD_BYTES_MAX + 1) + b" HTTP/1.1\r\nHost: x\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\nX: " + b"a" * (HEAD_BYTES_MAX + 1) + b"\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 200 + b"\r\n", 431),
    ],
)
def test_what_is_not_a_request_is_refused_in_words(request_bytes: bytes, status: int) -> None:
    async def story(peer: Peer) -> None:
        peer.say(request_bytes)
        got, headers, body = await peer.answer()
        assert got == status
        assert headers["content-type"] == "application/json"
        assert headers["x-content-type-options"] == "nosniff"
        assert set(json.loads(body)) == {"code", "detail"}
        assert await peer.is_hung_up()

    talk(story)


def test_an_upgrade_is_answered_as_a_request_and_ends_the_connection() -> None:
    async def story(peer: Peer) -> None:
        peer.say(
            b"GET /ws HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"
        )
        assert (await peer.told())["path"] == "/ws"
        assert await peer.is_hung_up()

    talk(story)


def test_the_absolute_form_of_a_target_is_its_path() -> None:
    async def story(peer: Peer) -> None:
        peer.say(b"GET http://elsewhere.example/a/b?c HTTP/1.1\r\nHost: x\r\n\r\n")
        told = await peer.told()
        assert (told["path"], told["query"]) == ("/a/b", "c")

    talk(story)


def test_an_app_that_breaks_is_a_500_in_words(caplog: pytest.LogCaptureFixture) -> None:
    async def broken(_scope: Any, _receive: Any, _send: Any) -> None:
        raise RuntimeError("secret of the house")

    async def story(peer: Peer) -> None:
        peer.say(post(b""))
        status, headers, body = await peer.answer()
        assert (status, headers["x-content-type-options"]) == (500, "nosniff")
        assert b"secret" not in body
        assert await peer.is_hung_up()

    talk(story, broken)


def test_an_app_that_breaks_in_the_middle_cuts_the_connection() -> None:
    async def half(_scope: Any, _receive: Any, send: Any) -> None:
        head = [(b"content-length", b"10")]
        await send({"type": "http.response.start", "status": 200, "headers": head})
        await send({"type": "http.response.body", "body": b"half", "more_body": True})
        raise RuntimeError

    async def story(peer: Peer) -> None:
        peer.say(post(b""))
        with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
            await peer.answer()

    talk(story, half)


def test_an_answer_in_pieces_is_chunked() -> None:
    async def pieces(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for piece in (b"one", b"", b"two"):
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    async def story(peer: Peer) -> None:
        for _ in range(2):
            peer.say(post(b""))
            _status, _headers, body = await peer.answer()
            assert body == b"3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n"

    talk(story, pieces)


def test_an_app_hears_that_its_caller_is_gone() -> None:
    heard: asyncio.Future[str] | None = None

    async def listening(_scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"x", "more_body": True})
        message = await receive()
        assert heard is not None
        heard.set_result(message["type"])

    async def story(peer: Peer) -> None:
        nonlocal heard
        heard = asyncio.get_running_loop().create_future()
        peer.say(post(b""))
        await peer.reader.readuntil(b"1\r\nx\r\n")
        peer.writer.transport.abort()
        assert await heard == "http.disconnect"

    talk(story, listening)


def test_a_caller_that_has_said_everything_still_gets_its_answers() -> None:
    async def story(peer: Peer) -> None:
        peer.say(post(b"") + post(b"ab"))
        peer.writer.write_eof()
        assert (await peer.told())["body"] == 0
        assert (await peer.told())["body"] == 2
        assert await peer.is_hung_up()

    talk(story)


def test_a_large_answer_waits_for_a_slow_reader() -> None:
    size = 8 * 1024 * 1024

    async def large(_scope: Any, _receive: Any, send: Any) -> None:
        head = [(b"content-length", b"%d" % size)]
        await send({"type": "http.response.start", "status": 200, "headers": head})
        for _ in range(8):
            piece = {"type": "http.response.body", "body": b"x" * (size // 8), "more_body": True}
            await send(piece)
        await send({"type": "http.response.body", "body": b""})

    async def story(peer: Peer) -> None:
        peer.say(post(b""))
        _status, _headers, body = await peer.answer()
        assert len(body) == size

    talk(story, large)


def test_an_answer_without_a_length_gets_one() -> None:
    async def plain(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"twelve bytes"})

    async def story(peer: Peer) -> None:
        for _ in range(2):
            peer.say(post(b""))
            _status, headers, body = await peer.answer()
            assert headers["content-length"] == "12"
            assert body == b"twelve bytes"

    talk(story, plain)
