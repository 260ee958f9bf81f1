"""Child processes that are always ended: by pid, within a bounded time, however the parent ends."""

import asyncio
import ctypes
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final

import msgspec

from bench.lines import LINE_BYTES_MAX

ROOT: Final = Path(__file__).parent.parent
STOP_S_MAX: Final = 30.0
REPLY_S_MAX: Final = 60.0
PR_SET_PDEATHSIG: Final = 1


class Child:
    """A running child that talks in JSON lines."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.pid = process.pid

    @property
    def exit_code(self) -> int | None:
        return self._process.returncode

    async def say(self, message: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(msgspec.json.encode(message) + b"\n")
        await self._process.stdin.drain()

    async def hear(self, timeout_s: float = REPLY_S_MAX) -> bytes:
        """The next line. Raises RuntimeError when the child ended, TimeoutError when it is mute."""
        assert self._process.stdout is not None
        async with asyncio.timeout(timeout_s):
            line = await self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"process {self.pid} ended early; its stderr says why")
        return line

    async def stop(self, *, is_polite: bool = True) -> int:
        """Ends the child and gives its exit code: SIGTERM first if polite, SIGKILL at last."""
        if self._process.returncode is None and is_polite:
            with suppress(ProcessLookupError):
                self._process.terminate()
            with suppress(TimeoutError):
                async with asyncio.timeout(STOP_S_MAX):
                    return await self._process.wait()
        # Its group too: a server may have left children of its own behind.
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        return await self._process.wait()


@asynccontextmanager
async def module(name: str, *arguments: str) -> AsyncIterator[Child]:
    """A module of this package as a child, over pipes; ended without ceremony."""
    async with process([sys.executable, "-m", name, *arguments]) as child:
        yield child


@asynccontextmanager
async def process(
    command: Sequence[str],
    *,
    environment: Mapping[str, str] | None = None,
    log: Path | None = None,
    is_polite: bool = False,
) -> AsyncIterator[Child]:
    """A child in its own process group; its stderr goes to `log` or to ours."""
    with open(log or os.devnull, "wb") as file:  # noqa: ASYNC230
        started = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE if log is None else file,
            stderr=None if log is None else file,
            cwd=ROOT,
            env={**os.environ, **(environment or {})},
            limit=LINE_BYTES_MAX,
            start_new_session=True,
            preexec_fn=_die_with_parent if sys.platform == "linux" else None,
        )
    child = Child(started)
    try:
        yield child
    except BaseException:
        await child.stop(is_polite=False)
        raise
    else:
        await child.stop(is_polite=is_polite)


def _die_with_parent() -> None:
    """Asks the kernel for a SIGTERM when the parent is gone, even if by SIGKILL."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
