"""The one check of a payload: it is kept byte for byte, so it must mean the same to every reader.

Refused is what readers disagree about or choke on: a duplicate key (the first wins here, the last
there), a number beyond every type, half of a surrogate pair, bytes that are not UTF-8.

The check for duplicate keys costs about a microsecond: structural colons of the text are as many as
its keys, so a text that has more colons than its decoded value encodes to has lost a key on the
way. Only then is every key looked at.
"""

import json
from collections.abc import Sequence
from typing import Final

import msgspec

from ringback.api.errors import not_json
from ringback.errors import Invalid

SHOWN_CHARS_MAX: Final = 40
_decode: Final = msgspec.json.Decoder().decode
_encode: Final = msgspec.json.Encoder().encode

PLACE: Final = ("body", "payload")


def check_payload(payload: bytes) -> None:
    """Raises Invalid unless the bytes are a JSON object that every reader reads alike.

    They are known to be well-formed JSON but for their strings' encoding.
    """
    if payload[:1] != b"{":
        raise Invalid("the payload must be a JSON object, like {}", loc=PLACE)
    try:
        value = _decode(payload)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise _refused(error) from None
    try:
        is_whole = payload.count(b":") == _encode(value).count(b":")
    except RecursionError:
        is_whole = False  # reading it just went well, writing it takes one level more
    if not is_whole:
        _look_at_every_key(payload)


def _refused(error: Exception) -> Invalid:
    match error:
        case UnicodeDecodeError():
            return Invalid(
                "the payload has bytes that are not UTF-8; encode the text as UTF-8", loc=PLACE
            )
        case msgspec.ValidationError():
            return Invalid(
                "the payload has a number that is out of range; send it as a string", loc=PLACE
            )
        case RecursionError():
            return not_json("the payload is nested too deeply; flatten it")
        case _:
            return not_json(f"in the payload, {error}")


def _look_at_every_key(payload: bytes) -> None:
    try:
        json.loads(payload, object_pairs_hook=_refuse_duplicates)
    except (ValueError, RecursionError) as error:
        raise not_json(f"in the payload, {error}") from None


def _refuse_duplicates(pairs: Sequence[tuple[str, object]]) -> None:
    seen: set[str] = set()
    for name, _ in pairs:
        if name in seen:
            shown = name[:SHOWN_CHARS_MAX]
            raise Invalid(
                f"the payload has the key {shown!r} twice in one object; send it once", loc=PLACE
            )
        seen.add(name)
