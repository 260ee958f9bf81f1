"""`ringback serve` as a child process on one SQLite file, to be killed and started again.

    async with ServiceProcess(tmp_path, RINGBACK_RETRY_SCHEDULE="1,2") as service:
        await service.start()                 until ping answers
        …  service.url, service.token  …
        await service.kill()                  SIGKILL, and it is really gone
        await service.start()                 same file, same address

The address stays the same from one start to the next, so that clients only have to reconnect.
Leaving the context ends the process whatever it is doing.
"""

import asyncio
import os
import random
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import jwt

ORGANIZATION: Final = "org_23rb8YdGqMT0qIzpgGwdXfHirMu"
JWT_SECRET: Final = "a secret of tests, as long as it should be"  # noqa: S105
READY_S_MAX: Final = 90.0
STOP_S_MAX: Final = 90.0
PORTS: Final = range(20_000, 32_000)  # Below the ports that the system gives to connections.
_POLL_S: Final = 0.005
_PING: Final = b"GET /api/v1/health/ping HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n"


class NotReady(Exception):
    """The process ended or stayed mute before it was ready; the message holds its stderr."""


class ServiceProcess:
    """`settings` are environment variables; loopback deliveries are allowed unless they say not.

    `starts` counts the processes there have been, `start_s` is how long the last start took.
    """

    def __init__(self, directory: Path, **settings: str) -> None:
        self.database = directory / "ringback.db"
        self.port = unused_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.token = token()
        self.starts = 0
        self.start_s = 0.0
        self._log = directory / "stderr.log"
        self._environment = {
            **_foreign_environment(),
            "RINGBACK_DATABASE": f"sqlite:///{self.database}",
            "RINGBACK_LISTEN": f"127.0.0.1:{self.port}",
            "RINGBACK_JWT_SECRET": JWT_SECRET,
            "RINGBACK_EGRESS_ALLOW": "127.0.0.1/32,::1/128",
            **settings,
        }
        self._process: subprocess.Popen[bytes] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.kill()

    @property
    def pid(self) -> int:
        """Of the running process. Raises RuntimeError when there is none."""
        if self._process is None:
            raise RuntimeError("the service has not been started, or was ended")
        return self._process.pid

    @property
    def stderr(self) -> str:
        """Everything that all starts have logged."""
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    async def start(self) -> None:
        """Start and wait until it answers. Raises NotReady."""
        self.spawn()
        await self.ready()

    def spawn(self) -> None:
        """Start without waiting."""
        if self._process is not None:
            raise RuntimeError("the service runs already")
        self.starts += 1
        self.start_s = 0.0
        self._spawned_s = time.monotonic()
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "ringback.cli", "serve"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._environment,
            )

    async def ready(self) -> None:
        """Wait until it answers. Raises NotReady when it ends before, or never does."""
        deadline_s = time.monotonic() + READY_S_MAX
        while not await self._answers():
            if self._process is None or self._process.poll() is not None:
                raise NotReady(f"the service ended early:\n{self.stderr}")
            if time.monotonic() > deadline_s:
                raise NotReady(f"the service does not answer:\n{self.stderr}")
            await asyncio.sleep(_POLL_S)
        self.start_s = time.monotonic() - self._spawned_s

    async def kill(self) -> None:
        """SIGKILL, as a crash would; returns when it is gone. Fine if it is gone already."""
        if self._process is not None:
            self._process.kill()
            await self.ended()

    async def terminate(self) -> int:
        """SIGTERM, and the exit code when it has drained. Raises TimeoutError."""
        os.kill(self.pid, signal.SIGTERM)
        async with asyncio.timeout(STOP_S_MAX):
            return await self.ended()

    async def ended(self) -> int:
        """Wait for its end; the exit code."""
        process = self._process
        if process is None:
            raise RuntimeError("the service has not been started, or was ended")
        code = await asyncio.to_thread(process.wait)
        self._process = None
        return code

    async def _answers(self) -> bool:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        except OSError:
            return False
        try:
            writer.write(_PING)
            return b" 204 " in await reader.readline()
        except OSError:
            return False
        finally:
            writer.transport.abort()


def token(organization: str = ORGANIZATION, secret: str = JWT_SECRET) -> str:
    """A bearer token, as `ringback token` makes them."""
    now_s = int(time.time())
    claims = {"iss": "ringback", "iat": now_s, "exp": now_s + 3_600, "sub": organization}
    return jwt.encode(claims, secret, algorithm="HS256")


def unused_port(host: str = "127.0.0.1") -> int:
    """A port on which nobody listens, and that no outgoing connection will take by chance.

    Connecting to a free port of the ephemeral range can even meet itself: both ends get that port.
    """
    while True:
        port = random.choice(PORTS)  # noqa: S311  a port is no secret
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError:
                continue
            return port


def _foreign_environment() -> dict[str, str]:
    """Ours without settings of Ringback: a test says all of them itself."""
    return {name: value for name, value in os.environ.items() if not name.startswith("RINGBACK_")}
