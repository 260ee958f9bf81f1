"""Which store a `database` setting means, and where its file is.

Owns the reading of the URL. The concrete store is imported when it is opened, not before.
"""

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ringback.config import Settings, masked
from ringback.errors import ConfigError

if TYPE_CHECKING:
    from ringback.clock import Clock
    from ringback.store.port import Store

SQLITE: Final = "sqlite:///"
POSTGRES: Final = ("postgresql://", "postgres://")


async def open_database(settings: Settings, clock: "Clock") -> "Store":
    """The store that the settings name. Raises ConfigError and whatever opening a store raises."""
    if is_postgres(settings):
        check_url(settings)
        from ringback.store.postgres.store import open_store as open_postgres

        return await open_postgres(settings, clock)
    path = sqlite_path(settings)
    from ringback.store.sqlite.store import open_store

    return await open_store(path, settings, clock)


def is_postgres(settings: Settings) -> bool:
    """Whether the database is a PostgreSQL server, rather than a SQLite file."""
    return settings.database.startswith(POSTGRES)


def check_url(settings: Settings) -> None:
    """Raises ConfigError if the URL means no database, or its driver is not installed."""
    if not is_postgres(settings):
        sqlite_path(settings)
    elif find_spec("asyncpg") is None:
        raise ConfigError(
            "database: PostgreSQL needs a driver that is not installed;"
            " pip install 'ringback[postgres]'"
        )


def sqlite_path(settings: Settings) -> Path:
    """The SQLite file, for what works on a file.

    Three slashes and a relative path, or four and an absolute one. What follows the third slash is
    the path as it is: nothing is unquoted, `?` and `#` mean nothing. Raises ConfigError.
    """
    url = settings.database
    if url.startswith(POSTGRES):
        raise ConfigError(
            "database: this works on the file of SQLite only; for PostgreSQL use the server's own"
            " tools, such as pg_dump"
        )
    if url.startswith(("postgres:", "postgresql:")):
        raise ConfigError(
            f"database: {masked(url)!r} is not a database URL; write"
            " postgresql://USER:PASSWORD@HOST:5432/NAME"
        )
    name = url.removeprefix(SQLITE)
    if name == url:
        raise ConfigError(
            f"database: {masked(url)!r} is not a database URL; write sqlite:///ringback.db for a"
            " file here, or sqlite:////var/lib/ringback/ringback.db for one elsewhere"
        )
    if not name or name.startswith(":memory:") or "\0" in name:
        raise ConfigError(
            f"database: {url!r} names no file, and what is accepted must survive a restart;"
            " write sqlite:///ringback.db"
        )
    return Path(name)
