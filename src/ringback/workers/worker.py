"""One worker process, as its supervisor sees it."""

import asyncio
import os
import signal
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

from ringback.clock import Clock
from ringback.workers.pair import ALIVE, CONNECTION, LEAVING, READY, REPLACED, STOP

READ_BYTES: Final = 4_096


class Worker:
    """Made by `start`. `load` is how many connections it has, as far as is known."""

    def __init__(
        self,
        number: int,
        process: asyncio.subprocess.Process,
        pair: socket.socket,
        *,
        clock: Clock,
    ) -> None:
        self.number = number
        self.pid = process.pid
        self.heard_at_s = clock.monotonic()
        self.settled = asyncio.Event()  # it is ready, or has ended
        self._process = process
        self._pair = pair
        self._clock = clock
        self._text = b""
        self._reported = 0
        self._given = 0
        self._ready_at_s = 0.0
        self._is_leaving = False
        self._has_ended = False
        self._ended = asyncio.create_task(self._watch())
        asyncio.get_running_loop().add_reader(pair, self._hear)

    @classmethod
    async def start(
        cls,
        number: int,
        command: Callable[[int, int], Sequence[str]],
        *,
        clock: Clock,
    ) -> "Worker":
        """`command` makes the command line, from its number and the descriptor of its pair."""
        ours, theirs = socket.socketpair()
        with theirs:
            ours.setblocking(False)
            process = await asyncio.create_subprocess_exec(
                *command(number, theirs.fileno()),
                stdin=asyncio.subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                # A Ctrl+C of the terminal is for the supervisor, which passes it on in order.
                process_group=0,
            )
        return cls(number, process, ours, clock=clock)

    @property
    def load(self) -> int:
        return self._reported + self._given

    @property
    def is_ready(self) -> bool:
        return self._ready_at_s > 0

    @property
    def is_taking(self) -> bool:
        return self.is_ready and not self._is_leaving and not self._has_ended

    def steady_s(self) -> float:
        """How long it has been answering requests."""
        return self._clock.monotonic() - self._ready_at_s if self.is_ready else 0.0

    async def ready(self) -> bool:
        """Whether it became ready, rather than ended."""
        await self.settled.wait()
        return self.is_ready

    async def ended(self) -> int:
        """Its exit code, negative for a signal."""
        return await asyncio.shield(self._ended)

    def give(self, connection: socket.socket) -> bool:
        """Hand a connection over; false if it cannot take one just now. Ours stays open."""
        try:
            socket.send_fds(self._pair, [CONNECTION], [connection.fileno()])
        except OSError:
            return False
        self._given += 1
        return True

    def stop(self, *, is_replaced: bool = False) -> None:
        """Have it serve what it was given, drain and end."""
        self._is_leaving = True
        with suppress(OSError):
            self._pair.send(REPLACED if is_replaced else STOP)

    def kill(self) -> None:
        if not self._has_ended:
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)

    async def _watch(self) -> int:
        code = await self._process.wait()
        self._has_ended = True
        self._forget_pair()
        self.settled.set()
        return code

    def _forget_pair(self) -> None:
        if self._pair.fileno() >= 0:
            asyncio.get_running_loop().remove_reader(self._pair)
            self._pair.close()

    def _hear(self) -> None:
        try:
            chunk = self._pair.recv(READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            chunk = b""
        if not chunk:
            self._forget_pair()
            return
        self.heard_at_s = self._clock.monotonic()
        *lines, self._text = (self._text + chunk).split(b"\n")
        for line in lines:
            word, _, number = line.decode("ascii", "replace").partition(" ")
            self._told(word, number)

    def _told(self, word: str, number: str) -> None:
        if word == READY:
            self._ready_at_s = self._clock.monotonic()
            self.settled.set()
        elif word == LEAVING:
            self.stop()
        elif word == ALIVE and number.isdigit():
            self._reported, self._given = int(number), 0
