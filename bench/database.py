"""Where a server under test keeps what it stores: a fresh place each start, unless one is named."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from msgspec import Struct

from bench.postgres import Cluster, Postgres, running

FILE: Final = "bench.db"


class Database(Struct, frozen=True):
    """`place` is a directory for logs and, with SQLite, for the file."""

    url: str
    place: Path
    file: Path | None = None
    postgres: Postgres | None = None


@asynccontextmanager
async def opened(url: str = "", cluster: Cluster | None = None) -> AsyncIterator[Database]:
    """A database of `cluster`, else the one at `url`, else a SQLite file; ours end with it."""
    with TemporaryDirectory(prefix="ringback-bench-") as made:
        place = Path(made)
        if cluster is not None:
            async with cluster.database() as postgres:
                yield Database(postgres.url, place, postgres=postgres)
        elif url.startswith(("postgresql:", "postgres:")):
            yield Database(url, place, postgres=await running(url))
        elif url:
            yield Database(url, place)
        else:
            yield Database(f"sqlite:///{place / FILE}", place, file=place / FILE)
