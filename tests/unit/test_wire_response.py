"""Responses, without a socket: framing, limits, and that it never matters how bytes are cut up."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.config import Settings
from ringback.model import Timings
from ringback.wire.port import Reply
from ringback.wire.response import CREDENTIALS, INFORMATIONAL_MAX, ResponseReader

SETTINGS = Settings(
    response_head_bytes_max=200, response_read_bytes_max=300, response_kept_bytes_max=10
)


def reader(settings: Settings = SETTINGS) -> ResponseReader:
    return ResponseReader(settings)


def read(*chunks: bytes) -> ResponseReader:
    fresh = reader()
    for chunk in chunks:
        fresh.feed(chunk)
        if fresh.is_done or fresh.error:
            break
    return fresh


def reply(of: ResponseReader) -> Reply:
    assert of.is_done, of.error
    return of.reply(Timings())


WHOLE = {
    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok": (200, b"ok", False),
    b"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n": (200, b"", False),
    b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok": (200, b"ok", True),
    b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok": (200, b"ok", True),
    b"HTTP/1.1 204 No\r\n\r\n": (204, b"", False),
    b"HTTP/1.1 304 No\r\nContent-Length: 7\r\n\r\n": (304, b"", False),
    b"HTTP/1.1 205 No\r\n\r\n": (205, b"", True),
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;a=b\r\nok\r\n0\r\nT: t\r\n\r\n": (
        200, b"ok", False,
    ),
    b"HTTP/1.1 103 Hints\r\nLink: x\r\n\r\nHTTP/1.1 500 No\r\nContent-Length: 1\r\n\r\n.": (
        500, b".", False,
    ),
    # Apache offers HTTP/2 in ordinary answers; that is no upgrade.
    b"HTTP/1.1 200 OK\r\nUpgrade: h2\r\nConnection: Upgrade\r\nContent-Length: 2\r\n\r\nok": (
        200, b"ok", False,
    ),
}  # fmt: skip


@pytest.mark.parametrize(("wire", "expected"), WHOLE.items())
def test_whole_responses_byte_by_byte_and_at_once(
    wire: bytes, expected: tuple[int, bytes, bool]
) -> None:
    for chunks in ([wire], [bytes([byte]) for byte in wire]):
        finished = read(*chunks)
        answer = reply(finished)
        assert (answer.status, answer.body, finished.is_last) == expected
        assert not answer.is_truncated


def test_headers_are_lower_case_in_order_without_trailers_and_hints() -> None:
    wire = (
        b"HTTP/1.1 103 Hints\r\nLink: x\r\n\r\n"
        b"HTTP/1.1 200 OK\r\nX-B: 1\r\nx-a:\r\nX-B: \xc3\xbc\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"0\r\nX-Trailer: t\r\n\r\n"
    )
    answer = reply(read(wire))
    assert answer.headers == (
        ("x-b", "1"), ("x-a", ""), ("x-b", "\xc3\xbc"), ("transfer-encoding", "chunked"),
    )  # fmt: skip
    assert answer.header("x-b") == "1"


def test_credentials_are_left_out_and_challenges_are_not() -> None:
    secret = b"".join(b"%b: secret\r\n" % name.title().encode() for name in sorted(CREDENTIALS))
    wire = (
        b"HTTP/1.1 401 No\r\nSet-Cookie: a=1; HttpOnly\r\n" + secret + b"SET-COOKIE: b=2\r\n"
        b"WWW-Authenticate: Bearer\r\nProxy-Authenticate: Basic\r\nX-Set-Cookie: no\r\n"
        b"Content-Length: 0\r\n\r\n"
    )
    roomy = reader(Settings())
    roomy.feed(wire)
    assert reply(roomy).headers == (
        ("www-authenticate", "Bearer"), ("proxy-authenticate", "Basic"), ("x-set-cookie", "no"),
        ("content-length", "0"),
    )  # fmt: skip


REFUSED = [
    b"HTTP/1.1 099 No\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 20 No\r\n\r\n",
    b"HTTP/1.1 OK 200\r\n\r\n",
    b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
    b"HTTP/1.1 101 Switching\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok",
    b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999\r\n\r\n",
    b"HTTP/1.1 200 OK\nContent-Length: 0\n\n",
    b"HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nX: a\x00\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nX y: a\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    b"ICY 200 OK\r\n\r\n",
    b"<html>",
    b"\x00\x00\x12\x04",
    b"HTTP/1.1 100 Continue\r\n\r\n" * (INFORMATIONAL_MAX + 1),
    b"HTTP/1.1 200 OK\r\nX: " + b"a" * 200 + b"\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nX: " + b"a" * 300,
    b"HTTP/1.1 200 OK\r\n" + b"a:\r\n" * 100 + b"Content-Length: 0\r\n\r\n",
]


@pytest.mark.parametrize("wire", REFUSED)
def test_what_is_no_response_is_an_error_however_it_comes(wire: bytes) -> None:
    for chunks in ([wire], [bytes([byte]) for byte in wire]):
        finished = read(*chunks)
        assert finished.error
        assert not finished.is_done


def test_bodies_are_kept_to_a_limit_and_read_to_another() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n"
    for length, is_truncated, is_last in ((10, False, False), (11, True, False), (400, True, True)):
        finished = read(head % length, b"a" * min(length, 301))
        answer = reply(finished)
        assert answer.body == b"a" * 10
        assert (answer.is_truncated, finished.is_last) == (is_truncated, is_last)


def test_chunk_extensions_count_as_well() -> None:
    finished = read(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;x=", *([b"y" * 50] * 100)
    )
    answer = reply(finished)
    assert (answer.body, answer.is_truncated, finished.is_last) == (b"", True, True)


@pytest.mark.parametrize(
    ("wire", "is_done"),
    [
        (b"", False),
        (b"HTTP/1.1 200 OK\r\nX: ", False),
        (b"HTTP/1.1 200 OK\r\n\r\nuntil here", True),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nuntil", True),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort", False),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nshort", False),
        (b"HTTP/1.1 103 Hints\r\n\r\n", False),
    ],
)
def test_the_end_of_the_connection_ends_only_bodies_without_another_end(
    wire: bytes, is_done: bool
) -> None:
    finished = read(wire)
    finished.end()
    assert finished.is_done is is_done


@pytest.mark.parametrize("more", [b"HTTP/1.1 500 No\r\n\r\n", b"x", b"HTTP/1.1 2", b"\x00"])
def test_bytes_beyond_a_response_leave_it_alone_and_spoil_the_connection(more: bytes) -> None:
    finished = read(b"HTTP/1.1 204 No\r\nX-A: 1\r\n\r\n" + more)
    answer = reply(finished)
    assert (answer.status, answer.headers, answer.body) == (204, (("x-a", "1"),), b"")
    assert finished.is_last


def test_one_reader_reads_response_after_response() -> None:
    again = reader()
    for number in range(3):
        again.begin()
        again.feed(b"HTTP/1.1 20%d OK\r\nX-N: %d\r\nContent-Length: 2\r\n\r\nok" % (number, number))
        answer = reply(again)
        assert (answer.status, answer.body, answer.header("x-n")) == (
            200 + number,
            b"ok",
            f"{number}",
        )


@given(wire=st.sampled_from([*WHOLE, *REFUSED]), cuts=st.lists(st.integers(0, 400), max_size=6))
def test_where_the_bytes_are_cut_makes_no_difference(wire: bytes, cuts: list[int]) -> None:
    at = [0, *sorted(cuts), len(wire)]
    cut = read(*(wire[start:end] for start, end in pairwise(at)))
    whole = read(wire)
    assert (cut.is_done, cut.is_last) == (whole.is_done, whole.is_last)
    assert (cut.error is None) == (whole.error is None)
    if cut.is_done:
        assert reply(cut) == reply(whole)


@given(wire=st.binary(max_size=200), head=st.sampled_from([b"", b"HTTP/1.1 200 OK\r\n"]))
def test_no_bytes_break_the_reader(wire: bytes, head: bytes) -> None:
    finished = read(head + wire)
    finished.end()
    if finished.is_done:
        assert len(reply(finished).body) <= 10
