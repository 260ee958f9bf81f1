"""A retry comes neither before its time nor before what the receiver asked for."""

from datetime import UTC, datetime, timedelta, timezone
from email.utils import format_datetime
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ringback.config import Settings
from ringback.rules.retry import (
    ATTEMPTS_MAX,
    RETRY_AFTER_CHARACTERS_MAX,
    WAIT_S_MAX,
    Delivered,
    GiveUp,
    Outcome,
    Retry,
    Rules,
    decide,
    exponential,
    retry_after_s,
)

NOW_MS = 1_800_000_000_000
NOW = datetime.fromtimestamp(NOW_MS / 1000, tz=UTC)
RULES = Rules(schedule_s=(5.0, 300.0, 1_800.0), jitter=0.2, retry_after_s_max=86_400)
AVERAGE_LUCK = 0.5
WORST_LUCK = 0.999_999_999

waits_s = st.floats(0, 2_592_000)
shares = st.floats(0, 1)
lucks = st.floats(0, 1, exclude_max=True)
successes = st.integers(200, 299)
failures = st.one_of(st.just(0), st.integers(300, 599)).filter(lambda status: status != 410)
hours = st.integers(-23, 23).map(lambda offset: timezone(timedelta(hours=offset)))
instants = st.datetimes(
    NOW.replace(year=1_970, tzinfo=None), NOW.replace(year=9_999, tzinfo=None), timezones=hours
)


def after_failure(
    retry_after: str | None = None,
    *,
    status: int = 500,
    number: int = 1,
    is_manual: bool = False,
    rules: Rules = RULES,
    luck: float = AVERAGE_LUCK,
) -> Outcome:
    return decide(
        status=status,
        retry_after=retry_after,
        number=number,
        is_manual=is_manual,
        rules=rules,
        now_ms=NOW_MS,
        luck=luck,
    )


def waited_ms(outcome: Outcome) -> int:
    assert isinstance(outcome, Retry)
    return outcome.at_ms - NOW_MS


# ---- what follows from an answer ----------------------------------------------------------------


@given(successes, st.integers(0, 200), st.booleans())
def test_any_2xx_is_a_receipt(status: int, number: int, is_manual: bool) -> None:
    assert after_failure("60", status=status, number=number, is_manual=is_manual) == Delivered()


@given(failures)
@example(301)  # redirects are not followed, so they delivered nothing
@example(404)  # somebody deployed a broken route; it may be back in an hour
def test_everything_else_is_tried_again(status: int) -> None:
    assert waited_ms(after_failure(status=status)) == 5_000


@pytest.mark.parametrize("number", [0, 1, 4])
@pytest.mark.parametrize("is_manual", [False, True])
def test_gone_ends_the_delivery_and_asks_to_disable(number: int, is_manual: bool) -> None:
    outcome = after_failure(status=410, number=number, is_manual=is_manual)
    assert outcome == GiveUp("HTTP 410", is_gone=True)


@given(failures, st.integers(1, 100))
def test_a_manual_attempt_is_a_single_one(status: int, number: int) -> None:
    outcome = after_failure(status=status, number=number, is_manual=True)
    assert isinstance(outcome, GiveUp)
    assert not outcome.is_gone


@given(failures, st.lists(waits_s, max_size=8), st.text(max_size=10) | st.none())
def test_there_are_as_many_retries_as_waits_in_the_schedule(
    status: int, schedule: list[float], retry_after: str | None
) -> None:
    rules = Rules(tuple(schedule), jitter=0.2, retry_after_s_max=60)
    outcomes = [
        after_failure(retry_after, status=status, number=number, rules=rules)
        for number in range(1, len(schedule) + 3)
    ]
    kinds = [type(outcome) for outcome in outcomes]
    assert kinds == [Retry] * len(schedule) + [GiveUp, GiveUp]


@pytest.mark.parametrize(("status", "why"), [(0, "no response"), (503, "HTTP 503")])
def test_it_says_why(status: int, why: str) -> None:
    retried, given_up = after_failure(status=status), after_failure(status=status, number=4)
    assert isinstance(retried, Retry)
    assert isinstance(given_up, GiveUp)
    assert retried.why == given_up.why == why


# ---- the wait -----------------------------------------------------------------------------------


@given(waits_s, shares, lucks)
def test_jitter_stays_within_its_share_of_the_wait(wait: float, share: float, luck: float) -> None:
    rules = Rules((wait,), jitter=share, retry_after_s_max=60)
    waited = waited_ms(after_failure(rules=rules, luck=luck))
    rounding_ms = 1.001  # up to a whole millisecond, and floats
    assert waited >= wait * (1 - share) * 1000 - 0.001
    assert waited <= wait * (1 + share) * 1000 + rounding_ms


@given(waits_s, lucks)
def test_without_jitter_a_retry_is_never_early(wait: float, luck: float) -> None:
    rules = Rules((wait,), jitter=0, retry_after_s_max=60)
    assert 0 <= waited_ms(after_failure(rules=rules, luck=luck)) - wait * 1000 <= 1


@pytest.mark.parametrize("wait", [1e17, 1e308])
def test_a_wait_that_no_clock_holds_is_the_longest_that_one_does(wait: float) -> None:
    rules = Rules((wait,), jitter=1, retry_after_s_max=60)
    waited = waited_ms(after_failure(rules=rules, luck=WORST_LUCK))
    assert WAIT_S_MAX * 1000 <= waited <= 2 * WAIT_S_MAX * 1000


def test_jitter_goes_both_ways() -> None:
    waited = [waited_ms(after_failure(luck=luck)) for luck in (0, AVERAGE_LUCK, WORST_LUCK)]
    assert waited == [4_000, 5_000, 6_000]


@given(st.integers(1, 3), lucks, lucks)
def test_more_luck_never_means_an_earlier_retry(number: int, one: float, other: float) -> None:
    less, more = sorted((one, other))
    early = waited_ms(after_failure(number=number, luck=less))
    assert early <= waited_ms(after_failure(number=number, luck=more))


# ---- Retry-After --------------------------------------------------------------------------------


@given(st.floats(0, 10**12), waits_s, shares, lucks, st.floats(1, 10**6))
def test_retry_after_is_a_lower_bound_up_to_its_limit(
    asked_s: float, wait: float, share: float, luck: float, limit_s: float
) -> None:
    rules = Rules((wait,), jitter=share, retry_after_s_max=limit_s)
    asked = f"{asked_s:.3f}"
    waited = waited_ms(after_failure(asked, rules=rules, luck=luck))
    own = waited_ms(after_failure(rules=rules, luck=luck))
    assert waited >= own
    assert waited >= min(float(asked), limit_s) * 1000
    assert waited <= max(own, limit_s * 1000 + 1)


@given(instants)
def test_a_date_is_a_lower_bound_too(at: datetime) -> None:
    rules = Rules((0.0,), jitter=0, retry_after_s_max=10**12)
    for text in (format_datetime(at), at.isoformat(timespec="seconds")):
        waited = waited_ms(after_failure(text, rules=rules))
        asked_ms = int(at.replace(microsecond=0).timestamp() * 1000) - NOW_MS
        assert waited in (max(0, asked_ms), max(0, asked_ms) + 1)


@given(waits_s, lucks, st.text(max_size=80))
def test_no_text_makes_a_retry_early_or_later_than_the_limit(
    wait: float, luck: float, text: str
) -> None:
    rules = Rules((wait,), jitter=0.2, retry_after_s_max=3_600)
    own = waited_ms(after_failure(rules=rules, luck=luck))
    assert own <= waited_ms(after_failure(text, rules=rules, luck=luck)) <= max(own, 3_600_000)


@pytest.mark.parametrize(
    ("text", "waited_s"),
    [
        ("-1", 5),
        ("99999999999", 86_400),
        ("1.5", 5),
        ("7.25", 7.25),
        ("abc", 5),
        ("Sun, 06 Nov 1994 08:49:37 GMT", 5),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 86_400),
        ((NOW + timedelta(seconds=90)).isoformat(), 90),
        ("120, 60", 5),  # two headers, joined as HTTP joins them: neither can be told to be meant
    ],
)
def test_odd_retry_afters_harm_nobody(text: str, waited_s: float) -> None:
    assert waited_ms(after_failure(text, status=503)) == waited_s * 1000


AT = NOW + timedelta(minutes=5)


@pytest.mark.parametrize(
    "text",
    [
        "300",
        "300.0",
        " 300\t",
        format_datetime(AT, usegmt=True),  # IMF-fixdate
        AT.strftime("%A, %d-%b-%y %H:%M:%S GMT"),  # RFC 850
        AT.strftime("%a %b %e %H:%M:%S %Y"),  # asctime
        AT.isoformat(),
        AT.isoformat().replace("+00:00", "Z"),
        AT.astimezone(timezone(timedelta(hours=-7))).isoformat(),
    ],
)
def test_every_way_to_say_five_minutes(text: str) -> None:
    assert retry_after_s(text, NOW_MS) == 300


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", ".", "1.2.3", "+5", "-0", "5s", "1e5", "0x10", "inf", "nan", "1_000", "٣", "²"),
        "2030-01-01T00:00:00",  # of which zone?
        "2030-13-01T00:00:00Z",
        "Wed, 21 Oct 2037",
        "Wed, 21 Oct 2037 25:61:61 GMT",
        "1" * (RETRY_AFTER_CHARACTERS_MAX + 1),
        "9" * 100_000,
    ],
)
def test_what_is_no_retry_after_asks_for_nothing(text: str) -> None:
    assert retry_after_s(text, NOW_MS) is None


def test_the_longest_text_that_is_read() -> None:
    assert retry_after_s("7".zfill(RETRY_AFTER_CHARACTERS_MAX), NOW_MS) == 7


@given(st.text() | st.text("0123456789.:-+TZ, GMTadefnorv", max_size=64))
def test_any_text_is_read_as_a_wait_or_as_nothing(text: str) -> None:
    asked_s = retry_after_s(text, NOW_MS)
    assert asked_s is None or asked_s >= 0


# ---- exponential schedules ----------------------------------------------------------------------

schedules = {
    "base_s": st.floats(0.001, 1_000),
    "factor": st.floats(1, 10),
    "cap_s": st.floats(1_000, 100_000),
    "attempts": st.integers(1, ATTEMPTS_MAX),
}


@given(**schedules)
def test_an_exponential_schedule_grows_by_its_factor_up_to_its_cap(
    base_s: float, factor: float, cap_s: float, attempts: int
) -> None:
    schedule = exponential(base_s, factor=factor, cap_s=cap_s, attempts=attempts)
    assert len(schedule) == attempts - 1
    assert schedule[:1] in ((), (base_s,))
    for wait, following in pairwise(schedule):
        assert following == min(wait * factor, cap_s)
        assert wait <= following <= cap_s


def test_a_schedule_in_figures() -> None:
    assert exponential(5, factor=2, cap_s=60, attempts=7) == (5, 10, 20, 40, 60, 60)
    assert exponential(5, factor=2, cap_s=60, attempts=1) == ()


@pytest.mark.parametrize(
    ("base_s", "factor", "cap_s", "attempts"),
    [
        (0, 2, 60, 5),
        (-1, 2, 60, 5),
        (5, 0.5, 60, 5),
        (5, 2, 4, 5),
        (5, 2, 60, 0),
        (5, 2, 60, ATTEMPTS_MAX + 1),
        (float("nan"), 2, 60, 5),
        (5, float("nan"), 60, 5),
        (5, 2, float("nan"), 5),
        (5, 2, float("inf"), 5),
        (5, 2, WAIT_S_MAX + 1, 5),
        (1e308, 1, 1e308, 2),
    ],
)
def test_a_schedule_that_makes_no_sense_is_refused(
    base_s: float, factor: float, cap_s: float, attempts: int
) -> None:
    with pytest.raises(ValueError, match=r"attempts must be|base must be|base and cap may be"):
        exponential(base_s, factor=factor, cap_s=cap_s, attempts=attempts)


def test_the_published_schedule_is_kept_within_the_promised_jitter() -> None:
    settings = Settings()
    rules = Rules(settings.retry_schedule, settings.retry_jitter, settings.retry_after_s_max)
    total_s = [
        sum(
            waited_ms(after_failure(number=number, rules=rules, luck=luck)) / 1000
            for number in range(1, len(rules.schedule_s) + 1)
        )
        for luck in (0, WORST_LUCK)
    ]
    published_s = sum(settings.retry_schedule)
    assert total_s == pytest.approx([published_s * 0.8, published_s * 1.2])
