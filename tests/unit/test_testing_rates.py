"""Judging a rate by what arrives, on a machine that may be busy."""

from itertools import count, islice

import pytest

from ringback.testing.collector import Arrival
from ringback.testing.rates import assert_none_early

RATE = 20


def arrivals(rate: float, number: int, *, stuck_until_s: float = 0.0) -> list[Arrival]:
    """A steady stream from 0 on; nothing is seen before the machine goes on."""
    seen_s = (max(stuck_until_s, place / rate) for place in count())
    return [Arrival("/", "msg", b"", b"", at_s) for at_s in islice(seen_s, number)]


def test_what_came_late_is_not_too_fast() -> None:
    assert_none_early(arrivals(RATE, 100, stuck_until_s=2.0), RATE, since_s=0.0)


@pytest.mark.parametrize("above", [1.1, 2, 4])
def test_what_is_too_fast_in_the_long_run_is_found(above: float) -> None:
    with pytest.raises(AssertionError, match="at 20 a second"):
        assert_none_early(arrivals(above * RATE, 100), RATE, since_s=0.0)
