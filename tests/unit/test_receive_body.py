"""The raw body: whole, bounded and as it came, or refused."""

import asyncio
from collections.abc import AsyncIterator
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.receive.body import Unread, declared_size, gathered, read_whole

PIECES = st.lists(st.binary(max_size=20), max_size=8)


def gather(
    pieces: list[bytes],
    *,
    declared: str | None = None,
    bytes_max: int = 1_000,
    stalls: bool = False,
) -> bytes:
    async def come() -> AsyncIterator[bytes]:
        for piece in pieces:
            yield piece
        if stalls:
            await asyncio.Event().wait()

    seconds = 0.01 if stalls else 30
    return asyncio.run(gathered(come(), declared=declared, bytes_max=bytes_max, seconds=seconds))


def read(
    body: bytes, *, declared: str | None, bytes_max: int = 1_000, chunked: bool = False
) -> bytes:
    stream = BytesIO(body)
    return read_whole(stream.read, declared=declared, is_chunked=chunked, bytes_max=bytes_max)


@given(PIECES, st.booleans())
def test_a_whole_body_comes_as_it_was_sent(pieces: list[bytes], is_declared: bool) -> None:
    body = b"".join(pieces)
    declared = str(len(body)) if is_declared else None
    assert gather(pieces, declared=declared) == body
    assert read(body, declared=declared) == body


@given(st.binary(max_size=40), st.integers(0, 40), st.booleans())
def test_no_body_is_larger_than_it_may_be(body: bytes, bytes_max: int, is_declared: bool) -> None:
    declared = str(len(body)) if is_declared else None
    if len(body) <= bytes_max:
        assert gather([body], declared=declared, bytes_max=bytes_max) == body
        assert read(body, declared=declared, bytes_max=bytes_max) == body
        return
    with pytest.raises(Unread, match="raise `body_bytes_max`") as found:
        gather([body], declared=declared, bytes_max=bytes_max)
    assert found.value.status == 413
    with pytest.raises(Unread, match="raise `body_bytes_max`"):
        read(body, declared=declared, bytes_max=bytes_max)


def test_an_announced_size_is_refused_before_anything_is_read() -> None:
    def never(_: int) -> bytes:
        raise AssertionError("it was read")

    with pytest.raises(Unread) as found:
        read_whole(never, declared="1001", is_chunked=False, bytes_max=1_000)
    assert found.value.status == 413


def test_a_body_that_ends_early_is_refused() -> None:
    with pytest.raises(Unread) as found:
        gather([b"ab"], declared="3")
    assert (found.value.status, found.value.word) == (400, "incomplete")
    with pytest.raises(Unread) as found:
        read(b"ab", declared="3")
    assert (found.value.status, found.value.word) == (400, "incomplete")


def test_of_a_stream_no_more_is_read_than_was_announced() -> None:
    assert read(b"abcdef", declared="3") == b"abc"


def test_a_body_that_does_not_come_is_a_408() -> None:
    with pytest.raises(Unread) as found:
        gather([b"a"], stalls=True)
    assert (found.value.status, found.value.word) == (408, "timeout")


def test_chunks_that_the_server_does_not_unpack_are_not_an_empty_body() -> None:
    with pytest.raises(Unread) as found:
        read(b"", declared=None, chunked=True)
    assert found.value.status == 411
    assert read(b"a", declared=None, chunked=True) == b"a"
    assert read(b"", declared=None) == b""


@pytest.mark.parametrize("text", ["-1", "+1", "1.0", "0x1", "١", "1, 1", " 1", "9" * 5_000])
def test_a_length_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(Unread):
        declared_size(text, bytes_max=1_000)
