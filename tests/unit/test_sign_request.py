"""Headers by the quick way are what the slow one makes of them, or it leaves them alone."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ringback.sign.request import _collected, _plain

texts = st.text(st.sampled_from("aB-_\0,hé"), max_size=4)
raws = texts.map(lambda text: text.encode("latin-1"))


@pytest.mark.parametrize("is_mapping", [False, True])
@given(pairs=st.lists(st.tuples(texts, texts)) | st.lists(st.tuples(raws, raws)))
@example(pairs=[("a\0webhook-signature", "x"), ("b", "y")])
@example(pairs=[(b"a\0webhook-signature", b"x"), (b"b", b"y")])
@example(pairs=[(b"a", b"x\0y"), (b"b", b"z")])
@example(pairs=[("", ""), ("\0", "")])
@example(pairs=[("HTTP_A", "x"), ("CONTENT_TYPE", "y")])
def test_both_ways_find_the_same_headers(
    is_mapping: bool, pairs: list[tuple[str | bytes, str | bytes]]
) -> None:
    found = _plain(list(pairs))

    assert found is None or found == _collected(list(pairs), is_mapping=is_mapping)
