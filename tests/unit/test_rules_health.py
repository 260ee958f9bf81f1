"""When an endpoint is only probed, for how long, and when it is given up."""

from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from ringback.rules.health import (
    CLOSED,
    HOUR_MS,
    Breaker,
    BreakerRules,
    is_trouble,
    should_disable,
    troubled,
)

RULES = BreakerRules(failures=3, open_s=5.0, open_s_max=60.0)

thresholds = st.integers(1, 50)
seconds = st.floats(0, 1_000_000)
pauses = st.floats(0.1, 1_000)


def opened(rules: BreakerRules = RULES, *, now_s: float = 0.0) -> Breaker:
    breaker = CLOSED
    for _ in range(rules.failures):
        breaker = troubled(breaker, rules, now_s)
    return breaker


# ---- trouble ------------------------------------------------------------------------------------


@given(st.integers(0, 999))
@example(429)
@example(499)
@example(500)
def test_trouble_is_silence_too_many_requests_or_a_server_error(status: int) -> None:
    assert is_trouble(status) == (status in {0, 429, *range(500, 1_000)})


@pytest.mark.parametrize("status", [200, 204, 301, 400, 401, 404, 410, 428, 430, 499])
def test_an_answer_that_is_only_wrong_is_no_trouble(status: int) -> None:
    assert not is_trouble(status)


# ---- the breaker --------------------------------------------------------------------------------


@given(thresholds, seconds)
def test_it_opens_at_the_threshold_and_not_before(threshold: int, now_s: float) -> None:
    rules = BreakerRules(failures=threshold, open_s=5.0, open_s_max=60.0)
    breaker = CLOSED
    for failures in range(1, threshold):
        breaker = troubled(breaker, rules, now_s)
        assert breaker.is_closed
        assert breaker.failures == failures
    breaker = troubled(breaker, rules, now_s)
    assert not breaker.is_closed
    assert breaker.open_until_s == now_s + 5.0


def test_a_success_starts_the_count_again() -> None:
    """A success is CLOSED: there is no other memory of what was."""
    assert CLOSED.is_closed
    assert CLOSED.failures == 0
    assert troubled(CLOSED, RULES, 0.0).failures == 1


@given(st.floats(0, 5, exclude_max=True), st.integers(1, 50))
def test_late_trouble_of_earlier_attempts_changes_nothing(late_s: float, count: int) -> None:
    breaker = opened()
    for _ in range(count):
        assert troubled(breaker, RULES, late_s) == breaker


def test_one_failed_probe_counts_once() -> None:
    """The first trouble after the pause is the probe's; it opens the breaker again at once."""
    breaker = troubled(opened(), RULES, 5.0)
    assert breaker.open_until_s == 15.0
    assert troubled(breaker, RULES, 5.0) == breaker


def test_every_failed_probe_doubles_the_pause_up_to_its_limit() -> None:
    breaker = opened()
    paused_s = [breaker.pause_s]
    for _ in range(6):
        breaker = troubled(breaker, RULES, breaker.open_until_s)
        paused_s.append(breaker.pause_s)
    assert paused_s == [5, 10, 20, 40, 60, 60, 60]


@given(thresholds, pauses, pauses, st.lists(st.floats(0, 100), min_size=1, max_size=100))
def test_no_pause_is_ever_longer_than_the_limit(
    threshold: int, open_s: float, open_s_max: float, gaps_s: list[float]
) -> None:
    rules = BreakerRules(threshold, open_s, open_s_max)
    breaker, now_s = CLOSED, 0.0
    for gap_s in gaps_s:
        now_s += gap_s
        breaker = troubled(breaker, rules, now_s)
        assert breaker.pause_s <= open_s_max
        assert breaker.open_until_s <= now_s + open_s_max


class Outage(RuleBasedStateMachine):
    """An endpoint as the dispatcher treats it: closed sends, open waits, a pause over probes once.

    However failures, successes and waiting mix, a down endpoint is sent to at most `failures`
    times in a row and then once a pause.
    """

    def __init__(self) -> None:
        super().__init__()
        self.breaker = CLOSED
        self.now_s = 0.0
        self.in_a_row = 0
        self.probes: list[float] = []

    def may_send(self) -> bool:
        return self.breaker.is_closed or self.now_s >= self.breaker.open_until_s

    @rule(gap_s=st.floats(0, 40))
    def wait(self, gap_s: float) -> None:
        self.now_s += gap_s

    @precondition(lambda self: self.may_send())
    @rule()
    def fail(self) -> None:
        if not self.breaker.is_closed:
            self.probes.append(self.now_s)
        self.breaker = troubled(self.breaker, RULES, self.now_s)
        self.in_a_row += 1

    @precondition(lambda self: self.may_send())
    @rule()
    def succeed(self) -> None:
        self.breaker = CLOSED
        self.in_a_row = 0
        self.probes.clear()

    @invariant()
    def opens_exactly_at_the_threshold(self) -> None:
        assert self.breaker.is_closed == (self.in_a_row < RULES.failures)

    @invariant()
    def probes_are_ever_further_apart(self) -> None:
        pause_s = 10.0
        for one, following in pairwise(self.probes):
            assert following >= one + pause_s
            pause_s = min(pause_s * 2, RULES.open_s_max)

    @invariant()
    def never_shuts_out_for_longer_than_the_limit(self) -> None:
        assert self.breaker.open_until_s <= self.now_s + RULES.open_s_max


TestOutage = Outage.TestCase


# ---- giving up on an endpoint -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("failing_for_ms", "after_h", "expected"),
    [
        (120 * HOUR_MS, 120.0, True),
        (120 * HOUR_MS - 1, 120.0, False),
        (HOUR_MS // 2, 0.5, True),
        (0, 0.5, False),
        (-5, 0.5, False),  # the clock was set back
        (10**15, 0, False),  # 0: never
    ],
)
def test_an_endpoint_is_disabled_after_nothing_but_failures_for_so_long(
    failing_for_ms: int, after_h: float, expected: bool
) -> None:
    now_ms = 1_800_000_000_000
    assert should_disable(now_ms - failing_for_ms, now_ms, after_h) is expected


@given(st.integers(0, 10**15), st.floats(0, 10**6))
def test_a_healthy_endpoint_is_never_disabled(now_ms: int, after_h: float) -> None:
    assert not should_disable(None, now_ms, after_h)


def test_an_attempt_from_before_the_pause_is_not_the_probe() -> None:
    breaker = opened()
    late_s = breaker.open_until_s + 10.0
    assert troubled(breaker, RULES, late_s, began_s=breaker.open_until_s - 0.1) == breaker
    doubled = troubled(breaker, RULES, late_s, began_s=breaker.open_until_s + 0.1)
    assert doubled.pause_s == 2 * breaker.pause_s
