"""The server under test: ours, the floor's relay, or any that already runs elsewhere.

Ours gets its own temporary directory and ends by SIGTERM; one that runs elsewhere is never ended.
It may be several processes over one database, each with a port of its own.
CPU is user and system time of the whole process tree, children included; its resolution is that of
/proc (10 ms), so it is meant for windows of seconds.
"""

import asyncio
import math
import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Final, Literal

import psutil  # type: ignore[import-untyped]
from msgspec import Struct
from msgspec.structs import replace

from bench.api import Api
from bench.child import Child, process
from bench.database import Database, opened
from bench.postgres import Cluster, Postgres

START_S_MAX: Final = 30.0
PING_EVERY_S: Final = 0.02
SAMPLE_EVERY_S: Final = 0.1
MIB: Final = 1024 * 1024
LOG_TAIL_BYTES: Final = 4_000


class Choice(Struct, frozen=True):
    """Which server is measured. Every start has a fresh database: a SQLite file, or one of
    `cluster`; unless `database` names one."""

    kind: Literal["ringback", "relay", "external"] = "ringback"
    url: str = ""
    token: str = ""
    pid: int = 0
    database: str = ""
    environment: dict[str, str] = {}
    cluster: Cluster | None = None


class Server(Struct, frozen=True):
    """A server that answers. `peers` are further processes of it, at ports of their own."""

    url: str
    token: str
    pid: int = 0
    start_s: float = math.nan
    postgres: Postgres | None = None
    peers: tuple["Server", ...] = ()

    def api(self) -> Api:
        return Api(self.url, self.token)

    def tree(self) -> list[psutil.Process]:
        """The server's processes and all below; nothing where there is no process to ask."""
        if not self.pid:
            return []
        root = psutil.Process(self.pid)
        below = [each for peer in self.peers for each in peer.tree()]
        return [root, *root.children(recursive=True), *below]

    def ports(self) -> tuple[int, ...]:
        """Where it listens: one for each of its processes."""
        return tuple(one.api().port for one in (self, *self.peers))

    def cpu_s(self) -> float:
        """CPU seconds of the process tree so far, ended children included; NaN if unknown."""
        if not self.pid:
            return math.nan
        return float(sum(sum(each.cpu_times()[:4]) for each in self.tree()))


class Memory:
    """Resident MiB of a server over a while: sampled, so a shorter peak may be missed.

    The tree is looked up once, since a look-up scans all processes of the machine.
    """

    def __init__(self, server: Server) -> None:
        self._tree = server.tree()
        self.peak_mib = self.now_mib()

    def now_mib(self) -> float:
        rss = 0
        for each in self._tree:
            with suppress(psutil.NoSuchProcess):
                rss += each.memory_info().rss
        return rss / MIB if rss else math.nan

    async def watch(self) -> None:
        """Samples until cancelled."""
        while True:
            self.peak_mib = max(self.peak_mib, self.now_mib())
            await asyncio.sleep(SAMPLE_EVERY_S)


class Machine:
    """CPU of the whole machine from now on, to tell how busy others kept it."""

    def __init__(self) -> None:
        self._began_s = time.monotonic()
        self._busy_s = _busy_s()

    def busy_by_others(self, own_s: float) -> float:
        """Cores that were busy with something else than `own_s` CPU seconds of ours."""
        elapsed_s = time.monotonic() - self._began_s
        return max(_busy_s() - self._busy_s - own_s, 0.0) / elapsed_s


def _busy_s() -> float:
    """Stolen time is busy too. Guest time is not added: user time holds it already."""
    times = psutil.cpu_times()
    fields = ("user", "nice", "system", "irq", "softirq", "steal")
    return float(sum(getattr(times, field, 0.0) for field in fields))


def started(
    choice: Choice,
    settings: Mapping[str, str] | None = None,
    *,
    database: Database | None = None,
    processes: int = 1,
) -> AbstractAsyncContextManager[Server]:
    """The chosen server, answering. `settings` are RINGBACK_* variables of a scenario, which the
    choice's own override. A `database` is used and stays; without it the server has a new one."""
    if choice.kind == "external":
        return _external(choice)
    environment = {**_settings(), **(settings or {}), **choice.environment}
    return _own(choice, environment, database, processes)


@asynccontextmanager
async def _external(choice: Choice) -> AsyncIterator[Server]:
    server = Server(url=choice.url, token=choice.token, pid=choice.pid)
    with server.api() as api:
        if not await asyncio.to_thread(api.is_up):
            raise RuntimeError(f"{choice.url} does not answer GET /api/v1/health/ping")
    yield server


@asynccontextmanager
async def _own(
    choice: Choice, settings: dict[str, str], database: Database | None, processes: int
) -> AsyncIterator[Server]:
    async with AsyncExitStack() as stack:
        if database is None:
            database = await stack.enter_async_context(opened(choice.database, choice.cluster))
        # One after the other: the first of them makes the tables.
        first, *others = [
            await stack.enter_async_context(_process(choice, settings, database))
            for _ in range(processes)
        ]
        yield replace(first, peers=tuple(others))


@asynccontextmanager
async def _process(
    choice: Choice, settings: dict[str, str], database: Database
) -> AsyncIterator[Server]:
    port = free_port()
    command, token = _command(choice, settings, database=database, port=port)
    log = database.place / f"server-{port}.log"
    started_s = time.monotonic()
    polite = process(command, environment=settings, log=log, is_polite=True)
    async with polite as child:
        url = f"http://127.0.0.1:{port}"
        await _answers(child, url, log)
        took_s = time.monotonic() - started_s
        yield Server(url, token, child.pid, took_s, database.postgres)
    if child.exit_code and choice.kind != "relay":
        print(f"the server ended with {child.exit_code}: {_tail(log)}", file=sys.stderr)


def _settings() -> dict[str, str]:
    """What every start of ours needs; nothing that flatters it."""
    return {
        "RINGBACK_JWT_SECRET": secrets.token_hex(16),
        "RINGBACK_EGRESS_ALLOW": "127.0.0.1/32",
        "RINGBACK_DRAIN_TIMEOUT_S": "1",
        "RINGBACK_LOG_LEVEL": "warning",
    }


def _command(
    choice: Choice, settings: dict[str, str], *, database: Database, port: int
) -> tuple[list[str], str]:
    if choice.kind == "relay":
        return [sys.executable, "-m", "bench.relay", str(port)], "none"
    ringback = str(Path(sys.executable).parent / "ringback")
    token = _token(ringback, settings, database.place)
    listen = f"127.0.0.1:{port}"
    return [ringback, "serve", "--database", database.url, "--listen", listen], token


def _token(ringback: str, settings: dict[str, str], place: Path) -> str:
    """A bearer token of the default organization."""
    minted = subprocess.run(
        [ringback, "token"],
        env={**os.environ, **settings},
        cwd=place,
        capture_output=True,
        text=True,
        check=False,
        timeout=START_S_MAX,
    )
    if minted.returncode:
        raise RuntimeError(f"`ringback token` failed: {minted.stderr[-LOG_TAIL_BYTES:]}")
    return minted.stdout.strip()


async def _answers(child: Child, url: str, log: Path) -> None:
    """Waits for the first ping that is answered."""
    with Api(url, "") as api:
        async with asyncio.timeout(START_S_MAX):
            while not await asyncio.to_thread(api.is_up):
                if child.exit_code is not None:
                    raise RuntimeError(f"the server ended at once: {_tail(log)}")
                await asyncio.sleep(PING_EVERY_S)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _tail(log: Path) -> str:
    return log.read_text(errors="replace")[-LOG_TAIL_BYTES:]
