"""The one check of every body: that it means the same to every reader.

A payload is kept byte for byte and read by many programs, so what they disagree about or choke on
is refused: a duplicate key (the first wins here, the last there), a number beyond every type, half
of a surrogate pair, bytes that are not UTF-8.

The check for duplicate keys costs about as much as decoding: the colons between keys and values of
the text are as many as its keys, so a text that has more colons than its decoded value encodes to
has lost a key on the way. Only then, or when the value cannot be encoded, is every key looked at.
"""

import json
from collections.abc import Sequence
from typing import Final

import msgspec

from ringback.api.errors import invalid_body, not_json

SHOWN_CHARS_MAX: Final = 40

_decode: Final = msgspec.json.Decoder().decode
_encode: Final = msgspec.json.Encoder().encode


def check_json(text: bytes) -> None:
    """Raises Invalid unless the bytes are JSON that every reader reads alike."""
    try:
        value = _decode(text)
    except msgspec.ValidationError:
        raise not_json("it has a number that is out of range; send it as a string") from None
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise invalid_body(error) from None
    try:
        is_whole = text.count(b":") == _encode(value).count(b":")
    except (OverflowError, ValueError, RecursionError):
        is_whole = False  # an integer beyond 64 bits is read here but not written
    if not is_whole:
        _look_at_every_key(text)


def _look_at_every_key(text: bytes) -> None:
    try:
        json.loads(text, object_pairs_hook=_refuse_duplicates)
    except RecursionError as error:
        raise invalid_body(error) from None
    except ValueError as error:
        raise not_json(str(error)) from None


def _refuse_duplicates(pairs: Sequence[tuple[str, object]]) -> None:
    seen: set[str] = set()
    for name, _ in pairs:
        if name in seen:
            shown = name[:SHOWN_CHARS_MAX]
            raise not_json(f"it has the key {shown!r} twice in one object; send it once")
        seen.add(name)
