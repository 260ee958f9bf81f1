"""What `ringback doctor` looks at. Each check says what it saw and, if that is bad, what to do.

Looks only: nothing is created, changed or repaired.
"""

import os
import resource
import shutil
import sqlite3
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final, Literal

from msgspec import Struct

from ringback.config import PREFIX, Settings
from ringback.database import sqlite_path
from ringback.errors import RingbackError

Level = Literal["ok", "warn", "fail"]

FREE_BYTES_WARN: Final = 1024**3
FREE_BYTES_FAIL: Final = 100 * 1024**2
HS256_BYTES_MIN: Final = 32
CHECKED_BYTES_MAX: Final = 4 * 1024**3
RELEASED_MS: Final = 1_790_000_000_000
# Variables that are ours and not settings.
OTHER_VARIABLES: Final = frozenset({"RINGBACK_CONFIG", "RINGBACK_URL", "RINGBACK_TOKEN"})


class Finding(Struct, frozen=True):
    level: Level
    subject: str
    detail: str


def environment(variables: Mapping[str, str]) -> Iterable[Finding]:
    """Variables that look like settings and are none: usually a misspelling."""
    known = {PREFIX + name.upper() for name in Settings.__struct_fields__}
    unknown = sorted(
        name
        for name in variables
        if name.startswith(PREFIX)
        and name.removesuffix("_FILE") not in known
        and name not in OTHER_VARIABLES
    )
    for name in unknown:
        yield Finding("warn", "environment", f"{name} is no setting; `ringback config` lists all")


def secrets(settings: Settings, *, has_dev_secret: bool) -> Iterable[Finding]:
    """Whether tokens can be made, and whether secrets are sealed."""
    size = len(settings.jwt_secret.encode())
    if size >= HS256_BYTES_MIN:
        yield Finding("ok", "jwt_secret", "set")
    elif size:
        yield Finding(
            "warn",
            "jwt_secret",
            f"has {size} bytes and can be guessed; make a new one: openssl rand -base64 32",
        )
    elif has_dev_secret:
        yield Finding("ok", "jwt_secret", "that of `ringback dev` in this directory")
    else:
        yield Finding("fail", "jwt_secret", "not set; make one: openssl rand -base64 32")
    if settings.main_secret:
        yield Finding("ok", "main_secret", "set: endpoint secrets are sealed in the database")
    else:
        yield Finding(
            "warn",
            "main_secret",
            "not set: whoever reads the database or a backup can sign as you;"
            " set it to the output of: openssl rand -base64 32",
        )


def database(settings: Settings) -> Iterable[Finding]:
    """The file, whether it is sound, and whether there is room for more."""
    path = sqlite_path(settings).absolute()
    if not path.parent.is_dir():
        yield Finding("fail", "database", f"the directory {path.parent} is missing; create it")
        return
    if not path.exists():
        yield _new_database(path)
    else:
        yield _sound(path)
    yield _room(path.parent)


def clock(now_ms: int) -> Finding:
    if now_ms < RELEASED_MS:
        return Finding("fail", "clock", "it is years behind; receivers refuse what it signs")
    return Finding("ok", "clock", "plausible; with --url it is compared with the receiver's")


def open_files(settings: Settings) -> Finding:
    """A socket for each attempt, each kept connection and each caller."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = settings.inflight_max + settings.connections_idle_max + 1_000
    if hard != resource.RLIM_INFINITY and hard < wanted:
        return Finding(
            "warn",
            "open files",
            f"the limit is {hard}, the settings may need {wanted}: raise it (ulimit -Hn,"
            " LimitNOFILE=) or lower inflight_max and connections_idle_max",
        )
    return Finding("ok", "open files", "enough may be open")


def _new_database(path: Path) -> Finding:
    if not os.access(path.parent, os.W_OK):
        return Finding("fail", "database", f"{path.parent} cannot be written; check its owner")
    return Finding("ok", "database", f"{path} does not exist yet; the first start creates it")


def _sound(path: Path) -> Finding:
    from ringback.store.sqlite.migrate import status

    try:
        pending = [state for state in status(path) if state.applied_at_ms is None]
        complaint = _damage(path)
    except RingbackError as error:
        return Finding("fail", "database", str(error))
    if complaint is not None:
        return Finding("fail", "database", f"{path} is damaged ({complaint}); restore a backup")
    if pending:
        return Finding("ok", "database", f"{path}: {len(pending)} migrations at the next start")
    return Finding("ok", "database", f"{path}: sound, up to date")


def _damage(path: Path) -> str | None:
    """What SQLite's quick check finds first. Reads the whole file, so not for giant ones."""
    from ringback.store.sqlite.file import open_for_reading

    if path.stat().st_size > CHECKED_BYTES_MAX:
        return None
    connection = open_for_reading(path)
    try:
        (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.DatabaseError as error:
        return str(error)
    finally:
        connection.close()
    return None if verdict == "ok" else str(verdict)


def _room(directory: Path) -> Finding:
    free = shutil.disk_usage(directory).free
    level: Level = "ok"
    if free < FREE_BYTES_WARN:
        level = "fail" if free < FREE_BYTES_FAIL else "warn"
    advice = "" if level == "ok" else "; make room, or nothing is accepted when it is full"
    return Finding(level, "disk", f"{free / 1024**3:.1f} GiB free at {directory}{advice}")
