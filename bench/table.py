"""The one table: rows of all scenarios, medians over repeats with their range; valid Markdown."""

from collections.abc import Mapping, Sequence
from typing import Final

from bench.figures import Row, Spread, over_repeats

Spreads = Mapping[str, Spread]

RATE: Final = "deliveries_per_s"
COLUMNS: Final = {
    RATE: "deliv/s",
    "slowest_second": "slowest s",
    "accepts_per_s": "202/s",
    "app_us": "app µs",
    "generator_us": "gen µs",
    "sink_us": "sink µs",
    "accept_p50_ms": "202 p50 ms",
    "accept_p99_ms": "202 p99",
    "arrival_p50_ms": "arrival p50 ms",
    "arrival_p95_ms": "p95",
    "arrival_p99_ms": "p99",
    "backlog": "backlog",
    "drain_s": "drain s",
    "rss_peak_mib": "RSS peak MiB",
    "rss_end_mib": "end",
    "missing": "missing",
    "duplicates": "dup",
    "refused": "refused",
}
OPTIONAL: Final = {
    "postgres_us": "pg µs",
    "wal_bytes": "WAL B",
    "statements": "statements",
    "commits": "commits",
    "postgres_mib": "pg MiB",
}
TROUBLE: Final = ("broken", "unexpected", "stray")
LATE_MS_MAX: Final = 1.0
OTHERS_CORES_MAX: Final = 0.15
RELAY: Final = "floor relay"


def table(rows: Sequence[Row]) -> str:
    """The table, then a line for each note and each reason to doubt a figure."""
    gathered = over_repeats(rows)
    phases = {name: figures for name, figures in gathered.items() if RATE in figures}
    notes = {name: figures for name, figures in gathered.items() if RATE not in figures}
    parts = [_markdown(phases)] if phases else []
    parts += [_note(name, figures) for name, figures in notes.items()]
    parts += _floor_ratios(phases)
    parts += _doubts(phases)
    return "\n".join(parts)


def number(value: float) -> str:
    """Three significant digits or more, thousands set off."""
    if value == 0 or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def cell(figure: Spread | None) -> str:
    """A figure and, with repeats, its range."""
    if figure is None:
        return "-"
    text = number(figure.middle)
    least, most = number(figure.least), number(figure.most)
    if least != most:
        text += f" [{least}-{most}]"
    return text


def _markdown(phases: Mapping[str, Spreads]) -> str:
    known = {key for row in phases.values() for key in row}
    columns = COLUMNS | {key: title for key, title in OPTIONAL.items() if key in known}
    lines = [["scenario", *columns.values()]]
    lines += [[name, *(cell(row.get(key)) for key in columns)] for name, row in phases.items()]
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    lines.insert(1, rule)
    return "\n".join(
        "| " + " | ".join([line[0].ljust(widths[0]), *map(str.rjust, line[1:], widths[1:])]) + " |"
        for line in lines
    )


def _note(name: str, figures: Spreads) -> str:
    shown = ", ".join(f"{key.replace('_', ' ')} {cell(value)}" for key, value in figures.items())
    return f"\n{name}: {shown}"


def _floor_ratios(phases: Mapping[str, Spreads]) -> list[str]:
    """What a delivery costs over the relay of the same run, where the shape is the same."""
    floor = phases.get(RELAY, {}).get("app_us")
    if floor is None:
        return []
    return [
        f"\n{name}: {row['app_us'].middle / floor.middle:.2f} x the relay's CPU a delivery"
        for name, row in phases.items()
        if name == "throughput 1x1" and "app_us" in row
    ]


def _doubts(phases: Mapping[str, Spreads]) -> list[str]:
    """Phases in which the instruments or the server were in trouble."""
    doubts = [
        f"\nDOUBT {name}: {cell(row[figure])} {figure}"
        for name, row in phases.items()
        for figure in TROUBLE
        if figure in row and row[figure].most
    ]
    others = ((name, row["others_cores"]) for name, row in phases.items() if "others_cores" in row)
    doubts += [
        f"\nDOUBT {name}: other work kept {cell(spread)} cores of this machine busy"
        for name, spread in others
        if spread.most > OTHERS_CORES_MAX
    ]
    late = ((name, row["late_p99_ms"]) for name, row in phases.items() if "late_p99_ms" in row)
    doubts += [
        f"\nDOUBT {name}: the generator itself was late, p99 {cell(spread)} ms"
        for name, spread in late
        if spread.most > LATE_MS_MAX
    ]
    return doubts
