"""Receipts that come together are kept together: one commit for all that gathered during the last.

add() ──► waiting ──► one transaction ──► each caller learns which of its entries are new
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final

from msgspec import Struct

from ringback.errors import InboxUnavailable
from ringback.receive.inbox.answers import unavailable
from ringback.receive.inbox.entry import Entry

REQUESTS_MAX: Final = 64  # in a transaction
ENTRIES_MAX: Final = 1_000  # in a transaction, if it is more than one request
WAITING_MAX: Final = 4_096  # requests

Write = Callable[[list[Entry]], Awaitable[list[bool]]]


class _Request(Struct, frozen=True):
    entries: list[Entry]
    size_bytes: int
    answer: asyncio.Future[list[bool]]


class Gather:
    """`write` keeps all of some entries, or none, and raises. Belongs to one event loop."""

    def __init__(self, write: Write, *, bytes_max: int) -> None:
        self._write = write
        self._bytes_max = bytes_max
        self._bytes = 0
        self._waiting: deque[_Request] = deque()
        self._writing: asyncio.Task[None] | None = None

    async def add(self, entries: list[Entry]) -> list[bool]:
        """Which of them are new, when they are kept. Raises InboxUnavailable or as `write` does.

        A caller that is cancelled does not know whether they were kept.
        """
        size_bytes = sum(entry.size_bytes for entry in entries)
        if len(self._waiting) >= WAITING_MAX or self._bytes + size_bytes > self._bytes_max:
            raise InboxUnavailable("too much waits to be kept; the provider may try again later")
        loop = asyncio.get_running_loop()
        request = _Request(entries, size_bytes, loop.create_future())
        self._waiting.append(request)
        self._bytes += size_bytes
        if self._writing is None:
            self._writing = loop.create_task(self._write_all())
        return await request.answer

    async def close(self) -> None:
        """Return when nothing waits."""
        while self._writing is not None:
            await asyncio.wait({self._writing})

    async def _write_all(self) -> None:
        try:
            while self._waiting:
                await self._write_some(self._next())
        finally:
            self._writing = None

    async def _write_some(self, group: list[_Request]) -> None:
        entries = [entry for request in group for entry in request.entries]
        try:
            found = await self._write(entries)
        except BaseException as error:
            self._tell(group, error)
            if not isinstance(error, Exception):
                raise
            return
        finally:
            self._bytes -= sum(request.size_bytes for request in group)
        start = 0
        for request in group:
            if not request.answer.done():
                request.answer.set_result(found[start : start + len(request.entries)])
            start += len(request.entries)

    def _next(self) -> list[_Request]:
        group = [self._waiting.popleft()]
        count = len(group[0].entries)
        while self._waiting and len(group) < REQUESTS_MAX:
            count += len(self._waiting[0].entries)
            if count > ENTRIES_MAX:
                break
            group.append(self._waiting.popleft())
        return group

    @staticmethod
    def _tell(group: list[_Request], error: BaseException) -> None:
        for request in group:
            if not request.answer.done():
                told = unavailable(error)
                told.__cause__ = error
                request.answer.set_exception(told)
