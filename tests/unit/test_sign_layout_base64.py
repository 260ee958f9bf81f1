"""A signature in base64 has one spelling."""

from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.errors import Malformed
from ringback.sign.layout import decoded_base64


@given(st.binary(max_size=64))
def test_what_was_encoded_is_decoded(signature: bytes) -> None:
    assert decoded_base64(b64encode(signature).decode()) == signature


@pytest.mark.parametrize(
    "text", ["QR==", "QQ=", "QQ", "QQ==QQ==", "QUF=", " QQ==", "QQ==\n", "Q-==", "é"]
)
def test_other_spellings_are_refused(text: str) -> None:
    """`QR==` and `QQ==` are the same byte to most decoders."""
    with pytest.raises(Malformed):
        decoded_base64(text)
