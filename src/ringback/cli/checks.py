"""What `ringback doctor` looks at. Each check says what it saw and, if that is bad, what to do.

Looks only: nothing is created, changed or repaired.
"""

import asyncio
import os
import resource
import shutil
import sqlite3
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final, Literal

from msgspec import Struct

from ringback.clock import Clock
from ringback.config import Settings, masked, unknown_variables, weakness_of_key
from ringback.database import check_url, is_postgres, sqlite_path
from ringback.errors import MainSecretNeeded, RingbackError, StoreCorrupt

Level = Literal["ok", "warn", "fail"]

FREE_BYTES_WARN: Final = 1024**3
FREE_BYTES_FAIL: Final = 100 * 1024**2
CHECK_S_MAX: Final = 30.0  # reading holds back the log of a running service
STEPS_PER_LOOK: Final = 10_000  # virtual machine instructions of SQLite
SOUND: Final = "ok"
UNFINISHED: Final = "not finished"
RELEASED_MS: Final = 1_790_000_000_000


class Finding(Struct, frozen=True):
    level: Level
    subject: str
    detail: str


def environment(variables: Mapping[str, str]) -> Iterable[Finding]:
    """Variables that look like settings and are none: usually a misspelling."""
    for name, why in unknown_variables(variables).items():
        yield Finding("warn", "environment", f"{name}: {why}")


def secrets(settings: Settings, *, has_dev_secret: bool) -> Iterable[Finding]:
    """Whether tokens can be made, and whether secrets are sealed."""
    if weakness := settings.jwt_secret and weakness_of_key(settings):
        yield Finding("warn", "jwt_secret", weakness.removeprefix("jwt_secret "))
    elif settings.jwt_secret:
        yield Finding("ok", "jwt_secret", "set")
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
    """The file, whether it is sound, and whether there is room for more; or the server."""
    if is_postgres(settings):
        yield _server(settings)
        return
    path = sqlite_path(settings).absolute()
    if not path.parent.is_dir():
        yield Finding("fail", "database", f"the directory {path.parent} is missing; create it")
        return
    if not path.exists():
        yield _new_database(path)
    else:
        yield _sound(path)
    yield _room(path.parent)


def sealed(settings: Settings) -> Iterable[Finding]:
    """Something only when what is sealed in the database needs another main secret."""
    try:
        if is_postgres(settings):
            check_url(settings)
            from ringback.store.postgres.sealed import check_database

            asyncio.run(check_database(settings))
        elif (path := sqlite_path(settings)).exists():
            from ringback.store.sqlite.sealed import check_file

            check_file(path, settings)
    except MainSecretNeeded as error:
        yield Finding("fail", "main_secret", str(error))
    except RingbackError:
        return  # told by the check of the database


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


def _server(settings: Settings) -> Finding:
    try:
        check_url(settings)
        from ringback.store.postgres.migrate import status

        states = asyncio.run(status(settings))
    except RingbackError as error:
        return Finding("fail", "database", str(error))
    pending = sum(state.applied_at_ms is None for state in states)
    state = f"{pending} migrations at the next start" if pending else "up to date"
    return Finding("ok", "database", f"{masked(settings.database)}: answers, {state}")


def _new_database(path: Path) -> Finding:
    if not os.access(path.parent, os.W_OK):
        return Finding("fail", "database", f"{path.parent} cannot be written; check its owner")
    return Finding("ok", "database", f"{path} does not exist yet; the first start creates it")


def _sound(path: Path) -> Finding:
    from ringback.store.sqlite.migrate import status

    try:
        pending = [state for state in status(path) if state.applied_at_ms is None]
        verdict = _verdict(path, Clock())
    except StoreCorrupt as error:
        why = str(error) if error.__cause__ is None else _damaged(path, error.__cause__)
        return Finding("fail", "database", why)
    except RingbackError as error:
        return Finding("fail", "database", str(error))
    state = f"{len(pending)} migrations at the next start" if pending else "up to date"
    if verdict == UNFINISHED:
        return Finding(
            "warn",
            "database",
            f"{path}: {state}; no damage was found in {CHECK_S_MAX:.0f} s, but not all of it was"
            " checked: `ringback backup` makes a copy and checks that whole",
        )
    if verdict != SOUND:
        return Finding("fail", "database", _damaged(path, verdict))
    return Finding("ok", "database", f"{path}: sound, {state}")


def _damaged(path: Path, why: object) -> str:
    return f"{path} is damaged ({why}); restore a backup"


def _verdict(path: Path, clock: Clock) -> str:
    """SOUND, UNFINISHED after `CHECK_S_MAX`, or the first damage that SQLite's quick check finds.

    A quick check reads every page; that an index agrees with its table is not compared.
    """
    from ringback.store.sqlite.file import open_for_reading

    ends_at_s = clock.monotonic() + CHECK_S_MAX
    connection = open_for_reading(path)
    try:
        connection.set_progress_handler(lambda: clock.monotonic() >= ends_at_s, STEPS_PER_LOOK)
        (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.DatabaseError as error:
        is_late = getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_INTERRUPT
        return UNFINISHED if is_late else str(error)
    finally:
        connection.close()
    return str(verdict)


def _room(directory: Path) -> Finding:
    free = shutil.disk_usage(directory).free
    level: Level = "ok"
    if free < FREE_BYTES_WARN:
        level = "fail" if free < FREE_BYTES_FAIL else "warn"
    advice = "" if level == "ok" else "; make room, or nothing is accepted when it is full"
    return Finding(level, "disk", f"{free / 1024**3:.1f} GiB free at {directory}{advice}")
