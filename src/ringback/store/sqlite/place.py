"""Where the database is: its names, and which files they meant when it was opened.

SQLite keeps writing to a file that was removed, moved or replaced, and nobody would ever find again
what it accepts there. So the names are looked at between each commit and its answers.

That is one stat, of the directory: whatever removes, moves or replaces a file there changes its
modification time, and only then the files themselves are looked at. Such a time has the grain of a
tick of the kernel, so one that is new is not relied on for `GRAIN_S`.

Measured: 2 µs a commit with warm caches and 6 µs right after a sync, of the 200 to 600 µs that a
commit takes; beside an event loop that is always busy it could not be told from noise.

The length of the log is noted after each commit and compared before the next: between commits it
gets shorter only when another program has SQLite copy it into the file, and its index says so then.
"""

import os
import struct
from pathlib import Path
from typing import Final

from ringback.clock import Clock
from ringback.errors import StoreGone

GRAIN_S: Final = 0.05
_WHAT_TO_DO: Final = (
    "nothing is accepted any more; what to save while this process still runs, and how to go on,"
    " is in docs/operations.md"
)
# The head of `<file>-shm` (https://www.sqlite.org/walformat.html, section 2.1).
_INDEX_HEAD: Final = struct.Struct("=14xHI")
_LOG_HEAD_BYTES: Final = 32
_FRAME_HEAD_BYTES: Final = 24

Identity = tuple[int, int]  # device, inode


class Place:
    """Made when the log exists. The writer's thread calls it; `look_at_file` is for any thread."""

    def __init__(self, file: Path, clock: Clock) -> None:
        real = file.resolve()  # a link may point here; SQLite puts the log beside the real file
        self._clock = clock
        self._file = os.fsencode(file)
        self._directory = os.fsencode(real.parent)
        self._log = os.fsencode(f"{real}-wal")
        self._index = os.fsencode(f"{real}-shm")
        self._file_was = _identity(self._file)
        self._log_was = _identity(self._log)
        # SQLite locks the database file, and closing any descriptor of it would drop the locks. It
        # does not lock the log, so a descriptor of our own does no harm.
        self._descriptor = os.open(self._log, os.O_RDONLY)
        self._log_bytes = os.lseek(self._descriptor, 0, os.SEEK_END)
        self._changed_ns = os.stat(self._directory).st_mtime_ns
        self._relied_on_at_s = clock.monotonic() + GRAIN_S

    def before_commit(self) -> None:
        """Raises StoreGone if the log was cut off since the last commit."""
        size = os.lseek(self._descriptor, 0, os.SEEK_END)
        if size < self._log_bytes and not self._is_whole(size):
            raise StoreGone(f"the log of the database (-wal) was cut off; {_WHAT_TO_DO}")

    def after_commit(self) -> None:
        """Raises StoreGone if the file or its log is not under its name now."""
        self._log_bytes = os.lseek(self._descriptor, 0, os.SEEK_END)
        try:
            changed_ns = os.stat(self._directory).st_mtime_ns
        except OSError:
            changed_ns = 0
        if changed_ns != self._changed_ns:
            self._changed_ns = changed_ns
            self._relied_on_at_s = self._clock.monotonic() + GRAIN_S
        if self._relied_on_at_s:
            self._look_at_all()

    def look_at_file(self) -> None:
        """Raises StoreGone if the database file is not under its name now."""
        try:
            found = os.stat(self._file)
        except OSError as error:
            raise StoreGone(
                f"the database file is not in its place any more ({error.strerror}); {_WHAT_TO_DO}"
            ) from None
        if (found.st_dev, found.st_ino) != self._file_was:
            raise StoreGone(f"the database file was replaced by another; {_WHAT_TO_DO}")
        if found.st_size == 0:
            raise StoreGone(f"the database file was emptied; {_WHAT_TO_DO}")

    def has_only_lost_its_log(self) -> bool:
        """Whether the log was removed or replaced, and copying it into the file saves it all."""
        try:
            self.look_at_file()
        except StoreGone:
            return False
        return _identity(self._log) != self._log_was

    def close(self) -> None:
        """Safe to call twice."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _look_at_all(self) -> None:
        is_settled = self._clock.monotonic() >= self._relied_on_at_s
        self.look_at_file()
        if _identity(self._log) != self._log_was:
            raise StoreGone(
                f"the log of the database (-wal) was removed or replaced; {_WHAT_TO_DO}"
            )
        if is_settled:
            self._relied_on_at_s = 0.0

    def _is_whole(self, size: int) -> bool:
        """Whether the log holds every frame that its index counts."""
        try:
            with open(self._index, "rb") as index:
                page_bytes, frames = _INDEX_HEAD.unpack(index.read(_INDEX_HEAD.size))
        except (OSError, struct.error):
            return False
        page_bytes = 65_536 if page_bytes == 1 else page_bytes
        needed: int = _LOG_HEAD_BYTES + frames * (_FRAME_HEAD_BYTES + page_bytes)
        return frames == 0 or size >= needed


def _identity(name: bytes) -> Identity | None:
    try:
        found = os.stat(name)
    except OSError:
        return None
    return found.st_dev, found.st_ino
