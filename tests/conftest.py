"""What holds for every test: no deadline that a busy machine could miss, no foreign settings.

And what is shown of them in the end: one table of all faults that were survived.
"""

import os
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, settings

from ringback.testing.outcome import PROPERTY, NoteFault, Outcome, table

# In CI the same examples each time; elsewhere new ones, and what failed is remembered.
settings.register_profile(
    "ringback",
    deadline=None,
    derandomize=bool(os.environ.get("CI")),
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("ringback")


@pytest.fixture(autouse=True)
def _no_foreign_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """A developer's RINGBACK_* variables must not decide what a test sees."""
    for name in [name for name in os.environ if name.startswith("RINGBACK_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def note_fault(record_property: Callable[[str, object], None]) -> NoteFault:
    """Note what a fault did, for the table."""

    def note(outcome: Outcome, fault: str, *, times: int = 1) -> None:
        record_property(PROPERTY, outcome.line(fault, times))

    return note


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    reports = [*terminalreporter.getreports("passed"), *terminalreporter.getreports("failed")]
    noted = [line for each in reports for name, line in each.user_properties if name == PROPERTY]
    if lines := table(set(noted)):
        terminalreporter.section("faults")
        for line in lines:
            terminalreporter.write_line(line)
