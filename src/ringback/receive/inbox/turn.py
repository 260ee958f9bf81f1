"""Who may use what only one can use: acknowledgements and handlers alternate when both wait."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Turn:
    """Fair among equals, first come, first served. Belongs to one event loop."""

    def __init__(self) -> None:
        self._is_taken = False
        self._was_urgent = False
        self._urgent: deque[asyncio.Future[None]] = deque()
        self._others: deque[asyncio.Future[None]] = deque()

    async def take(self, *, is_urgent: bool) -> None:
        """Return when it is the caller's turn; `give` it back."""
        if not self._is_taken:
            self._is_taken, self._was_urgent = True, is_urgent
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        (self._urgent if is_urgent else self._others).append(future)
        try:
            await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled():
                self.give()
            raise

    def give(self) -> None:
        """To whoever waits: the other kind first."""
        first, second = (self._urgent, self._others)
        if self._was_urgent:
            first, second = second, first
        for queue in (first, second):
            while queue:
                future = queue.popleft()
                if not future.done():
                    self._was_urgent = queue is self._urgent
                    future.set_result(None)
                    return
        self._is_taken = False

    @asynccontextmanager
    async def taken(self, *, is_urgent: bool) -> AsyncIterator[None]:
        await self.take(is_urgent=is_urgent)
        try:
            yield
        finally:
            self.give()
