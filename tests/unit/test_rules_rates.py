"""Rates that nodes share: whoever takes, and whenever, all of them together keep the rate."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from ringback.rules.rates import LEAD_US_MAX, SECOND_US, interval_us, take

RATES = st.integers(1, 2_000)
NOW_US = 1_700_000_000 * SECOND_US


def sends_of(at_us: int, count: int, *rates: int) -> list[float]:
    return [at_us + place * interval_us(*rates) for place in range(count)]


@given(RATES, st.lists(st.tuples(st.integers(0, 400_000), st.integers(1, 50)), max_size=60))
def test_no_second_sees_more_than_the_rate(rate: int, calls: list[tuple[int, int]]) -> None:
    now_us, next_us, sends = NOW_US, 0, list[float]()
    for later_us, wanted in calls:
        now_us += later_us
        count = min(wanted, max(1, rate // 4))
        taken = take(
            count, now_us, endpoint_rate=rate, app_rate=0, endpoint_next_us=next_us, app_next_us=0
        )
        assert taken.count in (0, count)
        next_us = taken.endpoint_next_us
        sends += sends_of(taken.at_us, taken.count, rate)
        if taken.count:
            assert now_us <= taken.at_us <= now_us + LEAD_US_MAX
        else:
            assert taken.at_us > now_us
    interval = interval_us(rate)
    assert all(after - before >= interval - 1 for before, after in itertools.pairwise(sends))


@given(RATES, st.integers(1, 50))
def test_who_keeps_asking_gets_the_whole_rate(rate: int, wanted: int) -> None:
    now_us, next_us, sends = NOW_US, 0, 0
    count = min(wanted, max(1, rate // 4))
    while now_us < NOW_US + 20 * SECOND_US:
        taken = take(
            count, now_us, endpoint_rate=rate, app_rate=0, endpoint_next_us=next_us, app_next_us=0
        )
        next_us, sends = taken.endpoint_next_us, sends + taken.count
        now_us = now_us if taken.count else taken.at_us
    assert sends >= 20 * rate


@given(RATES, RATES, st.integers(1, 20))
def test_an_endpoint_takes_from_its_application_too(endpoint: int, app: int, count: int) -> None:
    taken = take(
        count,
        NOW_US,
        endpoint_rate=endpoint,
        app_rate=app,
        endpoint_next_us=NOW_US + 100,
        app_next_us=NOW_US + 900,
    )
    assert taken.at_us == NOW_US + 900
    sends = sends_of(taken.at_us, count, endpoint, app)
    assert taken.endpoint_next_us >= sends[-1] + interval_us(endpoint) - 1
    assert abs(taken.app_next_us - (NOW_US + 900 + count * interval_us(app))) <= 1


def test_other_endpoints_use_what_a_slow_one_leaves_of_the_application() -> None:
    slow = take(3, NOW_US, endpoint_rate=1, app_rate=100, endpoint_next_us=0, app_next_us=0)
    other = take(
        1, NOW_US, endpoint_rate=0, app_rate=100, endpoint_next_us=0, app_next_us=slow.app_next_us
    )
    assert other.at_us == NOW_US + 30_000


def test_a_clock_that_was_put_back_stops_nobody() -> None:
    taken = take(
        1,
        NOW_US,
        endpoint_rate=10,
        app_rate=0,
        endpoint_next_us=NOW_US + 3_600 * SECOND_US,
        app_next_us=0,
    )
    assert (taken.count, taken.at_us) == (1, NOW_US)
