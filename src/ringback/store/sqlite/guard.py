"""What stands before every read and write: whether the database may still be used, and for what.

fault        reading      writing
none         yes          yes
damaged      yes          no        what is whole can still be looked at
gone         no           no        the name may mean another file by now
"""

import contextlib
import sqlite3

from ringback.errors import StoreCorrupt, StoreError, StoreGone, StoreUnavailable
from ringback.store.sqlite.faults import is_late, translated
from ringback.store.sqlite.place import Place
from ringback.store.trouble import Trouble


class Guard:
    """`place` is None for a database in memory, which cannot go."""

    def __init__(self, trouble: Trouble, place: Place | None = None) -> None:
        self._trouble = trouble
        self._place = place

    def before_commit(self) -> None:
        """Raises StoreCorrupt or StoreGone."""
        if self._trouble.fault is not None:
            self._refuse()
        if self._place is not None:
            try:
                self._place.before_commit()
            except StoreGone as error:
                self._trouble.condemn(error)
                raise

    def after_commit(self, connection: sqlite3.Connection) -> None:
        """Raises StoreGone: what was committed just now is not kept."""
        if self._place is not None:
            try:
                self._place.after_commit()
            except StoreGone as error:
                if self._trouble.condemn(error) and self._place.has_only_lost_its_log():
                    _save(connection)
                raise
        if self._trouble.hindrance is not None:
            self._trouble.over()

    def before_read(self) -> None:
        """Raises StoreGone."""
        if isinstance(self._trouble.fault, StoreGone):
            self._refuse()
        if self._place is not None:
            try:
                self._place.look_at_file()
            except StoreGone as error:
                self._trouble.condemn(error)
                raise

    def noted(self, error: sqlite3.Error, *, is_writing: bool) -> StoreError | sqlite3.Error:
        """What SQLite reports, in our words, and remembered if it is about the database."""
        in_our_words = translated(error)
        if isinstance(in_our_words, StoreCorrupt):
            self._trouble.condemn(in_our_words)
        elif isinstance(in_our_words, StoreUnavailable) and not is_late(error):
            self._trouble.met(in_our_words, is_writing=is_writing)
        return in_our_words

    def _refuse(self) -> None:
        refusal = self._trouble.refusal()
        if refusal is not None:
            raise refusal


def _save(connection: sqlite3.Connection) -> None:
    """Copy the log, which has no name any more but is still open, into the file."""
    with contextlib.suppress(sqlite3.Error):
        connection.execute("PRAGMA wal_checkpoint(FULL)").fetchall()
