"""What `ringback listen` reads from a stream: good requests whole, everything else named."""

import asyncio
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.listen.request import (
    BODY_BYTES_MAX,
    HEAD_BYTES_MAX,
    Head,
    Unreadable,
    head_of,
    read_body,
    read_head,
)


def read(raw: bytes) -> tuple[Head, bytes] | None:
    async def scenario() -> tuple[Head, bytes] | None:
        reader = asyncio.StreamReader(limit=HEAD_BYTES_MAX)
        reader.feed_data(raw)
        reader.feed_eof()
        head = await read_head(reader)
        return None if head is None else (head, await read_body(reader, head))

    return asyncio.run(scenario())


def request(*lines: str, body: bytes = b"") -> bytes:
    return "\r\n".join(["POST /x?a=1 HTTP/1.1", *lines]).encode("latin-1") + b"\r\n\r\n" + body


def test_a_request_comes_as_it_was_sent() -> None:
    found = read(request("X-Odd-CASE:  spaced \t", "B: é", "Content-Length: 3", body=b"\xff\0a!"))

    assert found is not None
    head, body = found
    assert (head.method, head.target) == ("POST", "/x?a=1")
    assert head.headers == (("X-Odd-CASE", "spaced"), ("B", "é"), ("Content-Length", "3"))
    assert body == b"\xff\0a"


def test_chunks_are_put_together() -> None:
    body = b"3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nTrailer: t\r\n\r\n"
    found = read(request("Transfer-Encoding: Chunked", body=body))
    assert found is not None
    assert found[1] == b"abcde"


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"hello\r\n\r\n", 400),
        (b"POST / HTTP/2\r\n\r\n", 400),
        (b"POST  / HTTP/1.1\r\n\r\n", 400),
        (request("no colon"), 400),
        (request("Space : x"), 400),
        (request(" folded: x"), 400),
        (request("Content-Length: -1"), 400),
        (request("Content-Length: +1"), 400),
        (request("Content-Length: 1_0"), 400),
        (request("Content-Length: 1", "Content-Length: 2", body=b"ab"), 400),
        (request("Content-Length: 1", "Transfer-Encoding: chunked", body=b"0\r\n\r\n"), 400),
        (request("Transfer-Encoding: gzip"), 400),
        (request("Transfer-Encoding: chunked", body=b"zz\r\n"), 400),
        (request("Transfer-Encoding: chunked", body=b"1\r\nabc"), 400),
        (request("Transfer-Encoding: chunked", body=b"1" * 1_000 + b"\r\n"), 400),
        (request("Transfer-Encoding: chunked", body=b"ffffffff\r\n"), 413),
        (request(f"Content-Length: {BODY_BYTES_MAX + 1}"), 413),
        (request("X: " + "x" * HEAD_BYTES_MAX), 431),
    ],
)
def test_what_cannot_be_read_is_named_with_a_status(raw: bytes, status: int) -> None:
    with pytest.raises(Unreadable) as caught:
        read(raw)
    assert caught.value.status == status


@pytest.mark.parametrize("raw", [b"", b"POST / HTT", b"\r\n"])
def test_who_goes_away_before_the_end_of_the_head_said_nothing(raw: bytes) -> None:
    assert read(raw) is None


@pytest.mark.parametrize(
    ("lines", "is_last"),
    [
        ([], False),
        (["Connection: close"], True),
        (["connection: Keep-Alive, Close"], True),
        (["Connection: keep-alive"], False),
    ],
)
def test_who_ends_the_connection_says_so(lines: list[str], is_last: bool) -> None:
    found = read(request(*lines))
    assert found is not None
    assert found[0].is_last() is is_last
    assert head_of(b"POST / HTTP/1.0\r\n\r\n").is_last()
    assert not head_of(b"POST / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").is_last()


pieces = st.sampled_from(
    [b"POST / HTTP/1.1", b"\r\n", b"\r\n\r\n", b"Content-Length: ", b"5", b"Transfer-Encoding: ",
     b"chunked", b"0\r\n", b":", b" ", b"\xff", b"\0", b"a"]
)  # fmt: skip


@given(st.lists(st.one_of(pieces, st.binary(max_size=5)), max_size=20))
def test_nothing_foreign_comes_out_whatever_comes_in(parts: list[bytes]) -> None:
    with suppress(Unreadable, asyncio.IncompleteReadError):
        read(b"".join(parts))
