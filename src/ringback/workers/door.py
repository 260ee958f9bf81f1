"""The address that all workers share: connections are accepted here and handed over.

The kernel would spread them too, and does it worse: with one socket for all, a burst goes to
whoever wakes first; with one each, by chance, and what waits in the queue of a worker that dies is
lost. See `docs/decisions/0022-workers.md`.

Nothing is accepted while nobody can take it: callers wait in the kernel's queue meanwhile.
"""

import asyncio
import socket
from collections.abc import Callable, Iterable
from typing import Final

from ringback.front.address import bind, cannot_listen, url_of
from ringback.front.listener import BACKLOG
from ringback.workers.worker import Worker

ACCEPTS_MAX: Final = 64  # before the loop does something else
PAUSE_S: Final = 0.05


class Door:
    """`workers` says who there is, whenever a connection comes."""

    def __init__(self, host: str, port: int, workers: Callable[[], Iterable[Worker]]) -> None:
        """Take the address. Raises CannotListen."""
        self._host = host
        self._sockets = bind(host, port)
        self._workers = workers
        self._is_open = False
        self._pause: asyncio.TimerHandle | None = None
        self._held: socket.socket | None = None  # accepted, and nobody could take it
        self.url = url_of(host, self._sockets[0].getsockname()[1])

    def open(self) -> None:
        """Accept from now on. Raises CannotListen."""
        for one in self._sockets:
            try:
                one.listen(BACKLOG)
            except OSError as error:
                raise cannot_listen(self._host, one.getsockname()[1], error) from None
        self._is_open = True
        self._resume()

    def close(self) -> None:
        """Who connects from now on is refused. Safe to call twice."""
        if self._is_open:
            self._halt()
        if self._pause is not None:
            self._pause.cancel()
        self._is_open = False
        for one in (*self._sockets, *([self._held] if self._held else [])):
            one.close()

    def _halt(self) -> None:
        loop = asyncio.get_running_loop()
        for one in self._sockets:
            loop.remove_reader(one)

    def _resume(self) -> None:
        loop = asyncio.get_running_loop()
        if self._is_open:
            for one in self._sockets:
                loop.add_reader(one, self._accept, one)

    def _accept(self, listener: socket.socket) -> None:
        for _ in range(ACCEPTS_MAX):
            able = sorted((one for one in self._workers() if one.is_taking), key=_load)
            if not able:
                self._wait_a_little()
                return
            connection = self._next(listener)
            if connection is None:
                return
            if not any(worker.give(connection) for worker in able):
                self._held = connection
                self._wait_a_little()
                return
            connection.close()  # the worker has a descriptor of its own

    def _next(self, listener: socket.socket) -> socket.socket | None:
        """None if there is none, or none can be had just now."""
        held, self._held = self._held, None
        if held is not None:
            return held
        try:
            return listener.accept()[0]
        except BlockingIOError:
            return None
        except OSError:  # it has gone already, or we have no descriptor left
            self._wait_a_little()
            return None

    def _wait_a_little(self) -> None:
        self._halt()
        loop = asyncio.get_running_loop()
        self._pause = loop.call_later(PAUSE_S, self._resume)


def _load(worker: Worker) -> int:
    return worker.load
