"""A payload that every reader reads alike is taken, any other is refused."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.api.payload import check_payload
from ringback.errors import Invalid

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8")),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=8), inner, max_size=4)
    ),
    max_leaves=20,
)
OBJECTS = st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=8), VALUES, max_size=5)


def refused(payload: bytes) -> str:
    with pytest.raises(Invalid) as caught:
        check_payload(payload)
    assert caught.value.loc[0] == "body"
    return caught.value.detail


@given(OBJECTS, st.booleans(), st.sampled_from([None, 1]))
def test_what_has_no_duplicates_is_taken(
    value: dict[str, Any], is_ascii: bool, indent: int | None
) -> None:
    check_payload(json.dumps(value, ensure_ascii=is_ascii, indent=indent).encode())


@given(OBJECTS.filter(bool), st.data())
def test_a_duplicate_is_found_wherever_it_is(value: dict[str, Any], draw: st.DataObject) -> None:
    """The text of an object with one of its keys written again, alone or deep inside another."""
    name = draw.draw(st.sampled_from(sorted(value)))
    again = json.dumps(name, ensure_ascii=draw.draw(st.booleans()))
    text = json.dumps(value)[:-1] + f", {again} : 0}}"
    if draw.draw(st.booleans()):
        text = '{"outer:": [1, ' + text + "]}"
    assert "twice" in refused(text.encode())


@pytest.mark.parametrize(
    "payload",
    [
        b"{}",
        b'{"a":"\\u003a:\\":"}',
        b'{"a":{"x":1},"b":{"x":1}}',
        b'{"a":123456789012345678901234567890}',
        b'{"a":-0.0,"b":1E5}',
        b'{"\\u0000":"\\ud83d\\ude00"}',
    ],
)
def test_unusual_payloads_that_are_fine(payload: bytes) -> None:
    check_payload(payload)


@pytest.mark.parametrize(
    ("payload", "word"),
    [
        (b"[]", "object"),
        (b'"{}"', "object"),
        (b'{"a":123456789012345678901234567890,"a":1}', "twice"),
        (b'{"a":1,"\\u0061":2}', "twice"),
        (b'{"a":1e999}', "out of range"),
        (b'{"a":' + b"9" * 5_000 + b"}", "out of range"),
        (b'{"a":"\xff"}', "UTF-8"),
        (b'{"a":"\xed\xa0\x80"}', "UTF-8"),
        (b'{"a":"\\ud800"}', "JSON"),
        (b'{"a":' * 3_000 + b"1" + b"}" * 3_000, "nested"),
    ],
)
def test_payloads_that_are_refused(payload: bytes, word: str) -> None:
    assert word in refused(payload)


def test_a_long_key_is_cut_in_the_answer() -> None:
    name = "k" * 5_000
    text = msgspec.json.encode({name: 1})[:-1] + b',"' + name.encode() + b'":2}'
    assert len(refused(text)) < 200
