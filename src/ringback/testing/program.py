"""A Python program in a process of its own, as somebody who has just installed Ringback starts it.

with program("shop.py", place=tmp_path, STRIPE_SECRET="whsec_…") as log:
    until(lambda: "ready" in log.read_text())
"""

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TypeVar

import ringback
from ringback.testing.eventually import eventually

T = TypeVar("T")

STOP_S_MAX: Final = 60.0
OURS: Final = Path(ringback.__file__).parents[1]


@contextmanager
def program(
    *command: str, place: Path, path: Path | None = None, **environment: str
) -> Iterator[Path]:
    """`python *command` in the directory `place`; gives the file that its output goes to.

    It can import what lies in `place`, and in `path`. In the end it is stopped by SIGTERM.
    """
    log = place / f"{len(list(place.glob('*.log')))}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603  what a test says
            [sys.executable, *command],
            cwd=place,
            env=environment_of(place, path, **environment),
            stdout=output,
            stderr=output,
        )
    try:
        yield log
    finally:
        process.terminate()
        try:
            process.wait(STOP_S_MAX)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def environment_of(*paths: Path | None, **more: str) -> dict[str, str]:
    """Ours, and with it what these directories have to import."""
    found = os.pathsep.join(str(path) for path in (*paths, OURS) if path is not None)
    return {**os.environ, "PYTHONPATH": found, "PYTHONUNBUFFERED": "1", **more}


def until(look: Callable[[], T]) -> T:
    """What is seen as soon as it is true. Raises AssertionError if it takes too long."""

    async def looked() -> T:
        return look()

    return asyncio.run(eventually(looked, bool))


def listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True
