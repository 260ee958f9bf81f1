"""What SQLite reports, in our words. Nothing else in the project catches a `sqlite3.Error`."""

import sqlite3
from typing import Final

from ringback.errors import StoreCorrupt, StoreError, StoreUnavailable

_CORRUPT: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_NO_TEXT: Final = "Could not decode to UTF-8"  # the sqlite3 module's own, without a code
_WHAT_TO_DO: Final = {
    sqlite3.SQLITE_FULL: "the disk is full; make room, then it goes on by itself",
    sqlite3.SQLITE_IOERR: "the disk reports an error; check the volume and the kernel log",
    sqlite3.SQLITE_BUSY: "another program holds a lock; close whatever else has the file open",
    sqlite3.SQLITE_LOCKED: "another program holds a lock; close whatever else has the file open",
    sqlite3.SQLITE_READONLY: "the file may not be written; check its owner, mode and volume",
    sqlite3.SQLITE_CANTOPEN: "the file cannot be opened; check that its directory is there",
    sqlite3.SQLITE_PERM: "access is denied; check the owner and mode of the file",
    sqlite3.SQLITE_NOMEM: "memory is used up; give the process more",
    sqlite3.SQLITE_PROTOCOL: "the file's locks do not work; keep it on a local disk",
    sqlite3.SQLITE_INTERRUPT: "reading took too long; narrow the time range that is asked for",
}


def translated(error: sqlite3.Error) -> StoreError | sqlite3.Error:
    """The StoreError for a fault of the database, or `error` itself for a mistake of ours."""
    code = _code(error)
    if code in _CORRUPT or str(error).startswith(_NO_TEXT):
        return StoreCorrupt(
            f"the database is damaged ({error}); `ringback doctor` says more:"
            " stop the service and restore a backup"
        )
    if what_to_do := _WHAT_TO_DO.get(code):
        return StoreUnavailable(f"the database cannot be used just now ({error}): {what_to_do}")
    return error


def is_late(error: sqlite3.Error) -> bool:
    """Whether a read was ended because it took too long, which says nothing of the database."""
    return _code(error) == sqlite3.SQLITE_INTERRUPT


def is_locked(error: sqlite3.Error) -> bool:
    """Whether somebody else is writing just now."""
    return _code(error) == sqlite3.SQLITE_BUSY


def spoils_transaction(error: sqlite3.Error) -> bool:
    """Whether the whole transaction is lost, rather than one statement of it."""
    return translated(error) is not error


def _code(error: sqlite3.Error) -> int:
    return (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF
