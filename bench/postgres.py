"""A PostgreSQL server for the benchmarks, and what it says of its own cost.

`--database postgresql` starts one that waits for the disk at every commit, with a fresh database
for each start of the server under test. A URL names one that runs already: it is used as it is, and
its CPU is known only if it runs on this machine, under a user whose processes we may look at.

CPU is of all processes of the server, so of checkpoints and vacuum too.
"""

import math
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Final

import asyncpg  # type: ignore[import-untyped]
import psutil  # type: ignore[import-untyped]
from msgspec import Struct

from ringback.testing.postgres import PostgresServer, programs

OWN: Final = "postgresql"  # as a database URL: a server of our own
MIB: Final = 1024 * 1024
LOCAL: Final = frozenset({"127.0.0.1", "::1"})
STATEMENTS_LIBRARY: Final = "pg_stat_statements"
SETTINGS: Final = {
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "shared_buffers": "1GB",
    "max_wal_size": "4GB",
    "autovacuum_naptime": "1min",
    "max_connections": "200",
}

COUNTERS: Final = """
    SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::float8, xact_commit::float8
    FROM pg_stat_database WHERE datname = current_database()"""
STATEMENTS: Final = """
    SELECT coalesce(sum(calls), 0)::float8 FROM pg_stat_statements
    WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database())"""
HAS_STATEMENTS: Final = "SELECT 1 FROM pg_extension WHERE extname = 'pg_stat_statements'"


class Cost(Struct, frozen=True):
    """What a server has used so far. NaN is unknown."""

    cpu_s: float = math.nan
    wal_bytes: float = math.nan
    statements: float = math.nan
    commits: float = math.nan

    def since(self, before: "Cost") -> "Cost":
        return Cost(
            self.cpu_s - before.cpu_s,
            self.wal_bytes - before.wal_bytes,
            self.statements - before.statements,
            self.commits - before.commits,
        )


class Postgres(Struct, frozen=True):
    """A database, and the process of its server; 0 where that is not on this machine."""

    url: str
    pid: int = 0

    async def cost(self) -> Cost:
        """So far, of the whole server: measure nothing else on it at the same time."""
        connection = await asyncpg.connect(self.url)
        try:
            wal_bytes, commits = await connection.fetchrow(COUNTERS)
            statements = math.nan
            if await connection.fetchval(HAS_STATEMENTS):
                statements = await connection.fetchval(STATEMENTS)
        finally:
            await connection.close()
        return Cost(self.cpu_s(), wal_bytes, statements, commits)

    def cpu_s(self) -> float:
        """Processes that ended are in it: they are counted by the one that started them."""
        if not self.pid:
            return math.nan
        used_s = 0.0
        for each in self._tree():
            with suppress(psutil.NoSuchProcess):
                used_s += sum(each.cpu_times()[:4])
        return used_s

    def memory_mib(self) -> float:
        """Resident memory, shared pages counted once; NaN where that is not to be seen."""
        if not self.pid:
            return math.nan
        pss = 0
        for each in self._tree():
            with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                pss += each.memory_full_info().pss
        return pss / MIB if pss else math.nan

    def _tree(self) -> list[psutil.Process]:
        root = psutil.Process(self.pid)
        return [root, *root.children(recursive=True)]


class Cluster:
    """A server of our own, with a database for whoever asks."""

    def __init__(self, server: PostgresServer) -> None:
        self._server = server

    @asynccontextmanager
    async def database(self) -> AsyncIterator[Postgres]:
        """An empty database, gone at the end."""
        url = self._server.create_empty_database()
        if _has_statements():
            connection = await asyncpg.connect(url)
            await connection.execute(f"CREATE EXTENSION {STATEMENTS_LIBRARY}")
            await connection.close()
        try:
            yield Postgres(url, self._server.pid)
        finally:
            self._server.drop_database(url)


@contextmanager
def cluster() -> Iterator[Cluster]:
    """A running server, gone with its files at the end."""
    settings = dict(SETTINGS)
    if _has_statements():
        settings["shared_preload_libraries"] = STATEMENTS_LIBRARY
    server = PostgresServer(**settings)
    try:
        server.start()
        yield Cluster(server)
    finally:
        server.close()


async def running(url: str) -> Postgres:
    """The database of a server that runs already, with its process if that is here."""
    connection = await asyncpg.connect(url)
    try:
        address = await connection.fetchval("SELECT host(inet_server_addr())")
        backend = await connection.fetchval("SELECT pg_backend_pid()")
        pid = _postmaster(backend) if address is None or address in LOCAL else 0
    finally:
        await connection.close()
    return Postgres(url, pid)


def _postmaster(backend: int) -> int:
    """Who started the process that serves us; 0 if this machine has no such process."""
    with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
        process = psutil.Process(backend)
        if process.name().startswith("postgres"):
            return int(process.ppid())
    return 0


def _has_statements() -> bool:
    library = f"{STATEMENTS_LIBRARY}.so"
    home = (programs() / "postgres").resolve().parent.parent
    return any((home / lib / library).exists() for lib in ("lib", "lib/postgresql"))
