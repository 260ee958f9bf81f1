"""Arithmetic of the benchmarks: percentiles, spreads, the books of the sink, the table."""

import math

import pytest
from bench.figures import Latency, Row, latency, over_repeats, per_second, percentile, spread
from bench.ledger import GROWTH, Ledger
from bench.table import number, table
from hypothesis import given
from hypothesis import strategies as st

MS = 1_000_000
SECOND = 1_000_000_000


@pytest.mark.parametrize(
    ("percent", "expected"), [(50, 50), (95, 95), (99, 99), (100, 100), (0, 1)]
)
def test_percentiles_of_one_to_a_hundred(percent: float, expected: int) -> None:
    assert percentile(range(1, 101), percent) == expected


@given(st.lists(st.integers(), min_size=1), st.floats(min_value=0, max_value=100))
def test_a_percentile_is_the_least_value_that_covers_its_share(
    values: list[int], percent: float
) -> None:
    ordered = sorted(values)
    found = percentile(ordered, percent)
    needed = math.ceil(len(ordered) * percent / 100)
    assert sum(value <= found for value in ordered) >= needed
    assert sum(value < found for value in ordered) < max(needed, 1)


def test_latency_is_in_milliseconds_and_takes_any_order() -> None:
    assert latency([3 * MS, MS, 2 * MS]) == Latency(3, 2.0, 3.0, 3.0, 3.0)
    assert latency([]) == Latency()


def test_per_second_counts_a_half_open_window() -> None:
    times = [0, SECOND - 1, SECOND, 2 * SECOND, 3 * SECOND, -1]
    assert per_second(times, start_ns=0, end_ns=3 * SECOND) == [2, 1, 1]
    assert per_second(times, start_ns=0, end_ns=SECOND + 1) == [2, 1]


def test_repeats_are_put_together_by_name_and_figure() -> None:
    rows = [Row("a", "x", {"rate": rate}) for rate in (3.0, 1.0, 2.0)] + [Row("a", "y", {})]
    gathered = over_repeats(rows)
    assert list(gathered) == ["a x", "a y"]
    assert gathered["a x"]["rate"] == spread([1.0, 2.0, 3.0])
    assert (spread([1.0, 4.0]).middle, spread([1.0, 4.0]).repeats) == (2.5, 2)


def test_the_ledger_counts_a_delivery_once_and_a_repeat_as_duplicate() -> None:
    ledger = Ledger()
    ledger.begin(1, 2)
    for sequence, lane in [(0, 0), (0, 1), (1, 0), (1, 0)]:
        ledger.note((1, sequence, 0), lane, 5)
    assert (ledger.arrived, ledger.duplicates, ledger.last_ns) == (3, 1, 5)
    assert ledger.account(2).missing == 1
    assert ledger.account(3).missing == 3


def test_the_ledger_does_not_miss_what_was_refused() -> None:
    ledger = Ledger()
    ledger.begin(1, 2)
    ledger.note((1, 0, 0), 0, 5)
    ledger.note((1, 1, 0), 1, 5)
    account = ledger.account(3, [1, 2, 2])
    assert (account.missing, account.unexpected) == (1, 1)


@pytest.mark.parametrize("mark", [(2, 0, 0), (0, 0, 0)])
def test_the_ledger_keeps_other_runs_apart(mark: tuple[int, int, int]) -> None:
    ledger = Ledger()
    ledger.begin(1, 1)
    ledger.note(mark, 0, 5)
    ledger.note((1, 0, 0), 1, 5)
    assert (ledger.arrived, ledger.stale) == (0, 2)


def test_a_new_run_forgets_the_one_before() -> None:
    ledger = Ledger()
    ledger.begin(1, 1)
    ledger.note((1, 7, 0), 0, 5)
    ledger.begin(2, 1)
    assert ledger.arrived == 0
    assert ledger.account(8).missing == 8


@given(
    st.lists(st.tuples(st.integers(0, 3 * GROWTH), st.integers(0, 2)), max_size=30),
    st.integers(0, 3 * GROWTH),
)
def test_the_ledger_agrees_with_a_set(arrivals: list[tuple[int, int]], messages: int) -> None:
    ledger = Ledger()
    ledger.begin(4, 3)
    for sequence, lane in arrivals:
        ledger.note((4, sequence, 0), lane, 1)
    arrived = set(arrivals)
    assert ledger.arrived == len(arrived)
    assert ledger.duplicates == len(arrivals) - len(arrived)
    expected = messages * 3 - sum(sequence < messages for sequence, _ in arrived)
    assert ledger.account(messages).missing == expected


def test_a_window_takes_latency_by_sending_and_rate_by_arrival() -> None:
    ledger = Ledger()
    ledger.begin(1, 1)
    for sequence, (sent_ms, arrived_ms) in enumerate([(5, 15), (15, 18), (18, 25), (25, 26)]):
        ledger.note((1, sequence, sent_ms * MS), 0, arrived_ms * MS)
    window = ledger.window(10 * MS, 20 * MS)
    assert window.arrivals == 2
    assert window.latency == Latency(2, 3.0, 7.0, 7.0, 7.0)


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0"), (12_345.6, "12,346"), (12.34, "12.3"), (1.234, "1.23"), (100.4, "100")],
)
def test_numbers_have_the_digits_that_matter(value: float, text: str) -> None:
    assert number(value) == text


def test_the_table_is_aligned_markdown_with_notes_and_doubts_below() -> None:
    rows = [
        Row("floor", "relay", {"deliveries_per_s": 100.0, "app_us": 50.0}),
        Row("throughput", "1x1", {"deliveries_per_s": 90.0, "app_us": 100.0, "broken": 2.0}),
        Row("hanging", "ratio", {"p99_with_over_without": 1.25}),
    ]
    text = table(rows)
    lines = text.splitlines()
    bars = [line for line in lines if line.startswith("|")]
    assert len(bars) == 4
    assert len({len(line) for line in bars}) == 1
    assert "hanging ratio: p99 with over without 1.25" in lines
    assert "throughput 1x1: 2.00 x the relay's CPU a delivery" in lines
    assert "DOUBT throughput 1x1: 2.00 broken" in lines


def test_a_busy_machine_and_a_late_generator_are_reasons_to_doubt() -> None:
    figures = {"deliveries_per_s": 1.0, "others_cores": 0.5, "late_p99_ms": 3.0}
    text = table([Row("a", "", figures), Row("b", "", dict.fromkeys(figures, 0.1))])
    assert "DOUBT a: other work kept 0.50 cores of this machine busy" in text
    assert "DOUBT a: the generator itself was late, p99 3.00 ms" in text
    assert "DOUBT b" not in text


def test_a_range_is_shown_where_repeats_differ() -> None:
    rows = [Row("a", "", {"deliveries_per_s": rate}) for rate in (100.0, 300.0, 200.0)]
    assert "200 [100-300]" in table(rows)
