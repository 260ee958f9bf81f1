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
from ringback.store.sqlite.faults import spoils_transaction
from ringback.store.sqlite.guard import Guard


class Transaction(Struct, frozen=True):
    """`run` is called with the connection, inside a transaction, and may be called just once.

    `is_checked` promises that it raises only before its first write. That saves the savepoint; a
    broken promise costs the whole group, never its integrity.
    """

    run: Callable[[sqlite3.Connection], Any]
    is_checked: bool = False


class Outcome(Struct, frozen=True):
    result: Any = None
    error: BaseException | None = None


class _BrokenPromise(Exception):
    """A checked transaction raised after it had written."""


def commit_together(
    connection: sqlite3.Connection, transactions: Sequence[Transaction], guard: Guard
) -> list[Outcome]:
    """Run and commit; outcomes in order. Never raises an Exception."""
    try:
        guard.before_commit()
        connection.execute("BEGIN IMMEDIATE")
        outcomes = [_run(connection, transaction) for transaction in transactions]
        connection.execute("COMMIT")
        guard.after_commit(connection)
    except sqlite3.Error as error:
        _roll_back(connection)
        in_our_words = guard.noted(error, is_writing=True)
        return [Outcome(error=in_our_words) for _ in transactions]
    except _BrokenPromise as broken:
        _roll_back(connection)
        return _undone(transactions, broken)
    except Exception as error:
        _roll_back(connection)
        return [Outcome(error=error) for _ in transactions]
    return outcomes


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


def _undone(transactions: Sequence[Transaction], broken: _BrokenPromise) -> list[Outcome]:
    undone = StoreUnavailable("the write was undone together with one that failed; try again")
    [culprit] = broken.args
    return [
        Outcome(error=broken.__cause__ if transaction is culprit else undone)
        for transaction in transactions
    ]


def _roll_back(connection: sqlite3.Connection) -> None:
    """SQLite has rolled back by itself after some errors, and not after others.

    Should rolling back fail too, the next BEGIN does, and so on: nothing is written half.
    """
    with contextlib.suppress(sqlite3.Error):
        if connection.in_transaction:
            connection.execute("ROLLBACK")
