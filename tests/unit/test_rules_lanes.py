"""The window adapts within its bounds, the rate is kept, and work is divided fairly."""

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from ringback.rules.lanes import Window, is_late, paced, share, succeeded, troubled

# ---- the window ---------------------------------------------------------------------------------

LIMIT_MAX = 64


@st.composite
def windows(draw: st.DrawFn) -> Window:
    """Any window that a run can come to."""
    window = Window(draw(st.integers(1, LIMIT_MAX)))
    for is_success in draw(st.lists(st.booleans(), max_size=100)):
        window = succeeded(window, window.limit, LIMIT_MAX) if is_success else troubled(window)
    return window


results = st.lists(st.tuples(st.booleans(), st.integers(1, LIMIT_MAX)), max_size=300)


@given(windows(), results)
def test_the_window_never_leaves_its_bounds(
    window: Window, results: list[tuple[bool, int]]
) -> None:
    for is_success, in_flight in results:
        window = succeeded(window, in_flight, LIMIT_MAX) if is_success else troubled(window)
        assert 1 <= window.limit <= LIMIT_MAX


@given(windows(), results)
def test_it_halves_at_most_once_per_windowful(
    window: Window, results: list[tuple[bool, int]]
) -> None:
    halved_at: int | None = None
    for at, (is_success, in_flight) in enumerate(results):
        before = window
        window = succeeded(window, in_flight, LIMIT_MAX) if is_success else troubled(window)
        if window.limit >= before.limit:
            continue
        assert not is_success
        assert window.limit == max(1, before.limit // 2)
        if halved_at is not None:
            assert at - halved_at >= before.limit
        halved_at = at


@given(windows(), st.data())
def test_it_grows_only_when_it_is_the_limit(window: Window, data: st.DataObject) -> None:
    assume(window.limit > 1)
    in_flight = data.draw(st.integers(0, window.limit - 1))
    assert succeeded(window, in_flight, LIMIT_MAX) == window


@given(windows())
def test_it_grows_by_one_at_a_time_and_not_beyond_its_maximum(window: Window) -> None:
    grown = succeeded(window, window.limit, LIMIT_MAX)
    assert grown.limit - window.limit in (0, 1)
    at_maximum = Window(LIMIT_MAX)
    assert succeeded(at_maximum, LIMIT_MAX, LIMIT_MAX) == at_maximum


def test_slow_start_doubles_in_a_windowful() -> None:
    window = Window(8)
    for _ in range(8):
        window = succeeded(window, window.limit, LIMIT_MAX)
    assert window.limit == 16


@given(st.integers(2, 20))
def test_after_the_first_trouble_it_grows_by_one_a_windowful(limit: int) -> None:
    window = troubled(Window(limit))
    half = window.limit
    assert half == limit // 2
    assert not window.is_slow_start
    for _ in range(half - 1):
        window = succeeded(window, window.limit, LIMIT_MAX)
        assert window.limit == half
    grown = succeeded(window, window.limit, LIMIT_MAX)
    assert grown == Window(half + 1, is_slow_start=False)


def test_it_halves_again_as_soon_as_a_windowful_is_over() -> None:
    window, limits = Window(16), []
    for _ in range(16):
        window = troubled(window)
        limits.append(window.limit)
    assert limits == [8] * 8 + [4] * 4 + [2] * 2 + [1] * 2


def test_successes_at_the_limit_count_towards_the_windowful() -> None:
    window = troubled(Window(16))
    for _ in range(7):
        window = succeeded(window, window.limit, LIMIT_MAX)
    assert troubled(window) == Window(4, is_slow_start=False)


@given(windows())
def test_nothing_but_trouble_leads_to_one_attempt_at_a_time(window: Window) -> None:
    for _ in range(3 * LIMIT_MAX):
        window = troubled(window)
    assert window.limit == 1
    assert troubled(window).limit == 1


@given(windows())
def test_nothing_but_success_at_the_limit_leads_to_the_maximum(window: Window) -> None:
    for _ in range(LIMIT_MAX * LIMIT_MAX):
        window = succeeded(window, window.limit, LIMIT_MAX)
    assert window.limit == LIMIT_MAX


# ---- the rate -----------------------------------------------------------------------------------


def greedy(rate: int, *, until_s: float, start_s: float = 0.0) -> list[float]:
    """When a sender that never runs out of work sends, waiting exactly as it is told."""
    sent: list[float] = []
    next_s, now_s = 0.0, start_s
    while now_s < start_s + until_s:
        next_s, wait_s = paced(next_s, rate, now_s)
        if wait_s:
            assert now_s + wait_s > now_s, "it would spin without time going on"
            now_s += wait_s
        else:
            sent.append(now_s)
    return sent


def most_within(sent: list[float], span_s: float) -> int:
    """The most sends in any span of that length, its end included."""
    most = first = 0
    for last, at in enumerate(sent):
        while at - sent[first] > span_s:
            first += 1
        most = max(most, last - first + 1)
    return most


@pytest.mark.parametrize("rate", [1, 2, 3, 7, 9, 10, 19, 20, 33, 100, 999])
@pytest.mark.parametrize("start_s", [0.0, 12_345.678, 3e7])  # a monotonic clock starts anywhere
def test_the_rate_is_kept(rate: int, start_s: float) -> None:
    sent = greedy(rate, until_s=60.0, start_s=start_s)
    assert most_within(sent, 1.0) <= 1.1 * rate + 1
    burst = max(1, rate // 10)
    assert abs(len(sent) - 60 * rate) <= max(1, 0.01 * 60 * rate)
    assert len(sent) >= 60 * rate + burst - 2


@given(
    st.integers(1, 200),
    st.lists(st.floats(0, 0.5) | st.just(0.0), min_size=50, max_size=400),
)
@example(rate=10, gaps_s=[0.0] * 100 + [5.0] + [0.0] * 100)
def test_no_way_of_asking_gets_more_than_the_rate(rate: int, gaps_s: list[float]) -> None:
    """Idle lanes save nothing up, impatient ones get nothing early."""
    next_s, now_s = 0.0, 100.0
    sent: list[float] = []
    for gap_s in gaps_s:
        now_s += gap_s
        next_s, wait_s = paced(next_s, rate, now_s)
        if not wait_s:
            sent.append(now_s)
    assert most_within(sent, 1.0) <= 1.1 * rate + 1
    assert most_within(sent, 0.0) <= max(1, rate // 10)


@given(st.integers(1, 65_535), st.floats(0, 10**8), st.floats(0, 10**8))
def test_being_told_to_wait_takes_nothing_and_is_true(
    rate: int, next_s: float, now_s: float
) -> None:
    after_s, wait_s = paced(next_s, rate, now_s)
    if wait_s > 0:
        assert after_s == next_s
        assert paced(next_s, rate, now_s + wait_s + 1e-6)[1] == 0
    else:
        assert wait_s == 0
        assert after_s > max(next_s, now_s)


# ---- shares -------------------------------------------------------------------------------------

totals = st.integers(0, 2_000)
wishes = st.lists(st.integers(0, 200), max_size=40)


@given(totals, wishes)
def test_everything_is_given_out_unless_nobody_wants_it(total: int, wants: list[int]) -> None:
    assert sum(share(total, wants)) == min(total, sum(wants))


@given(totals, wishes)
def test_nobody_gets_more_than_they_want(total: int, wants: list[int]) -> None:
    shares = share(total, wants)
    assert len(shares) == len(wants)
    assert all(0 <= got <= want for got, want in zip(shares, wants, strict=True))


@given(totals, wishes)
def test_shares_are_max_min_fair(total: int, wants: list[int]) -> None:
    """Who wants more than they got could only get it from somebody who has no more than they."""
    shares = share(total, wants)
    unmet = [got for got, want in zip(shares, wants, strict=True) if got < want]
    if unmet:
        assert min(unmet) >= max(shares) - 1
        assert sum(shares) == total


@given(totals, wishes)
def test_nobody_gets_less_than_an_equal_part(total: int, wants: list[int]) -> None:
    for got, want in zip(share(total, wants), wants, strict=True):
        assert got >= min(want, total // len(wants))


@given(totals, wishes)
def test_what_does_not_divide_goes_to_the_first(total: int, wants: list[int]) -> None:
    shares = share(total, wants)
    unmet = [got for got, want in zip(shares, wants, strict=True) if got < want]
    assert unmet == sorted(unmet, reverse=True)


@pytest.mark.parametrize(
    ("total", "wants", "expected"),
    [
        (10, [1, 9, 9], [1, 5, 4]),
        (2, [5, 5, 5], [1, 1, 0]),
        (500, [1_000_000, 3, 3], [494, 3, 3]),
        (0, [5, 5], [0, 0]),
        (5, [], []),
        (5, [0, 0], [0, 0]),
    ],
)
def test_shares_in_figures(total: int, wants: list[int], expected: list[int]) -> None:
    assert share(total, wants) == expected


def test_late_answers_slow_the_slow_start() -> None:
    window = Window(8)
    for _ in range(7):
        window = succeeded(window, 8, LIMIT_MAX, is_late=True)
        assert window.limit == 8
    assert succeeded(window, 8, LIMIT_MAX, is_late=True) == Window(9)


def test_late_is_measured_by_the_fastest_answer() -> None:
    assert not is_late(204.0, 100.0)
    assert is_late(206.0, 100.0)
    assert not is_late(5.0, 0.5)
