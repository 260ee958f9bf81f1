"""A copy of the database while the service runs: by the service or by another process.

The whole copy is of one instant. SQLite's log cannot be reset meanwhile, so it grows by what is
written during the backup, and shrinks again afterwards.
"""

import os
import sqlite3
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

from ringback.errors import ConfigError, StoreCorrupt, StoreUnavailable
from ringback.store.sqlite.faults import translated
from ringback.store.sqlite.file import connect, open_for_reading

PAGES_PER_STEP: Final = 256  # 1 MiB


def back_up(
    source: str | Path,
    target: str | Path,
    *,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Write a checked copy of `source` to `target`, which must not exist.

    The copy appears under its name only when it is whole, sound and on the disk. `progress` is
    called with the pages left and the pages in all. Blocks; call it in a thread.

    Raises ConfigError, StoreUnavailable, or StoreCorrupt when the copy does not pass the check.
    """
    target = Path(target)
    if target.exists():
        raise ConfigError(f"{target} exists; a backup overwrites nothing, choose another name")
    try:
        descriptor, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    except OSError as error:
        raise StoreUnavailable(
            f"the backup directory {target.parent} cannot be written ({error.strerror})"
        ) from None
    os.close(descriptor)
    try:
        _copy(Path(source), name, progress)
        _check(name)
        _publish(name, target)
    except sqlite3.Error as error:
        raise translated(error) from error
    finally:
        Path(name).unlink(missing_ok=True)


def _copy(source: Path, name: str, progress: Callable[[int, int], None] | None) -> None:
    def report(_status: int, left: int, total: int) -> None:
        if progress is not None:
            progress(left, total)

    reader = open_for_reading(source)
    copy = connect(name)
    try:
        # Inside one read transaction, or each write to the source would start the copy again.
        reader.execute("BEGIN")
        reader.execute("PRAGMA schema_version").fetchall()
        reader.backup(copy, pages=PAGES_PER_STEP, progress=report, sleep=0)
        copy.execute("PRAGMA journal_mode = DELETE")  # one file, without a log beside it
    finally:
        copy.close()
        reader.close()


def _check(name: str) -> None:
    copy = connect(name)
    try:
        findings = [row[0] for row in copy.execute("PRAGMA integrity_check(10)")]
    finally:
        copy.close()
    if findings != ["ok"]:
        raise StoreCorrupt(f"the copy is damaged, and so is the database: {'; '.join(findings)}")


def _publish(name: str, target: Path) -> None:
    """Make the copy durable and give it its name, if that is still free."""
    _sync(name)
    try:
        os.link(name, target)
    except FileExistsError:
        raise ConfigError(f"{target} exists; a backup overwrites nothing") from None
    _sync(target.parent)


def _sync(path: str | Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
