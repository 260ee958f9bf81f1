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
    Symptom,
    is_telling,
    is_trouble,
    probed,
    shared,
    should_disable,
    symptom,
    troubled,
)

RULES = BreakerRules(failures=3, open_s=5.0, open_s_max=60.0)

thresholds = st.integers(1, 50)
seconds = st.floats(0, 1_000_000)
pauses = st.floats(0.1, 1_000)


symptoms = st.sampled_from(Symptom)
telling = st.sampled_from([Symptom.FAULT, Symptom.STRAIN, Symptom.ABSENCE])
down = st.sampled_from([Symptom.STRAIN, Symptom.ABSENCE])


def opened(
    rules: BreakerRules = RULES, *, now_s: float = 0.0, what: Symptom = Symptom.ABSENCE
) -> Breaker:
    breaker = CLOSED
    for _ in range(rules.failures):
        breaker = troubled(breaker, rules, what, now_s=now_s)
    return breaker


# ---- symptoms -----------------------------------------------------------------------------------


@given(st.integers(0, 999), st.booleans())
@example(429, False)
@example(499, False)
@example(500, False)
@example(503, True)
def test_every_failure_has_the_symptom_of_its_status(status: int, is_unreached: bool) -> None:
    what = symptom(status, is_unreached=is_unreached)
    if is_unreached:
        assert what is Symptom.ABSENCE
    elif status in {0, 429, 502, 503, 504}:
        assert what is Symptom.STRAIN
    else:
        assert what is (Symptom.FAULT if status >= 500 else Symptom.ALIVE)


@pytest.mark.parametrize("status", [301, 400, 401, 404, 410, 428, 430, 499])
def test_an_answer_that_is_only_wrong_is_no_trouble(status: int) -> None:
    for is_first in (True, False):
        assert not is_telling(symptom(status), is_first=is_first)
        assert not is_trouble(symptom(status), is_first=is_first)


@given(telling)
def test_the_first_failure_of_a_delivery_tells_of_its_endpoint(what: Symptom) -> None:
    assert is_telling(what, is_first=True)
    assert is_trouble(what, is_first=True)


def test_later_ones_tell_only_what_no_message_can_be_the_reason_of() -> None:
    assert [what for what in Symptom if is_telling(what, is_first=False)] == [Symptom.ABSENCE]
    asking_for_less = [Symptom.STRAIN, Symptom.ABSENCE]
    assert [what for what in Symptom if is_trouble(what, is_first=False)] == asking_for_less


# ---- the breaker --------------------------------------------------------------------------------


@given(thresholds, seconds, st.lists(telling, min_size=50, max_size=50))
def test_it_opens_at_the_threshold_and_not_before(
    threshold: int, now_s: float, whats: list[Symptom]
) -> None:
    rules = BreakerRules(failures=threshold, open_s=5.0, open_s_max=60.0)
    breaker = CLOSED
    for failures in range(1, threshold):
        breaker = troubled(breaker, rules, whats[failures], now_s=now_s)
        assert breaker.is_closed
        assert breaker.failures == failures
    breaker = troubled(breaker, rules, whats[0], now_s=now_s)
    assert not breaker.is_closed
    assert breaker.open_until_s == now_s + 5.0


def test_a_success_starts_the_count_again() -> None:
    """A success is CLOSED: there is no other memory of what was."""
    assert CLOSED.is_closed
    assert CLOSED.failures == 0
    assert troubled(CLOSED, RULES, Symptom.FAULT, now_s=0.0).failures == 1


@given(st.floats(0, 5, exclude_max=True), st.integers(1, 50), telling)
def test_late_trouble_of_earlier_attempts_changes_nothing(
    late_s: float, count: int, what: Symptom
) -> None:
    breaker = opened()
    for _ in range(count):
        assert troubled(breaker, RULES, what, now_s=late_s) == breaker


@given(down)
def test_one_failed_probe_counts_once(what: Symptom) -> None:
    """The first trouble after the pause is the probe's; it opens the breaker again at once."""
    breaker = troubled(opened(), RULES, what, now_s=5.0)
    assert breaker.open_until_s == 15.0
    assert troubled(breaker, RULES, what, now_s=5.0) == breaker


@given(st.lists(down, min_size=6, max_size=6))
def test_every_failed_probe_doubles_the_pause_up_to_its_limit(whats: list[Symptom]) -> None:
    breaker = opened()
    paused_s = [breaker.pause_s]
    for what in whats:
        breaker = troubled(breaker, RULES, what, now_s=breaker.open_until_s)
        paused_s.append(breaker.pause_s)
    assert paused_s == [5, 10, 20, 40, 60, 60, 60]


@given(st.integers(1, 10), st.integers(0, 5))
def test_faults_are_given_the_first_pause_each_time_they_reach_the_threshold(
    rounds: int, doublings: int
) -> None:
    """Whatever the pause had grown to while nobody answered."""
    breaker = opened()
    for _ in range(doublings):
        breaker = troubled(breaker, RULES, Symptom.ABSENCE, now_s=breaker.open_until_s)
    for _ in range(rounds):
        now_s = breaker.open_until_s
        for _ in range(RULES.failures - 1):
            breaker = troubled(breaker, RULES, Symptom.FAULT, now_s=now_s)
            assert breaker.open_until_s <= now_s, "still on trial"
            assert not breaker.is_closed
        breaker = troubled(breaker, RULES, Symptom.FAULT, now_s=now_s)
        assert (breaker.pause_s, breaker.open_until_s) == (RULES.open_s, now_s + RULES.open_s)


def test_an_attempt_from_before_the_pause_is_not_the_probe() -> None:
    breaker = opened()
    until_s, late_s = breaker.open_until_s, breaker.open_until_s + 10.0
    what = Symptom.STRAIN
    assert troubled(breaker, RULES, what, now_s=late_s, began_s=until_s - 0.1) == breaker
    doubled = troubled(breaker, RULES, what, now_s=late_s, began_s=until_s + 0.1)
    assert doubled.pause_s == 2 * breaker.pause_s


@given(
    thresholds,
    pauses,
    pauses,
    st.lists(st.tuples(st.floats(0, 100), telling), min_size=1, max_size=100),
)
def test_no_pause_is_ever_longer_than_the_limit(
    threshold: int, open_s: float, open_s_max: float, failures: list[tuple[float, Symptom]]
) -> None:
    rules = BreakerRules(threshold, open_s, open_s_max)
    breaker, now_s = CLOSED, 0.0
    for gap_s, what in failures:
        now_s += gap_s
        breaker = troubled(breaker, rules, what, now_s=now_s)
        assert breaker.pause_s <= open_s_max
        assert breaker.open_until_s <= now_s + open_s_max


class Outage(RuleBasedStateMachine):
    """An endpoint as the dispatcher treats it: closed sends, open waits, a pause over probes.

    However failures, successes and waiting mix: it opens at the threshold; while nobody answers it
    is probed once a pause, and pauses grow; while it answers with faults it gets no more than a
    threshold of new messages a pause, and pauses don't grow.
    """

    def __init__(self) -> None:
        super().__init__()
        self.breaker = CLOSED
        self.now_s = 0.0
        self.in_a_row = 0
        self.has_opened = False
        self.probes: list[float] = []

    def may_send(self) -> bool:
        return self.breaker.is_closed or self.now_s >= self.breaker.open_until_s

    def fail(self, what: Symptom) -> Breaker:
        before = self.breaker
        self.breaker = troubled(self.breaker, RULES, what, now_s=self.now_s)
        self.in_a_row += 1
        if self.breaker.open_until_s > self.now_s:
            self.in_a_row = 0
            self.has_opened = True
        return before

    @rule(gap_s=st.floats(0, 40))
    def wait(self, gap_s: float) -> None:
        self.now_s += gap_s

    @precondition(lambda self: self.may_send())
    @rule(what=down)
    def is_down(self, what: Symptom) -> None:
        if not self.breaker.is_closed:
            self.probes.append(self.now_s)
        before = self.fail(what)
        if not before.is_closed:
            assert self.breaker.pause_s == min(2 * before.pause_s, RULES.open_s_max)

    @precondition(lambda self: self.may_send())
    @rule()
    def is_broken(self) -> None:
        self.probes.clear()
        before = self.fail(Symptom.FAULT)
        if before.failures + 1 >= RULES.failures:
            assert self.breaker.pause_s == RULES.open_s
        else:
            assert self.breaker.pause_s == before.pause_s

    @precondition(lambda self: self.may_send())
    @rule()
    def succeed(self) -> None:
        self.breaker = CLOSED
        self.in_a_row = 0
        self.has_opened = False
        self.probes.clear()

    @invariant()
    def opens_at_the_threshold(self) -> None:
        assert self.breaker.is_closed is not self.has_opened
        assert self.breaker.failures == self.in_a_row < RULES.failures

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


# ---- among several nodes ------------------------------------------------------------------------


@given(st.integers(1, 200), pauses, pauses)
def test_turns_differ_and_end_within_the_longest_pause_of_one_node(
    nodes: int, open_s: float, open_s_max: float
) -> None:
    alone = BreakerRules(1, open_s, open_s_max)
    ends_s = []
    for rank in range(nodes):
        rules = shared(alone, nodes=nodes, rank=rank)
        breaker = opened(rules)
        for _ in range(12):
            breaker = troubled(breaker, rules, Symptom.ABSENCE, now_s=breaker.open_until_s)
        ends_s.append(probed(breaker, rules, open_s_max, now_s=0.0).open_until_s)
    assert ends_s == sorted(set(ends_s))
    assert ends_s[-1] <= open_s_max * (1 + 1e-9)
    assert shared(alone, nodes=1, rank=0) == alone


def test_a_probe_of_another_node_counts_as_ones_own() -> None:
    second = shared(RULES, nodes=2, rank=1)
    breaker = probed(opened(second), second, 10.0, now_s=7.0)
    assert (breaker.pause_s, breaker.open_until_s) == (10.0, 7.0 + 10.0 + second.turn_s)
    again = probed(breaker, second, 5.0, now_s=8.0)
    assert again.pause_s == 10.0


def test_who_has_seen_no_failure_believes_nobody_that_an_endpoint_is_down() -> None:
    assert probed(CLOSED, RULES, 5.0, now_s=0.0) is CLOSED
    doubtful = troubled(CLOSED, RULES, Symptom.ABSENCE, now_s=0.0)
    assert doubtful.is_closed
    assert not probed(doubtful, RULES, 5.0, now_s=0.0).is_closed


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
