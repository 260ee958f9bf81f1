"""The inbox inside a transaction of the app's own, on a connection of the app's, without async.

with inbox.transaction(connection) as kept:
    kept.receive(event)                  # in a view of Flask or Django

with inbox.transaction(connection) as kept:
    connection.execute("UPDATE orders …")
    kept.finish(event)                   # in a handler that opens its own transaction
"""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Final

from ringback.clock import Clock
from ringback.errors import ConfigError, InboxUnavailable
from ringback.receive.inbox import statements
from ringback.receive.inbox.answers import not_ours, receipt, unavailable
from ringback.receive.inbox.connection import dialect_of, execute, raw
from ringback.receive.inbox.entry import Entry
from ringback.receive.inbox.event import InboxEvent, Receipt, State
from ringback.sign.event import VerifiedEvent

_OPEN: Final = {1, 2, 3}  # libpq: active, in a transaction, in a failed one

Read = Callable[[VerifiedEvent, str | None], list[Entry]]


class Kept:
    """Made by `Inbox.transaction`. Nothing is certain before that has ended."""

    def __init__(self, connection: Any, *, read: Read, clock: Clock) -> None:
        self._connection = raw(connection)
        self._dialect = dialect_of(self._connection)
        self._read = read
        self._clock = clock

    def receive(self, event: VerifiedEvent, *, source: str | None = None) -> Receipt:
        """Answer 2xx after the end of `with` and not before. Raises as `Inbox.receive` does."""
        entries = self._read(event, source)
        asked = statements.insert(self._dialect, entries, self._clock.now_ms())
        try:
            results = [execute(self._connection, self._dialect, one) for one in asked]
        except Exception as error:
            raise unavailable(error) from error
        return receipt(entries, statements.inserted(results, entries))

    def finish(self, event: InboxEvent) -> None:
        """The event is done if this transaction is committed.

        Raises TransactionEnded if the event is another worker's by now: let it out, so that what
        this handler did is rolled back.
        """
        end = statements.end(event, State.DONE, self._clock.now_ms())
        if not execute(self._connection, self._dialect, end):
            raise not_ours(event)


@contextmanager
def committed(connection: Any) -> Iterator[None]:
    """A transaction around what is inside: committed at its end, rolled back by an exception.

    Inside a transaction of Django's that is already open, its end decides. Raises ConfigError for a
    connection that commits by itself, InboxUnavailable if the end did not commit.
    """
    if _is_django(connection):
        with _atomic(connection):
            yield
        return
    try:
        inner = _begun(connection)
        yield
    except BaseException:
        connection.rollback()
        raise
    try:
        connection.commit()
    except Exception as error:
        raise unavailable(error) from error
    if _is_in_transaction(inner):
        raise InboxUnavailable(
            f"the commit of a {type(connection).__qualname__} did not commit, so the event is not"
            " kept; give the inbox a connection that it may commit"
        )


def _begun(connection: Any) -> Any:
    """The raw connection. SQLite takes its lock at once; PostgreSQL begins by itself."""
    is_begun = getattr(connection, "in_transaction", None)
    if callable(is_begun) and not is_begun():
        connection.begin()  # else SQLAlchemy knows nothing of what we do, and commits nothing
    inner = raw(connection)
    if dialect_of(inner) == "sqlite":
        if not inner.in_transaction:
            inner.execute("BEGIN IMMEDIATE")
    elif inner.autocommit:
        raise ConfigError(
            "the connection commits each statement by itself; turn autocommit off for it"
        )
    return inner


def _is_in_transaction(inner: Any) -> bool:
    """Of a raw connection, which its pool may have closed by now."""
    if isinstance(inner, sqlite3.Connection):
        try:
            return inner.in_transaction
        except sqlite3.ProgrammingError:
            return False
    status = getattr(getattr(inner, "info", None), "transaction_status", 0)
    return int(status) in _OPEN


def _is_django(connection: Any) -> bool:
    return hasattr(connection, "ensure_connection")


def _atomic(connection: Any) -> AbstractContextManager[Any]:
    from django.db import (  # type: ignore[import-untyped,import-not-found,unused-ignore]
        transaction,
    )

    atomic: AbstractContextManager[Any] = transaction.atomic(using=connection.alias)
    return atomic
