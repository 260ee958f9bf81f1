"""Whether the sealed secrets of a SQLite file open. See `store.sealed`."""

import sqlite3
from pathlib import Path

from ringback.config import Settings
from ringback.sign.sealing import Sealer
from ringback.store.sealed import SEALED_MAX, check_main_secret
from ringback.store.sqlite.faults import translated
from ringback.store.sqlite.file import open_for_reading
from ringback.store.sqlite.sql import query


def check_secrets(connection: sqlite3.Connection, sealer: Sealer) -> None:
    """Raises MainSecretNeeded."""
    try:
        rows = connection.execute(query("list_sealed_endpoints"), (SEALED_MAX,)).fetchall()
    except sqlite3.Error as error:
        raise translated(error) from error
    check_main_secret(rows, sealer)


def check_file(path: Path, settings: Settings) -> None:
    """The same for a file that a service may have open."""
    connection = open_for_reading(path)
    try:
        check_secrets(connection, Sealer(settings.main_secret))
    finally:
        connection.close()
