"""A worker's end of the pair: where connections come from, and where it says how it is.

Invariant: whatever was handed over before STOP or REPLACED is served, because both come the same
way. A supervisor that is gone means STOP.
"""

import asyncio
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from ringback.workers.pair import (
    ALIVE,
    ALIVE_EVERY_S,
    CONNECTION,
    LEAVING,
    READY,
    REPLACED,
)

READS_MAX: Final = 64  # before the loop does something else
LEAVE_WITHIN_S: Final = 2.0  # for the supervisor to answer, before a worker ends without it


class Berth:
    """Made from what the command line says; `attach` when the event loop runs.

    `number` tells workers apart, from 1. `is_replaced` once the supervisor has said so, and
    `is_orphaned` when there is none any more.
    """

    def __init__(self, number: int, descriptor: int, url: str) -> None:
        self.number = number
        self.url = url
        self.is_replaced = False
        self.is_orphaned = False
        self._pair = socket.socket(fileno=descriptor)
        self._pair.setblocking(False)
        self._alive: asyncio.Task[None] | None = None

    def attach(self, on_stop: Callable[[], None]) -> None:
        """Listen to the supervisor from now on."""
        self._loop = asyncio.get_running_loop()
        self._on_stop = on_stop
        self._take: Callable[[socket.socket], None] = _close
        self._loop.add_reader(self._pair, self._hear)

    def serve(self, take: Callable[[socket.socket], None], count: Callable[[], int]) -> None:
        """Requests are answered: connections may come."""
        self._take = take
        self._say(READY)
        self._alive = self._loop.create_task(self._stay_alive(count))

    def leave(self) -> None:
        """Ask to be stopped, in order; after LEAVE_WITHIN_S without being asked."""
        self._say(LEAVING)
        self._loop.call_later(LEAVE_WITHIN_S, self._on_stop)

    def close(self) -> None:
        """Safe to call twice."""
        if self._alive is not None:
            self._alive.cancel()
        if self._pair.fileno() >= 0:
            self._loop.remove_reader(self._pair)
            self._pair.close()

    def _hear(self) -> None:
        for _ in range(READS_MAX):
            try:
                word, descriptors, *_ = socket.recv_fds(self._pair, 1, 1)
            except BlockingIOError:
                return
            except OSError:
                word, descriptors = b"", []
            if word == CONNECTION:
                for descriptor in descriptors:
                    self._take(socket.socket(fileno=descriptor))
                continue
            self.is_replaced = word == REPLACED
            self._on_stop()
            if not word:
                self.is_orphaned = True
                self._loop.remove_reader(self._pair)
                return

    async def _stay_alive(self, count: Callable[[], int]) -> None:
        while True:
            self._say(f"{ALIVE} {count()}")
            await asyncio.sleep(ALIVE_EVERY_S)

    def _say(self, line: str) -> None:
        # A supervisor that does not read, or is gone, is no reason to stop serving.
        with suppress(OSError):
            self._pair.send(f"{line}\n".encode())


def _close(connection: socket.socket) -> None:
    """Before requests are answered none comes."""
    connection.close()
