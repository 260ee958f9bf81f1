"""PgBouncer in transaction mode before a PostgreSQL server, where its program is installed."""

import contextlib
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit, urlunsplit

from ringback.testing.process import unused_port

PLACES: Final = f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin"
START_WITHIN_S: Final = 60.0
LOOK_EVERY_S: Final = 0.02
SERVER_CONNECTIONS: Final = 4  # fewer than its clients have: they share them, a transaction each


class PgBouncer:
    """Serves every database of a server, to whoever says who he is. `start` it first."""

    def __init__(self, url: str) -> None:
        self._server = urlsplit(url)
        self._directory = Path(tempfile.mkdtemp(prefix="ringback-pgbouncer-"))
        self._process: subprocess.Popen[bytes] | None = None
        self.port = unused_port()

    def start(self) -> None:
        """Return when it answers. Raises RuntimeError when it is not installed, or does not."""
        program = find()
        if program is None:
            raise RuntimeError("pgbouncer is not installed")
        owner = _owner()
        settings = self._directory / "pgbouncer.ini"
        settings.write_text(self._settings())
        if owner is not None:
            os.chown(self._directory, owner, -1)
        self._process = subprocess.Popen(  # noqa: S603  an installed program
            [program, str(settings)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            user=owner,
        )
        self._wait_until_ready()

    def close(self) -> None:
        """End it, and leave nothing behind."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        shutil.rmtree(self._directory, ignore_errors=True)

    def url(self, url: str) -> str:
        """The same database, through here."""
        parts = urlsplit(url)
        user, at, _ = parts.netloc.rpartition("@")
        return urlunsplit(parts._replace(netloc=f"{user}{at}127.0.0.1:{self.port}"))

    def _settings(self) -> str:
        server = self._server
        password = unquote(server.password or "").replace("'", "''")
        credential = f" password='{password}'" if password else ""
        return (
            f"[databases]\n* = host={server.hostname} port={server.port} user={server.username}"
            f"{credential}\n"
            "[pgbouncer]\npool_mode = transaction\nlisten_addr = 127.0.0.1\n"
            f"listen_port = {self.port}\nunix_socket_dir =\nauth_type = any\n"
            f"default_pool_size = {SERVER_CONNECTIONS}\nmax_client_conn = 200\n"
        )

    def _wait_until_ready(self) -> None:
        until_s = time.monotonic() + START_WITHIN_S
        while time.monotonic() < until_s:
            with contextlib.suppress(OSError), socket.socket() as probe:
                probe.connect(("127.0.0.1", self.port))
                return
            time.sleep(LOOK_EVERY_S)
        self.close()
        raise RuntimeError("pgbouncer did not start")


def find() -> str | None:
    """Its program, None where it is not installed."""
    return shutil.which("pgbouncer", path=PLACES)


def _owner() -> int | None:
    """It refuses to run as root, as PostgreSQL does."""
    return pwd.getpwnam("nobody").pw_uid if os.geteuid() == 0 else None
