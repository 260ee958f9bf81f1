"""The query files, each loaded once, and the verbs' only way to them.

A query is `queries/<dialect>/<verb>_<noun>.sql`. PostgreSQL numbers its parameters `$1`, SQLite
`?1`, both from the values of the statement. `/* state */` becomes a State's word where a query has
it, so that the partial indexes, which name states, can serve it.
"""

from functools import cache
from importlib.resources import files
from typing import Any, Final, Literal

from msgspec import Struct

from ringback.receive.inbox.event import State

Dialect = Literal["sqlite", "postgres"]
VERSION: Final = 1
_STATE: Final = "/* state */"


class Statement(Struct, frozen=True):
    """A query by its name, with its values. `state` fills the mark of that name."""

    query: str
    values: tuple[Any, ...] = ()
    state: State | None = None


def ddl(dialect: Dialect | Literal["postgresql"]) -> str:
    """The tables, as a script that may run again and again: for a migration of the app's own.

    In Django: `migrations.RunSQL(ddl("postgresql"), reverse_sql="DROP TABLE ringback_inbox, …")`.
    """
    return query("postgres" if dialect == "postgresql" else dialect, "create_tables")


@cache
def query(dialect: Dialect, name: str, state: State | None = None) -> str:
    text = (files(__package__) / "queries" / dialect / f"{name}.sql").read_text()
    return text.replace(_STATE, f"'{state}'") if state else text


def text_of(dialect: Dialect, statement: Statement) -> str:
    return query(dialect, statement.query, statement.state)
