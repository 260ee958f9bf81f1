"""The query files, each loaded once: `queries/<verb>_<noun>.sql`, and what is filled into them.

Two marks may stand in a query:

    /* rows */ (?, ?)    becomes as many rows as are written together
    /* direction */      becomes ASC or DESC

Rows are written with as few statements as possible rather than one by one, because each step of a
statement gives the interpreter lock away, and a busy event loop takes its time to give it back. The
number of rows of a statement is a power of two, so that few texts are prepared, and kept.
"""

import re
import sqlite3
from collections.abc import Iterator, Sequence
from functools import cache
from importlib.resources import files
from itertools import chain
from typing import Final

import msgspec

ROWS_MAX: Final = 512  # in one statement; × 15 columns stays below SQLite's 32,766 variables
_ROWS: Final = re.compile(r"/\* rows \*/ (\([^)]*\))")
_DIRECTION: Final = "/* direction */"

Row = tuple[str | int | float | bytes | bytearray | None, ...]


@cache
def query(name: str) -> str:
    """The text of a query that needs nothing filled in."""
    return (files(__package__) / "queries" / f"{name}.sql").read_text()


@cache
def directed(name: str, is_descending: bool) -> str:
    return query(name).replace(_DIRECTION, "DESC" if is_descending else "ASC")


def insert(connection: sqlite3.Connection, name: str, rows: Sequence[Row]) -> None:
    """Run a query with `/* rows */` for all rows."""
    for start, count in _pieces(len(rows)):
        values = list(chain.from_iterable(rows[start : start + count]))
        connection.execute(_with_rows(name, count), values)


def among(connection: sqlite3.Connection, name: str, keys: Sequence[bytes]) -> list[Row]:
    """All results of a query that looks keys up, `/* rows */ (?)` of them at a time."""
    found: list[Row] = []
    for start, count in _pieces(len(keys)):
        found += connection.execute(_with_rows(name, count), keys[start : start + count])
    return found


def as_json(values: object) -> str:
    """A parameter of `json_each(?)`."""
    return msgspec.json.encode(values).decode()


@cache
def _with_rows(name: str, count: int) -> str:
    return _ROWS.sub(lambda mark: ", ".join([mark[1]] * count), query(name))


def _pieces(total: int) -> Iterator[tuple[int, int]]:
    """Where each piece starts and how long it is: powers of two, the longest first."""
    start = 0
    while start < total:
        count = min(ROWS_MAX, 1 << (total - start).bit_length() - 1)
        yield start, count
        start += count
