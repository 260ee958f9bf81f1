"""What PostgreSQL and the way to it report, in our words.

Nothing else in the project looks at an error of asyncpg.
"""

import ssl
from pathlib import Path
from typing import Final
from urllib.parse import parse_qsl, urlsplit

import asyncpg  # type: ignore[import-untyped]

from ringback.config import masked
from ringback.errors import (
    BadRequest,
    ConfigError,
    Fenced,
    SchemaMismatch,
    StoreCorrupt,
    StoreError,
    StoreUnavailable,
)

# The driver's own confusion is one too: it comes when a server says good-bye to an idle connection.
FAULTS: Final = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,
    TimeoutError,
)

_WHAT_TO_DO: Final = {
    "25006": "it takes no writes; connect to the primary, not to a standby",
    "25P03": "this node stood still in the middle of a transaction, which was undone; try again",
    "42501": "rights are missing; GRANT them, or let the owner of the tables run Ringback",
    "53100": "its disk is full; make room, then it goes on by itself",
    "53200": "its memory is used up; give the server more",
    "53300": "it has no connection left; raise max_connections or lower postgres_pool",
    "55P03": "another session holds a lock for long; see pg_stat_activity for it",
    "57014": "a statement took too long; see pg_stat_activity for what keeps the server busy",
    "57P01": "it is being stopped; start it again",
    "57P02": "it crashed and recovers",
    "58030": "its disk reports an error; check the volume and the server's log",
}
_CORRUPT: Final = frozenset({"XX001", "XX002"})
# Serialization failure, deadlock, and a row of a partition that was made while it was on its way.
_AGAIN: Final = frozenset({"40001", "40P01", "23514"})
_UNAVAILABLE_CLASSES: Final = frozenset({"08", "40", "53", "57", "58"})
_MISSING: Final = frozenset({"42P01", "42703", "42883", "3F000"})  # table, column, function, schema
# Table, function, type or operator, schema: only migrations and partitions make any.
_IN_THE_WAY: Final = frozenset({"42P07", "42723", "42710", "42P06"})
_STARTING: Final = "57P03"
_FENCED: Final = "RB001"  # raised by `hold_lease` in the schema
_TEXT_REFUSED: Final = "22021"
_TLS_FILES: Final = frozenset({"sslrootcert", "sslcert", "sslkey", "sslcrl"})
_NO_AUTHORITIES: Final = "root certificate file"  # said by the driver
_OF_THE_SYSTEM: Final = "/etc/ssl/certs/ca-certificates.crt"
_SETTINGS: Final = {
    "28P01": "the password is not right",
    "28000": "the server refuses this user, see its pg_hba.conf",
    "3D000": "there is no such database; create it: CREATE DATABASE …",
}


def translated(error: BaseException) -> BaseException:
    """The StoreError for a fault of the database, or `error` itself for a mistake of ours.

    A text that cannot be kept is a BadRequest.
    """
    if isinstance(error, asyncpg.PostgresError):
        return _of_state(error, error.sqlstate or "")
    return _cut_off(error) if isinstance(error, FAULTS) else error


def fenced() -> Fenced:
    return Fenced("this node's lease is gone; stop sending and join again")


def in_the_way(error: BaseException) -> SchemaMismatch:
    """Something has the name that something of ours should have."""
    return SchemaMismatch(
        f"something of another program is in the way ({_said(error)}); give Ringback a database of"
        " its own: CREATE DATABASE …"
    )


def _of_state(error: BaseException, state: str) -> BaseException:
    fault, said = error, _said(error)
    if state == _FENCED:
        fault = fenced()
    elif state in _CORRUPT:
        fault = StoreCorrupt(
            f"the database is damaged ({said}); stop the service and restore a backup"
        )
    elif state in _MISSING:
        fault = SchemaMismatch(f"the schema is not ours ({said}); run `ringback migrate up`")
    elif state in _IN_THE_WAY:
        fault = in_the_way(error)
    elif state == _TEXT_REFUSED:
        fault = BadRequest("A text holds the character NUL, which cannot be kept; take it out")
    elif state == _STARTING:  # the server says in many words how far it is
        fault = StoreUnavailable("the database is starting or stopping; try again")
    elif what_to_do := _WHAT_TO_DO.get(state):
        fault = StoreUnavailable(f"the database cannot be used just now ({said}): {what_to_do}")
    elif state[:2] in _UNAVAILABLE_CLASSES:
        fault = StoreUnavailable(f"the database cannot be used just now ({said}); try again")
    return fault


def is_worth_repeating(error: BaseException) -> bool:
    """Whether the transaction was rolled back only because of another one."""
    return isinstance(error, asyncpg.PostgresError) and error.sqlstate in _AGAIN


def is_lost(error: BaseException) -> bool:
    """Whether the connection broke, so that nobody knows if what was under way was committed."""
    if isinstance(error, asyncpg.PostgresError):
        code = error.sqlstate or ""
        return code[:2] == "08" or code in {"25P03", "57P01", "57P02", "57P03"}
    return isinstance(error, FAULTS)


def may_be_committed(error: StoreUnavailable) -> bool:
    """Whether something was sent and the answer is missing."""
    return error.__cause__ is not None and is_lost(error.__cause__)


def is_on_standby(error: BaseException) -> bool:
    """Whether the server takes no writes (any more): another one may."""
    return isinstance(error, asyncpg.ReadOnlySQLTransactionError)


def is_other_table(error: BaseException) -> bool:
    """Whether a table has not the columns that it would have if it were ours."""
    return isinstance(error, asyncpg.UndefinedColumnError)


def is_taken(error: BaseException) -> bool:
    """Whether what is to be made exists already."""
    return isinstance(error, asyncpg.UniqueViolationError | asyncpg.DuplicateTableError)


def is_locked(error: BaseException) -> bool:
    """Whether somebody else held a lock for longer than we wanted to wait."""
    return isinstance(error, asyncpg.LockNotAvailableError)


def is_forbidden(error: BaseException) -> bool:
    """Whether this user lacks rights."""
    return isinstance(error, asyncpg.InsufficientPrivilegeError)


def standby(url: str) -> StoreUnavailable:
    """A server that answers, and takes no writes."""
    return StoreUnavailable(
        f"{masked(url).partition('?')[0]} takes no writes; connect to the primary, or promote it"
    )


def unreachable(error: BaseException, url: str) -> StoreError | ConfigError:
    """Why there is no connection. Never shows the password."""
    where = masked(url).partition("?")[0]
    if isinstance(error, asyncpg.PostgresError):
        if why := _SETTINGS.get(error.sqlstate or ""):
            return ConfigError(f"database: {where}: {why} ({_said(error)})")
        fault = translated(error)
        if isinstance(fault, StoreError):
            return fault
    if why := _wrong_with_tls(error, url):
        return ConfigError(f"database: {where}: {why}")
    if isinstance(error, asyncpg.ClientConfigurationError | ValueError) and not isinstance(
        error, OSError
    ):
        # What the driver says may quote a part of the password.
        return ConfigError(
            f"database: {where} cannot be understood; write postgresql://USER:PASSWORD@HOST:5432/NAME"
            " with special characters of the password as %XX"
        )
    why = _said(error)
    return StoreUnavailable(
        f"no connection to {where} ({why}); is the server running, and does it listen there?"
    )


def _wrong_with_tls(error: BaseException, url: str) -> str:
    """What to do about a certificate, the server's or a file of ours; empty if it is not that."""
    authorities = (
        "name the file of the authorities that you trust: ?sslmode=verify-full&sslrootcert="
    )
    if isinstance(error, ssl.SSLCertVerificationError):  # a ValueError, too
        return f"the server's certificate is refused ({error.verify_message}); {authorities}FILE"
    if isinstance(error, asyncpg.ClientConfigurationError) and _NO_AUTHORITIES in str(error):
        return f"there is nothing to check the server's certificate by; {authorities}FILE"
    if isinstance(error, FileNotFoundError):
        for name, file in parse_qsl(urlsplit(url).query):
            if name in _TLS_FILES and not Path(file).is_file():
                return f"there is no file {file}, which {name} names; {authorities}{_OF_THE_SYSTEM}"
    return ""


def _cut_off(error: BaseException) -> StoreUnavailable:
    return StoreUnavailable(f"the connection to the database broke ({_said(error)}); try again")


def _said(error: BaseException) -> str:
    """The first line; details and hints of the server follow it, and may quote rows."""
    return next(iter(str(error).splitlines()), "") or type(error).__name__
