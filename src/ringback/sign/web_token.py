"""The parts of JSON Web Tokens (RFC 7515, 7519), each in its one spelling.

Nothing here proves anything: whoever uses it checks the algorithm, the signature and the claims.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Any

from ringback.errors import Malformed
from ringback.sign.payload import json_of


def object_of(text: str) -> dict[str, Any]:
    """The JSON object of a header or of claims. Raises Malformed."""
    value = json_of(bytes_of(text))
    if not isinstance(value, dict):
        raise Malformed("a part of the token is not a JSON object")
    return value


def bytes_of(text: str) -> bytes:
    """The bytes of base64url without padding, in its one spelling. Raises Malformed."""
    try:
        raw = urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except ValueError:
        raw = b""
    if not raw or text_of(raw) != text:
        raise Malformed("a part of the token is not base64url")
    return raw


def text_of(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()
