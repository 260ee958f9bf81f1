"""What is shown of faults at the end of a run."""

import pytest

from ringback.testing.outcome import HEAD, PROPERTY, NoteFault, Outcome, table

OUTCOME = Outcome(
    accepted=1_200,
    arrived=2_400,
    lost=0,
    duplicates=7,
    bound=9,
    refused=3,
    longest_delay_s=2.125,
)


def test_the_table_has_a_head_and_a_line_for_each_fault() -> None:
    lines = [OUTCOME.line("the network is cut", 8), OUTCOME.line("kill -9", 100)]
    head, first, second = table(lines)
    assert head == HEAD
    assert first.split() == ["kill", "-9", "100", "1,200", "2,400", "0", "7", "9", "3", "2.12", "s"]
    assert second.startswith("the network is cut")
    assert {len(line) for line in (head, first, second)} == {len(HEAD)}
    assert table([]) == []


def test_what_is_noted_travels_with_the_report(
    note_fault: NoteFault, request: pytest.FixtureRequest
) -> None:
    note_fault(OUTCOME, "nothing", times=2)
    noted = list(request.node.user_properties)
    request.node.user_properties.clear()  # it was no fault
    assert noted == [(PROPERTY, OUTCOME.line("nothing", 2))]
