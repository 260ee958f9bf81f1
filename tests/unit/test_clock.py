"""Ids: their layout, their order, and the way back from an id to its instant."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.clock import (
    EPOCH_S,
    ID_LENGTH,
    Clock,
    Ids,
    decode_ksuid,
    encode_ksuid,
    first_id_at,
    id_time_ms,
)

LAST_MS = (EPOCH_S + 0xFFFFFFFF) * 1000 + 999
instants = st.integers(min_value=EPOCH_S * 1000, max_value=LAST_MS)


def test_the_published_check_value_is_read_correctly() -> None:
    assert id_time_ms("msg_1srOrx2ZWZBpBUvZwXKQmoEYga2") // 1000 == 1_621_627_443


@given(st.binary(min_size=20, max_size=20))
def test_encode_and_decode_are_inverse(raw: bytes) -> None:
    text = encode_ksuid(raw)
    assert len(text) == ID_LENGTH
    assert decode_ksuid(text) == raw


@given(st.binary(min_size=20, max_size=20), st.binary(min_size=20, max_size=20))
def test_lexical_order_is_byte_order(one: bytes, other: bytes) -> None:
    assert (encode_ksuid(one) < encode_ksuid(other)) == (one < other)


@given(st.lists(instants, min_size=2, max_size=50), st.integers())
def test_ids_increase_strictly_even_when_the_clock_goes_back(at_ms: list[int], seed: int) -> None:
    ids = Ids(random.Random(seed))
    made = [ids.new("msg", now_ms) for now_ms in at_ms]
    assert made == sorted(set(made))
    assert {len(one) for one in made} == {len("msg_") + ID_LENGTH}


def test_ids_of_one_tick_increase_past_the_end_of_the_low_digits() -> None:
    ids = Ids(_Highest())
    made = [ids.new("msg", 1_700_000_000_000) for _ in range(1_000)]
    assert made == sorted(set(made))


@given(instants, st.integers())
def test_the_instant_is_kept_with_four_ms_precision(now_ms: int, seed: int) -> None:
    made = Ids(random.Random(seed)).new("msg", now_ms)
    assert 0 <= now_ms - id_time_ms(made) < 4


@given(instants, st.integers())
def test_the_first_id_of_a_tick_is_a_lower_bound(now_ms: int, seed: int) -> None:
    made = Ids(random.Random(seed)).new("msg", now_ms)
    assert first_id_at("msg", now_ms) <= made
    if now_ms + 4 <= LAST_MS:
        assert made < first_id_at("msg", now_ms + 4)


def test_instants_before_the_epoch_are_bounded_by_the_smallest_id() -> None:
    assert first_id_at("msg", 0) == "msg_" + "0" * ID_LENGTH


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("msg_short", "27 characters"),
        ("msg_" + "0" * 28, "27 characters"),
        ("msg_" + "-" * 27, "not a character of an id"),
        ("z" * 27, "out of range"),
        ("", "27 characters"),
    ],
)
def test_what_is_no_id_is_refused(text: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        decode_ksuid(text)


def test_a_clock_tells_the_time_and_makes_ids_of_now() -> None:
    clock = Clock()
    before_ms = clock.now_ms()
    made = clock.new_id("app")
    assert made.startswith("app_")
    assert before_ms - 4 < id_time_ms(made) <= clock.now_ms()
    assert 0 <= clock.random() < 1
    assert len(clock.token_bytes(32)) == 32
    assert clock.monotonic() <= clock.monotonic()


def test_a_seeded_clock_repeats_itself() -> None:
    assert Clock(random.Random(7)).token_bytes(16) == Clock(random.Random(7)).token_bytes(16)


class _Highest:
    """The source whose every draw is the largest possible."""

    def random(self) -> float:
        return 1 - 2**-53

    def getrandbits(self, k: int, /) -> int:
        return (1 << k) - 1

    def randbytes(self, n: int, /) -> bytes:
        return b"\xff" * n
