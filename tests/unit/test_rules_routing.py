"""Who gets a message: the truth table of the Svix API, and the same rule said a second time."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.model import Endpoint
from ringback.rules.routing import is_wanted, select
from ringback.testing.nouns import endpoint

Names = tuple[str, ...] | None

names = st.sampled_from(["a", "b", "a.b", "A", ""])
filters = st.none() | st.lists(names, max_size=3, unique=True).map(tuple)


endpoints = st.builds(
    endpoint,
    is_disabled=st.booleans(),
    event_types=filters,
    channels=filters,
    id=st.uuids().map(str),
)

BY_TYPE: list[tuple[Names, bool]] = [
    (None, True),
    ((), True),  # portals say "all types" so
    (("paid",), True),
    (("refunded", "paid"), True),
    (("refunded",), False),
    (("paid.late",), False),  # names are whole words, not prefixes
    (("pai",), False),
    (("PAID",), False),
]
BY_CHANNEL: list[tuple[Names, Names, bool]] = [
    (None, None, True),
    (None, ("eu",), True),
    ((), None, True),
    ((), ("eu",), True),
    (("eu",), None, False),  # a message without channels is not for those who asked for some
    (("eu",), (), False),
    (("eu",), ("eu",), True),
    (("eu",), ("us",), False),
    (("eu", "us"), ("us", "asia"), True),
    (("eu",), ("eu-west",), False),
]


@pytest.mark.parametrize(("types", "has_type"), BY_TYPE)
@pytest.mark.parametrize(("wanted", "sent", "has_channel"), BY_CHANNEL)
@pytest.mark.parametrize("is_disabled", [False, True])
def test_the_truth_table(
    types: Names, has_type: bool, wanted: Names, sent: Names, has_channel: bool, is_disabled: bool
) -> None:
    there = endpoint(is_disabled=is_disabled, event_types=types, channels=wanted)
    expected = has_type and has_channel and not is_disabled
    assert is_wanted(there, "paid", sent or ()) is expected
    assert select([there], "paid", sent) == ((there,) if expected else ())


@given(st.lists(endpoints, max_size=8), names, filters)
def test_the_rule_said_with_sets(there: list[Endpoint], event_type: str, channels: Names) -> None:
    expected = [
        each
        for each in there
        if not each.is_disabled
        and {event_type} & set(each.event_types or {event_type})
        and (not each.channels or set(each.channels) & set(channels or ()))
    ]
    assert list(select(there, event_type, channels)) == expected


@given(st.lists(endpoints, max_size=8), names, filters)
def test_endpoints_keep_their_order_and_nobody_decides_for_another(
    there: list[Endpoint], event_type: str, channels: Names
) -> None:
    together = select(there, event_type, channels)
    apart = [select([each], event_type, channels) for each in there]
    assert together == tuple(each for alone in apart for each in alone)


@given(endpoints, names, filters)
def test_wishing_for_more_never_loses_a_message(
    there: Endpoint, event_type: str, channels: Names
) -> None:
    if select([there], event_type, channels):
        wider = endpoint(
            event_types=there.event_types and (*there.event_types, "more"),
            channels=there.channels and (*there.channels, "more"),
        )
        assert select([wider], event_type, channels)
        assert select([endpoint()], event_type, channels)


def test_nobody_is_nobody() -> None:
    assert select([], "paid", None) == ()


def test_the_table_above_has_every_kind_of_case() -> None:
    seen = {(bool(types), has_type) for types, has_type in BY_TYPE}
    assert seen == {(False, True), (True, True), (True, False)}
    kinds = {(bool(wanted), bool(sent)) for wanted, sent, _ in BY_CHANNEL}
    assert kinds == set(product((False, True), repeat=2))
