"""The table of a delivery's life has no dead ends and no ways around it; the docs show it as it is.

The diagram in docs/lifecycle.md is written anew by

    REFRESH_DOCS=1 .venv/bin/pytest tests/unit/test_rules_lifecycle.py
"""

import os
import re
from itertools import product
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.rules.lifecycle import FINAL, TRANSITIONS, Event, State, mermaid, step

PAGE = Path(__file__).parents[2] / "docs" / "lifecycle.md"
DIAGRAM = re.compile(r"(?<=```mermaid\n).*?(?=```\n<!-- end -->)", re.DOTALL)


def reachable(*starts: State, without: Event | None = None) -> set[State]:
    """Every state that some events lead to from `starts`, those included."""
    found = set(starts)
    while True:
        more = {
            after
            for (state, event), after in TRANSITIONS.items()
            if state in found and event is not without
        }
        if more <= found:
            return found
        found |= more


def events_of(state: State) -> set[Event]:
    return {event for before, event in TRANSITIONS if before is state}


# ---- the table ----------------------------------------------------------------------------------


def test_every_state_is_reached_from_the_beginning() -> None:
    assert reachable(State.PENDING) == set(State)


def test_nothing_leads_back_to_the_beginning() -> None:
    assert State.PENDING not in TRANSITIONS.values()


@pytest.mark.parametrize("state", sorted(set(State) - FINAL))
def test_no_state_is_dead(state: State) -> None:
    """From wherever a delivery is, it can be delivered, and it can come to each other end too."""
    assert reachable(state, without=Event.REPLAY) >= FINAL


@pytest.mark.parametrize("state", sorted(FINAL))
def test_what_is_final_is_left_by_a_replay_only(state: State) -> None:
    assert events_of(state) <= {Event.REPLAY}


def test_what_was_received_or_deleted_is_never_sent_by_a_replay() -> None:
    assert not events_of(State.DELIVERED)
    assert not events_of(State.CANCELED)


def test_every_event_happens_and_always_leads_to_the_same_state() -> None:
    for event in Event:
        assert len({after for (_, name), after in TRANSITIONS.items() if name is event}) == 1


def test_no_event_leaves_a_delivery_where_it_is() -> None:
    assert all(state is not after for (state, _), after in TRANSITIONS.items())


def test_only_an_attempt_in_flight_ends_in_a_receipt_or_in_giving_up() -> None:
    for (state, _), after in TRANSITIONS.items():
        if after in {State.DELIVERED, State.EXHAUSTED}:
            assert state is State.IN_FLIGHT


# ---- one step -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("state", "event"), list(product(State, Event)))
def test_a_step_is_what_the_table_says_or_refused(state: State, event: Event) -> None:
    if (state, event) in TRANSITIONS:
        assert step(state, event) is TRANSITIONS[state, event]
    else:
        with pytest.raises(ValueError, match=f"a delivery that is {state} cannot {event}"):
            step(state, event)


@given(st.data())
def test_whatever_happens_a_life_is_over_until_a_replay(data: st.DataObject) -> None:
    """A walk along the table: after an end, only a replay, and then it starts by waiting."""
    state = State.PENDING
    for _ in range(30):
        choices = sorted(events_of(state))
        if not choices:
            assert state in FINAL
            return
        event = data.draw(st.sampled_from(choices))
        was_final = state in FINAL
        state = step(state, event)
        assert not was_final or (event is Event.REPLAY and state is State.WAITING)


# ---- the page -----------------------------------------------------------------------------------


def test_the_diagram_says_every_transition_and_no_other() -> None:
    arrows = re.findall(r"^    (\w+) --> (\w+): (.+)$", mermaid(), re.MULTILINE)
    drawn = {
        (before.replace("_", " "), event): after.replace("_", " ")
        for before, after, event in arrows
    }
    assert drawn == TRANSITIONS
    assert len(arrows) == len(TRANSITIONS)
    ends = re.findall(r"^    (\w+) --> \[\*\]$", mermaid(), re.MULTILINE)
    assert set(ends) == FINAL


def test_the_diagram_in_the_docs_is_the_table() -> None:
    page = PAGE.read_text()
    assert len(DIAGRAM.findall(page)) == 1, "the markers around the diagram are gone"
    if os.environ.get("REFRESH_DOCS"):
        page = DIAGRAM.sub(lambda _: mermaid(), page)
        PAGE.write_text(page)
    assert DIAGRAM.findall(page) == [mermaid()], "see the head of this file for how to refresh it"


def test_the_page_explains_every_state_and_every_event() -> None:
    prose = DIAGRAM.sub("", PAGE.read_text())
    for state in State:
        assert f"| `{state}` |" in prose
    for event in Event:
        assert f"(*{event}*)" in prose
