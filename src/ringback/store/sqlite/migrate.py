"""Applying migrations to a SQLite file: each in one transaction, under the owner's lock."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

from ringback.clock import Clock
from ringback.config import Settings
from ringback.store.migrate import Applied, Migration, State, known, pending, states
from ringback.store.sqlite.faults import translated
from ringback.store.sqlite.file import open_for_reading, open_for_writing, own
from ringback.store.sqlite.sql import query


def up(path: str | Path, settings: Settings, clock: Clock) -> list[State]:
    """Bring a database up to date, creating it if needed; returns what it then has.

    Raises StoreOwned while a service runs, SchemaMismatch, StoreCorrupt or StoreUnavailable.
    """
    ownership = own(Path(path))
    try:
        connection = open_for_writing(Path(path), settings)
        try:
            migrate(connection, now_ms=clock.now_ms())
            return states(known(__package__), _applied(connection))
        finally:
            connection.close()
    finally:
        ownership.release()


def status(path: str | Path) -> list[State]:
    """What a database has and lacks. Works while a service runs."""
    connection = open_for_reading(Path(path))
    try:
        return states(known(__package__), _applied(connection))
    except sqlite3.Error as error:
        raise translated(error) from error
    finally:
        connection.close()


def migrate(connection: sqlite3.Connection, *, now_ms: int) -> None:
    """Apply what is missing. What fails leaves the database as it was before that migration."""
    try:
        for migration in pending(known(__package__), _applied(connection)):
            _apply(connection, migration, now_ms=now_ms)
    except sqlite3.Error as error:
        raise translated(error) from error


def _apply(connection: sqlite3.Connection, migration: Migration, *, now_ms: int) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        connection.execute(query("create_migration_table"))
        for statement in _statements(migration.text):
            connection.execute(statement)
        values = (migration.number, migration.name, migration.checksum, now_ms)
        connection.execute(query("insert_migration"), values)
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def _applied(connection: sqlite3.Connection) -> list[Applied]:
    if connection.execute(query("find_migration_table")).fetchone() is None:
        return []
    return [Applied(*row) for row in connection.execute(query("read_migrations"))]


def _statements(text: str) -> Iterator[str]:
    """A script statement by statement; running a script as a whole would end the transaction."""
    statement = ""
    for line in text.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
