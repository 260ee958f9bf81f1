"""Group commit: several transactions of ours as one of SQLite's.

Each is all or nothing by itself, and the results are given out only after the one COMMIT. If the
COMMIT fails, or something that spoils the transaction, nothing of any of them was changed, and all
of them raise. They raise too if the file is not under its name after the COMMIT: what was written
to it is lost with it.
"""

import contextlib
import sqlite3
from collections.abc import Callable, Sequence
from typing import Any

from msgspec import Struct

from ringback.errors import StoreUnavailable
from ringback.store.sqlite.faults import is_locked, spoils_transaction
from ringback.store.sqlite.file import BUSY_TIMEOUT_MS
from ringback.store.sqlite.guard import Guard


class Transaction(Struct, frozen=True):
    """`run` is called with the connection, inside a transaction, and may be called just once.

    `is_checked` promises that it raises only before its first write. That saves the savepoint; a
    broken promise costs the whole group, never its integrity. `rows` is about how many rows it
    writes, 0 when nobody knows.
    """

    run: Callable[[sqlite3.Connection], Any]
    is_checked: bool = False
    rows: int = 0


class Outcome(Struct, frozen=True):
    result: Any = None
    error: BaseException | None = None


class Work(Struct, frozen=True):
    """What came of each transaction, on condition of the COMMIT if that is still `owed`."""

    outcomes: list[Outcome]
    is_owed: bool


class _BrokenPromise(Exception):
    """A checked transaction raised after it had written."""


def commit_together(
    connection: sqlite3.Connection, transactions: Sequence[Transaction], guard: Guard
) -> list[Outcome]:
    """Run and commit; outcomes in order. Never raises an Exception."""
    return commit(connection, _run_together(connection, transactions, guard), guard)


def run_at_once(
    connection: sqlite3.Connection, transactions: Sequence[Transaction], guard: Guard
) -> Work | None:
    """The first half, without waiting: None if another program is writing just now.

    Never raises an Exception.
    """
    try:
        connection.execute("PRAGMA busy_timeout = 0")
        try:
            connection.execute("BEGIN IMMEDIATE")
        finally:
            connection.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
    except sqlite3.Error as error:
        if is_locked(error):
            return None
        return Work(_undone(connection, transactions, error, guard), is_owed=False)
    return _run_together(connection, transactions, guard)


def commit(connection: sqlite3.Connection, work: Work, guard: Guard) -> list[Outcome]:
    """The second half: what waits for the disk. Never raises an Exception."""
    if not work.is_owed:
        return work.outcomes
    try:
        connection.execute("COMMIT")
        guard.after_commit(connection)
    except Exception as error:
        return _undone(connection, work.outcomes, error, guard)
    return work.outcomes


def _run_together(
    connection: sqlite3.Connection, transactions: Sequence[Transaction], guard: Guard
) -> Work:
    """Everything but the COMMIT; begins unless that is done already."""
    try:
        guard.before_commit()
        if not connection.in_transaction:
            connection.execute("BEGIN IMMEDIATE")
        return Work([_run(connection, transaction) for transaction in transactions], is_owed=True)
    except Exception as error:
        return Work(_undone(connection, transactions, error, guard), is_owed=False)


def _run(connection: sqlite3.Connection, transaction: Transaction) -> Outcome:
    if transaction.is_checked:
        return _run_checked(connection, transaction)
    connection.execute("SAVEPOINT one")
    try:
        outcome = Outcome(transaction.run(connection))
    except Exception as error:
        if isinstance(error, sqlite3.Error) and spoils_transaction(error):
            raise
        connection.execute("ROLLBACK TO one")
        outcome = Outcome(error=error)
    connection.execute("RELEASE one")
    return outcome


def _run_checked(connection: sqlite3.Connection, transaction: Transaction) -> Outcome:
    changes = connection.total_changes
    try:
        return Outcome(transaction.run(connection))
    except Exception as error:
        if isinstance(error, sqlite3.Error) and spoils_transaction(error):
            raise
        if connection.total_changes != changes:
            raise _BrokenPromise(transaction) from error
        return Outcome(error=error)


def _undone(
    connection: sqlite3.Connection, parts: Sequence[object], error: Exception, guard: Guard
) -> list[Outcome]:
    """Nothing of the group was changed: what each of its parts is told."""
    _roll_back(connection)
    if isinstance(error, _BrokenPromise):
        undone = StoreUnavailable("the write was undone together with one that failed; try again")
        [culprit] = error.args
        return [Outcome(error=error.__cause__ if one is culprit else undone) for one in parts]
    if isinstance(error, sqlite3.Error):
        in_our_words = guard.noted(error, is_writing=True)
        return [Outcome(error=in_our_words) for _ in parts]
    return [Outcome(error=error) for _ in parts]


def _roll_back(connection: sqlite3.Connection) -> None:
    """SQLite has rolled back by itself after some errors, and not after others.

    Should rolling back fail too, the next BEGIN does, and so on: nothing is written half.
    """
    with contextlib.suppress(sqlite3.Error):
        if connection.in_transaction:
            connection.execute("ROLLBACK")
