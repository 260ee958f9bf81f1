"""Forms are read as the standard library reads them when it is strict."""

from urllib.parse import parse_qsl

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ringback.errors import Malformed
from ringback.sign.payload import FORM_FIELDS_MAX, form_pairs

bodies = st.text("ab=&+;%23cCeEé \0", max_size=40)


def by_the_standard_library(body: str) -> list[tuple[str, str]] | None:
    try:
        body.encode("ascii")
        return parse_qsl(
            body, keep_blank_values=True, errors="strict", max_num_fields=FORM_FIELDS_MAX
        )
    except ValueError:
        return None


@given(body=bodies)
@example(body="")
@example(body="a=%C3%A9&%c3%a9=b")
@example(body="a=%C3")
@example(body="a=%C3b%A9")
@example(body="a=%&b=%1&c=%zz&d=%%41&e=%4")
@example(body="a==b&=&=c&&d")
@example(body="a=1%2B1+1%20%26%3D")
def test_a_form_s_fields_are_those_that_the_standard_library_finds(body: str) -> None:
    try:
        found = form_pairs(body.encode())
    except Malformed:
        found = None

    assert found == by_the_standard_library(body)


def test_more_fields_than_any_form_has_are_refused() -> None:
    assert len(form_pairs(b"&".join([b"a"] * FORM_FIELDS_MAX))) == FORM_FIELDS_MAX
    with pytest.raises(Malformed):
        form_pairs(b"&".join([b"a"] * (FORM_FIELDS_MAX + 1)))
