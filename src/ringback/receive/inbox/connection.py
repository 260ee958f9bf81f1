"""Any connection of the app's: which database it speaks to, and how our statements run on it.

Takes DB-API connections (sqlite3, psycopg 3, psycopg2), SQLAlchemy's connections and sessions, and
Django's. Nothing of them is imported: a connection is known by how it looks.
"""

import re
import sqlite3
from functools import cache
from typing import Any, Final

from ringback.errors import ConfigError
from ringback.receive.inbox.driver import Rows
from ringback.receive.inbox.sql import Dialect, Statement, text_of

_PARAMETER: Final = re.compile(r"\$([0-9]+)")


def raw(connection: Any) -> Any:
    """The DB-API connection behind a connection of Django or SQLAlchemy, else itself."""
    if hasattr(connection, "ensure_connection"):  # Django
        connection.ensure_connection()
        return connection.connection
    inner = getattr(connection, "connection", None)
    if callable(inner):  # a session of SQLAlchemy
        inner = getattr(inner(), "connection", None)
    return getattr(inner, "dbapi_connection", None) or connection


def dialect_of(connection: Any) -> Dialect:
    """Of a raw connection. Raises ConfigError."""
    if isinstance(connection, sqlite3.Connection):
        return "sqlite"
    names = {kind.__module__.partition(".")[0] for kind in type(connection).__mro__}
    if names & {"psycopg", "psycopg2"}:
        return "postgres"
    raise ConfigError(
        f"the inbox cannot use a {type(connection).__module__}.{type(connection).__qualname__};"
        " give it a connection of sqlite3, psycopg or psycopg2, of SQLAlchemy or of Django"
    )


def execute(connection: Any, dialect: Dialect, statement: Statement) -> Rows:
    """Run on a raw connection, in whatever transaction it has."""
    text = text_of(dialect, statement)
    cursor = connection.cursor()
    try:
        if dialect == "sqlite":
            cursor.execute(text, statement.values)
        else:
            named = {f"p{place}": value for place, value in enumerate(statement.values, 1)}
            cursor.execute(_named(text), named)
        rows: Rows = [tuple(row) for row in cursor.fetchall()] if cursor.description else []
        return rows
    finally:
        cursor.close()


def execute_script(connection: Any, dialect: Dialect, text: str) -> None:
    """Statement by statement, because not every driver takes several at once."""
    cursor = connection.cursor()
    try:
        for part in _without_comments(text).split(";"):
            if part.strip():
                cursor.execute(part)
    finally:
        cursor.close()


@cache
def _named(text: str) -> str:
    return _PARAMETER.sub(r"%(p\1)s", text)


def _without_comments(text: str) -> str:
    return "\n".join(line for line in text.splitlines() if not line.startswith("--"))
