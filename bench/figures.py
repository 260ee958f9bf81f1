"""Arithmetic of the figures: percentiles, spreads over repeats, and one row of the table."""

import math
from collections.abc import Iterable, Sequence
from statistics import median

from msgspec import Struct


class Latency(Struct, frozen=True):
    """Milliseconds. All zero when there was nothing to measure, which `count` tells."""

    count: int = 0
    p50: float = 0.0
    p95: float = 0.0
    p99: float = 0.0
    max: float = 0.0


class Row(Struct, frozen=True):
    """What one phase of one scenario measured. A figure that could not be taken is absent."""

    scenario: str
    variant: str
    figures: dict[str, float]

    @property
    def name(self) -> str:
        return f"{self.scenario} {self.variant}".strip()


class Spread(Struct, frozen=True):
    """A figure over repeats."""

    middle: float
    least: float
    most: float
    repeats: int


def percentile(ordered: Sequence[int], percent: float) -> int:
    """Nearest rank: the least value that `percent` of the values do not exceed.

    `ordered` is ascending and not empty.
    """
    return ordered[max(math.ceil(len(ordered) * percent / 100), 1) - 1]


def latency(spans_ns: Iterable[int]) -> Latency:
    """Percentiles of spans in nanoseconds, as milliseconds."""
    ordered = sorted(spans_ns)
    if not ordered:
        return Latency()
    p50, p95, p99 = (percentile(ordered, percent) / 1e6 for percent in (50, 95, 99))
    return Latency(len(ordered), p50, p95, p99, ordered[-1] / 1e6)


def per_second(times_ns: Iterable[int], *, start_ns: int, end_ns: int) -> list[int]:
    """How many times fall in each second of [start, end); the last second may be a short one."""
    counts = [0] * max(math.ceil((end_ns - start_ns) / 1e9), 0)
    for time_ns in times_ns:
        if start_ns <= time_ns < end_ns:
            counts[(time_ns - start_ns) // 1_000_000_000] += 1
    return counts


def spread(values: Sequence[float]) -> Spread:
    """Median with its range. `values` is not empty."""
    return Spread(median(values), min(values), max(values), len(values))


def over_repeats(rows: Iterable[Row]) -> dict[str, dict[str, Spread]]:
    """Rows of the same name, put together figure by figure, in the order of first appearance."""
    gathered: dict[str, dict[str, list[float]]] = {}
    for row in rows:
        figures = gathered.setdefault(row.name, {})
        for figure, value in row.figures.items():
            figures.setdefault(figure, []).append(value)
    return {
        name: {figure: spread(values) for figure, values in figures.items()}
        for name, figures in gathered.items()
    }
