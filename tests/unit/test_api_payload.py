"""A payload is a JSON object in UTF-8; what is in it is between sender and receiver."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.api.message_create import decoded
from ringback.api.payload import check_payload
from ringback.errors import Invalid

TEXTS = st.text(st.characters(codec="utf-8"), max_size=8)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=20,
)


@given(st.dictionaries(TEXTS, VALUES, max_size=5), st.booleans(), st.sampled_from([None, 1]))
def test_any_object_is_kept_byte_for_byte(
    value: dict[str, Any], is_ascii: bool, indent: int | None
) -> None:
    payload = json.dumps(value, ensure_ascii=is_ascii, indent=indent).encode()
    if b"Infinity" in payload:
        return
    posted = decoded(b'{"eventType":"e","payload":' + payload + b"}")
    assert bytes(posted.payload) == payload


@pytest.mark.parametrize("payload", [b'{"a":1,"a":2}', b'{"a":1e999}', b'{"\\u0000":"\xc3\xa9"}'])
def test_what_it_means_is_not_asked(payload: bytes) -> None:
    check_payload(payload)


@pytest.mark.parametrize(
    ("payload", "word"),
    [
        (b"[]", "object"),
        (b'"{}"', "object"),
        (b'{"a":"\xff"}', "UTF-8"),
        (b'{"a":"\xed\xa0\x80"}', "UTF-8"),
    ],
)
def test_payloads_that_are_refused(payload: bytes, word: str) -> None:
    with pytest.raises(Invalid) as caught:
        check_payload(payload)
    assert word in caught.value.detail
    assert caught.value.loc == ("body", "payload")
