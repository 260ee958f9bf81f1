"""The life of a delivery (one message on its way to one endpoint): every state and transition.

Rule 1: every transition is a row of `TRANSITIONS`; the store applies no other. Rule 2: a state is
derived from where the delivery is, never stored twice:

    PENDING     accepted in this transaction, not yet anywhere: it never outlives the transaction
    IN_FLIGHT   in an in-flight batch of a node that holds its lease
    WAITING     a waiting row; due at an instant, or parked while its endpoint is disabled
    DELIVERED   its last attempt succeeded
    EXHAUSTED   its last attempt failed and planned no next one
    CANCELED    its endpoint or message is gone; nothing will be sent

The diagram in the documentation is generated from this table.
"""

from enum import StrEnum
from typing import Final


class State(StrEnum):
    PENDING = "pending"
    IN_FLIGHT = "in flight"
    WAITING = "waiting"
    DELIVERED = "delivered"
    EXHAUSTED = "exhausted"
    CANCELED = "canceled"


class Event(StrEnum):
    HAND_OFF = "hand off"  # its lane has room: the accept transaction puts it into a batch row
    PARK = "park"  # its lane has none: the accept transaction writes a waiting row
    CLAIM = "claim"  # due, and its lane has room
    SUCCEED = "succeed"  # an attempt got a 2xx
    RETRY = "retry"  # an attempt failed and the schedule has a next one
    GIVE_UP = "give up"  # an attempt failed and it was the last, or the receiver said 410
    RETURN = "return"  # not attempted: the lane paused, the endpoint was disabled, the node stops
    ADOPT = "adopt"  # its node died: another turns its batch into waiting rows
    CANCEL = "cancel"  # its endpoint or message was deleted
    REPLAY = "replay"  # somebody asked for it again


TRANSITIONS: Final[dict[tuple[State, Event], State]] = {
    (State.PENDING, Event.HAND_OFF): State.IN_FLIGHT,
    (State.PENDING, Event.PARK): State.WAITING,
    (State.WAITING, Event.CLAIM): State.IN_FLIGHT,
    (State.WAITING, Event.CANCEL): State.CANCELED,
    (State.IN_FLIGHT, Event.SUCCEED): State.DELIVERED,
    (State.IN_FLIGHT, Event.RETRY): State.WAITING,
    (State.IN_FLIGHT, Event.GIVE_UP): State.EXHAUSTED,
    (State.IN_FLIGHT, Event.RETURN): State.WAITING,
    (State.IN_FLIGHT, Event.ADOPT): State.WAITING,
    (State.IN_FLIGHT, Event.CANCEL): State.CANCELED,
    (State.EXHAUSTED, Event.REPLAY): State.WAITING,
}

FINAL: Final = frozenset({State.DELIVERED, State.EXHAUSTED, State.CANCELED})


def step(state: State, event: Event) -> State:
    """The state after the event. Raises ValueError for a transition that the table lacks."""
    try:
        return TRANSITIONS[state, event]
    except KeyError:
        raise ValueError(f"a delivery that is {state} cannot {event}") from None


def mermaid() -> str:
    """The table as a Mermaid state diagram, for the documentation."""
    lines = ["stateDiagram-v2", "    [*] --> pending"]
    for (state, event), after in TRANSITIONS.items():
        lines.append(f"    {_name(state)} --> {_name(after)}: {event}")
    lines += [f"    {_name(state)} --> [*]" for state in State if state in FINAL]
    return "\n".join(lines) + "\n"


def _name(state: State) -> str:
    return state.replace(" ", "_")
