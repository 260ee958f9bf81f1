"""The query files, each loaded once: `queries/<verb>_<noun>.sql`, and what is filled into them.

Values are `$1`, `$2`, …; many rows are written as arrays, one a column. One mark may stand in a
query: `/* direction */` becomes ASC or DESC.
"""

from functools import cache
from importlib.resources import files
from typing import Final

import msgspec

_DIRECTION: Final = "/* direction */"

Row = tuple[str | int | float | bytes | None, ...]


@cache
def query(name: str) -> str:
    """The text of a query that needs nothing filled in."""
    return (files(__package__) / "queries" / f"{name}.sql").read_text()


@cache
def directed(name: str, is_descending: bool) -> str:
    return query(name).replace(_DIRECTION, "DESC" if is_descending else "ASC")


def as_json(values: object) -> str:
    """What a JSON column holds."""
    return msgspec.json.encode(values).decode()
