"""A receiver that misbehaves on demand, to show what a sender does about it.

    async with ChaosReceiver() as receiver:
        await post(receiver.url("/status/503"))     the path chooses the behaviour,
        receiver.behaviour = "reset/body"           or the test does, for every path
        await receiver.received(2)                  wait for requests instead of sleeping

It records every request that it reads to its end. `listen.behaviours` lists what it can do: a name,
and an argument where its table says so (`status/503`, `slow/0.2`, `retry-after/120`); `bomb/gzip`,
`bomb/br` and `bomb/zstd` are here. Whatever a behaviour is in the middle of, leaving the context
ends it. Only for tests: it has no limits.
"""

import asyncio
import socket
import ssl
from types import TracebackType
from typing import Final, Self
from urllib.parse import unquote

from msgspec import Struct

from ringback.clock import Clock
from ringback.listen.behaviours import (
    BEFORE_BODY,
    BEHAVIOURS,
    Visit,
    answer_ok,
    chosen,
    response,
)
from ringback.testing.bombs import BOMBS

HEAD_BYTES_MAX: Final = 1024 * 1024
BACKLOG: Final = 1_024


class Received(Struct, frozen=True):
    """One request as it came, header names in the case they had."""

    method: str
    path: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    at_ms: int
    connection: int

    def header(self, name: str) -> str | None:
        """The first value of a header, whatever its case."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)


class ChaosReceiver:
    """Serves on a free loopback port. `behaviour` is a name of `BEHAVIOURS`, with its argument.

    `on_accept` may be "serve", "hang" (nothing is ever read or said: with an https:// URL, a TLS
    handshake that stalls) or "reset". `tls` is a server's context for https.
    """

    def __init__(
        self,
        behaviour: str | None = None,
        *,
        tls: ssl.SSLContext | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        clock: Clock | None = None,
    ) -> None:
        self.behaviour = behaviour
        self.on_accept = "serve"
        self.clock = clock or Clock()
        self.requests: list[Received] = []
        self.connections = 0
        self._tls = tls
        self._host = host
        self.port = port
        self._server: asyncio.Server | None = None
        self._visits: dict[asyncio.Task[None], Visit] = {}
        self._writers: list[asyncio.StreamWriter] = []
        self._changed = asyncio.Condition()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(
            self._visited,
            self._host,
            self.port,
            ssl=self._tls,
            limit=HEAD_BYTES_MAX,
            backlog=BACKLOG,
        )
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._server is not None:
            self._server.close()
        tasks = list(self._visits)
        for writer in self._writers:  # Over TLS a visit ends before its connection is closed.
            writer.transport.abort()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for _ in range(3):  # Transports are gone a few turns of the loop later.
            await asyncio.sleep(0)

    def url(self, path: str = "/ok", *, host: str | None = None) -> str:
        scheme = "http" if self._tls is None else "https"
        name = host or (f"[{self._host}]" if ":" in self._host else self._host)
        return f"{scheme}://{name}:{self.port}{path}"

    async def received(self, count: int) -> list[Received]:
        """Waits until that many requests have come, and returns all of them."""
        async with self._changed:
            await self._changed.wait_for(lambda: len(self.requests) >= count)
        return self.requests

    async def connected(self, count: int) -> None:
        """Waits until that many connections have been accepted, closed ones counted."""
        async with self._changed:
            await self._changed.wait_for(lambda: self.connections >= count)

    async def disconnected(self) -> None:
        """Waits until no connection is open."""
        async with self._changed:
            await self._changed.wait_for(lambda: not self._visits)

    def hang_up(self) -> None:
        """Closes every connection that is open, without a word."""
        for visit in self._visits.values():
            visit.close()

    async def _visited(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        visit = Visit(self, reader, writer, self.connections)
        self._writers.append(writer)
        if task is not None:
            self._visits[task] = visit
        try:
            await self._tell(visit, None)
            await self._serve(visit)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass
        except asyncio.CancelledError:
            if self._server is not None and self._server.is_serving():
                raise
        finally:
            if not writer.is_closing():  # Closed twice, it could not be aborted any more.
                visit.close()
            if task is not None:
                del self._visits[task]
            async with self._changed:
                self._changed.notify_all()

    async def _serve(self, visit: Visit) -> None:
        if self.on_accept == "reset":
            visit.reset()
            return
        if self.on_accept == "hang":
            await visit.hang()
            return
        while not visit.writer.is_closing():
            head = await visit.reader.readuntil(b"\r\n\r\n")
            method, path, headers = _parsed(head)
            asked = unquote((self.behaviour or path).partition("?")[0])
            name, argument = chosen(asked.strip("/"))
            if name in BEFORE_BODY:
                await BEFORE_BODY[name](visit, argument)
                return
            length = next((int(value) for key, value in headers if key == "Content-Length"), 0)
            body = await visit.reader.readexactly(length)
            visit.requests += 1
            now_ms = self.clock.now_ms()
            await self._tell(visit, Received(method, path, headers, body, now_ms, visit.number))
            await _ALL.get(name, answer_ok)(visit, argument)

    async def _tell(self, visit: Visit, request: Received | None) -> None:
        async with self._changed:
            if request is None:
                self.connections += 1
            else:
                self.requests.append(request)
            self._changed.notify_all()


def closed_port(host: str = "127.0.0.1") -> int:
    """A port on which nobody listens: it was free a moment ago."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
        return port


def _parsed(head: bytes) -> tuple[str, str, tuple[tuple[str, str], ...]]:
    first, *lines = head.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
    method, path, _ = first.split(" ")
    pairs = (line.partition(":") for line in lines)
    return method, path, tuple((name, value.strip()) for name, _, value in pairs)


async def _answer_with_bomb(visit: Visit, coding: str) -> None:
    await visit.say(response("200 OK", BOMBS[coding], f"Content-Encoding: {coding}"))


_ALL: Final = BEHAVIOURS | {"bomb": _answer_with_bomb}
