"""Query strings into typed values."""

import re
from collections.abc import Mapping
from typing import Final, TypeVar
from urllib.parse import parse_qsl

import msgspec
from msgspec import Struct

from ringback.api.errors import invalid_query
from ringback.errors import BadRequest

T = TypeVar("T", bound=Struct)

PARAMETERS_MAX: Final = 300
_LISTED: Final = re.compile(r"(?P<name>event_types)(\[\d*\])?")
_MOMENTS: Final = frozenset({"before", "after", "since", "until"})


def parse_query(query: bytes, shape: type[T]) -> T:
    """The query as `shape`; unknown parameters are ignored. Raises BadRequest or Invalid."""
    if not query:
        return shape()
    try:
        return msgspec.convert(_values(query, shape), shape, strict=False)
    except msgspec.ValidationError as error:
        raise invalid_query(error) from None


def _values(query: bytes, shape: type[Struct]) -> Mapping[str, object]:
    try:
        pairs = parse_qsl(query.decode("latin-1"), max_num_fields=PARAMETERS_MAX)
    except ValueError:
        raise BadRequest(
            f"The query has more than {PARAMETERS_MAX} parameters; send fewer."
        ) from None
    single: dict[str, object] = {}
    listed: dict[str, list[str]] = {}
    for name, value in pairs:
        if match := _LISTED.fullmatch(name):
            listed.setdefault(match["name"], []).extend(filter(None, value.split(",")))
        elif name in shape.__struct_fields__:
            single[name] = _mended(name, value)
    return {**single, **{name: values for name, values in listed.items() if values}}


def _mended(name: str, value: str) -> str:
    """A `+` of an offset that was not percent-encoded has become a space."""
    return value.replace(" ", "+") if name in _MOMENTS else value
