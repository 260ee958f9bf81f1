"""Starts and ends the processes of the demo, each on a port of its own, all in one directory.

Every process is ended by its pid, however the demo ends.
"""

import os
import random
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar
from urllib.request import urlopen

HERE = Path(__file__).parent
RINGBACK = str(Path(sys.executable).with_name("ringback"))
SEEN_S_MAX = 30.0
STOP_S_MAX = 10.0

T = TypeVar("T")


class NotAsTold(Exception):
    """The demo promised something that did not happen."""


class Stage:
    """The four processes. As a context manager: whatever was started is ended."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._shop_port = free_port()
        self.shop_url = f"http://127.0.0.1:{self._shop_port}"
        self.provider_url = ""
        self.ringback_url = ""
        self.token = ""

    def __enter__(self) -> "Stage":
        return self

    def __exit__(self, *_: object) -> None:
        for name in reversed(list(self._running)):
            self._end(name)

    def start_ringback(self) -> None:
        settings = {
            "RINGBACK_JWT_SECRET": secrets.token_hex(32),
            "RINGBACK_EGRESS_ALLOW": "127.0.0.1/32",
        }
        address = f"127.0.0.1:{free_port()}"
        self.ringback_url = f"http://{address}"
        database = f"sqlite:///{self._directory / 'ringback.db'}"
        options = ["--database", database, "--listen", address]
        self._start("ringback", [RINGBACK, "serve", *options], settings)
        self.token = subprocess.run(
            [RINGBACK, "token"],
            env=os.environ | settings,
            cwd=self._directory,
            check=True,
            capture_output=True,
            text=True,
            timeout=SEEN_S_MAX,
        ).stdout.strip()
        self._answers("ringback", f"{self.ringback_url}/api/v1/health/ping")

    def start_provider(self) -> None:
        port = free_port()
        self.provider_url = f"http://127.0.0.1:{port}"
        access = {"RINGBACK_URL": self.ringback_url, "RINGBACK_TOKEN": self.token}
        self._start("provider", _uvicorn("provider:app", port), access)
        self._answers("provider", f"{self.provider_url}/v1/events")

    def start_shop(self, secret: str) -> None:
        books = str(self._directory / "shop.db")
        settings = {"STRIPE_WEBHOOK_SECRET": secret, "SHOP_DATABASE": books}
        self._start("shop", _uvicorn("shop:app", self._shop_port), settings)
        self._answers("shop", f"{self.shop_url}/orders/none")

    def stop_shop(self) -> None:
        self._end("shop")

    def start_poller(self) -> None:
        poller = str(HERE / "poller.py")
        self._start("poller", [sys.executable, poller, f"{self.provider_url}/v1/events"], {})
        until(self.polls, "the poller polls")

    def polls(self) -> list[str]:
        """The lines that the poller has written so far, one a request."""
        written = (self._directory / "poller.out").read_text()
        return written.rpartition("\n")[0].splitlines()

    def logs(self) -> str:
        """The last words of every process."""
        logs = sorted(self._directory.glob("*.log"))
        return "\n".join(f"--- {log.stem}\n{log.read_text()[-2_000:]}" for log in logs)

    def _start(self, name: str, command: list[str], environment: dict[str, str]) -> None:
        with (
            (self._directory / f"{name}.out").open("ab") as out,
            (self._directory / f"{name}.log").open("ab") as log,
        ):
            self._running[name] = subprocess.Popen(
                command, cwd=HERE, env=os.environ | environment, stdout=out, stderr=log
            )

    def _answers(self, name: str, url: str) -> None:
        process = self._running[name]

        def is_up() -> bool:
            if process.poll() is not None:
                raise NotAsTold(f"{name} ended at once, with exit code {process.returncode}")
            try:
                with urlopen(url, timeout=1):
                    return True
            except OSError:
                return False

        until(is_up, f"{name} answers")

    def _end(self, name: str) -> None:
        process = self._running.pop(name)
        process.terminate()
        try:
            process.wait(STOP_S_MAX)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def until(look: Callable[[], T], what: str, *, within_s: float = SEEN_S_MAX) -> T:
    """Looks until there is something to see, and gives it. Raises NotAsTold when it takes long."""
    deadline_s = time.monotonic() + within_s
    while not (seen := look()):
        if time.monotonic() > deadline_s:
            raise NotAsTold(f"waited {within_s:.0f} s in vain: {what}")
        time.sleep(0.02)
    return seen


def free_port() -> int:
    """Below the ports that systems hand out by themselves, so nobody gets the shop's when it is
    down."""
    while True:
        port = random.randrange(20_000, 32_000)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def _uvicorn(app: str, port: int) -> list[str]:
    return [
        *(sys.executable, "-m", "uvicorn", app, "--app-dir", str(HERE)),
        *("--port", str(port), "--log-level", "warning"),
    ]
