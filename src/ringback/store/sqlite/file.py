"""The database file: who owns it, how it is opened, and a quick look whether it is sound.

One process owns the file. SQLite would let several write, but they would send each other's work:
the owner holds a lock on `<file>.lock` for as long as it lives. The lock, and SQLite's log, need a
local disk; network file systems lose both.
"""

import contextlib
import fcntl
import os
import sqlite3
from pathlib import Path
from typing import Final

from ringback.config import Settings
from ringback.errors import ConfigError, StoreCorrupt, StoreOwned, StoreUnavailable
from ringback.store.sqlite.faults import translated

OLDEST_SQLITE: Final = (3, 38, 0)  # STRICT tables, RETURNING, JSON operators
APPLICATION_ID: Final = 0x52494E47  # "RING": tells our files from other programs'
BUSY_TIMEOUT_MS: Final = 5_000
CHECKPOINT_PAGES: Final = 4_000  # the log is copied into the file when it holds 16 MiB
LOG_BYTES_KEPT: Final = 64 * 1024 * 1024  # a longer log is cut after it was copied
READER_CACHE_BYTES: Final = 2 * 1024 * 1024
STATEMENTS_KEPT: Final = 512  # prepared statements of a connection


class Ownership:
    """The lock on a database file, held until `release` or the end of the process."""

    def __init__(self, path: Path) -> None:
        """Raises StoreOwned, naming the owner, or ConfigError."""
        self._descriptor = os.open(_lock_path(path), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            owner = os.pread(self._descriptor, 20, 0).decode("ascii", "replace").strip()
            os.close(self._descriptor)
            raise StoreOwned(
                f"{path} is owned by process {owner or '?'}; stop that one,"
                " or use PostgreSQL to run several"
            ) from None
        os.truncate(self._descriptor, 0)
        os.pwrite(self._descriptor, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        """Safe to call twice. The lock file stays: removing it would let two processes own it."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def own(path: Path) -> Ownership:
    """Become the owner of the file, creating it if needed."""
    directory = path.parent
    if not directory.is_dir():
        raise ConfigError(f"the database directory {directory} is missing; create it first")
    try:
        ownership = Ownership(path)
    except OSError as error:
        raise StoreUnavailable(
            f"the database directory {directory} cannot be written ({error.strerror});"
            " check its owner and mode"
        ) from None
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    except OSError as error:
        ownership.release()
        raise StoreUnavailable(
            f"the database {path} cannot be written ({error.strerror}); check its owner and mode"
        ) from None
    return ownership


def open_for_writing(path: Path, settings: Settings) -> sqlite3.Connection:
    """A connection that is ready to migrate. Raises StoreCorrupt or StoreUnavailable."""
    connection = connect(str(path))
    try:
        _look(connection, path)
        prepare(connection, cache_bytes=settings.sqlite_cache_bytes)
    except sqlite3.Error as error:
        connection.close()
        raise translated(error) from error
    except BaseException:
        connection.close()
        raise
    return connection


def open_for_reading(path: Path) -> sqlite3.Connection:
    """A connection that cannot write, for who does not own the file.

    Raises ConfigError for another program's file, StoreCorrupt or StoreUnavailable.
    """
    connection = open_beside(path)
    try:
        _look(connection, path)
    except sqlite3.Error as error:
        connection.close()
        raise translated(error) from error
    except BaseException:
        connection.close()
        raise
    return connection


def open_beside(path: Path) -> sqlite3.Connection:
    """The same for the owner, who has looked at the file already. Raises StoreUnavailable."""
    if not path.is_file():
        raise StoreUnavailable(f"there is no database {path}; check the path")
    try:
        connection = connect(f"{path.absolute().as_uri()}?mode=ro")
        connection.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
        connection.execute("PRAGMA query_only = 1")
        connection.execute("PRAGMA temp_store = MEMORY")
        connection.execute(f"PRAGMA cache_size = -{READER_CACHE_BYTES // 1024}")
    except sqlite3.Error as error:
        raise translated(error) from error
    return connection


def connect(place: str) -> sqlite3.Connection:
    if sqlite3.sqlite_version_info < OLDEST_SQLITE:
        raise ConfigError(
            f"SQLite {sqlite3.sqlite_version} is too old: 3.38 is needed;"
            " install a newer Python or use PostgreSQL"
        )
    return sqlite3.connect(
        place,
        isolation_level=None,  # transactions begin where we say
        check_same_thread=False,  # opened here, used by the writer's thread
        cached_statements=STATEMENTS_KEPT,
        uri=place.startswith("file:"),
    )


def prepare(connection: sqlite3.Connection, *, cache_bytes: int) -> None:
    """Make a connection durable and bounded. The first pragmas only take effect in a new file."""
    for pragma in (
        "auto_vacuum = INCREMENTAL",
        f"application_id = {APPLICATION_ID}",
        f"busy_timeout = {BUSY_TIMEOUT_MS}",
        "journal_mode = WAL",
        "synchronous = FULL",
        f"wal_autocheckpoint = {CHECKPOINT_PAGES}",
        f"journal_size_limit = {LOG_BYTES_KEPT}",
        f"cache_size = -{cache_bytes // 1024}",
        "temp_store = MEMORY",
        # No foreign keys: rows outlive what they point to, by design. Deleted content is
        # overwritten where that costs no writes of its own.
        "foreign_keys = OFF",
        "secure_delete = FAST",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _look(connection: sqlite3.Connection, path: Path) -> None:
    """A look at the header, the schema and the size, whatever the size is."""
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    (application_id,) = connection.execute("PRAGMA application_id").fetchone()
    if tables and application_id != APPLICATION_ID:
        raise ConfigError(f"{path} is the database of another program; choose another path")
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    (page_bytes,) = connection.execute("PRAGMA page_size").fetchone()
    if not _has_log(path) and path.stat().st_size < pages * page_bytes:
        raise StoreCorrupt(f"{path} was cut off; restore a backup")


def _has_log(path: Path) -> bool:
    with contextlib.suppress(OSError):
        return Path(f"{path}-wal").stat().st_size > 0
    return False


def _lock_path(path: Path) -> Path:
    return Path(f"{path}.lock")
