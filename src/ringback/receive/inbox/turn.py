"""Who may use what only one can use: what is urgent, and one handler, alternate when both wait."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Turn:
    """Fair among equals, first come, first served. Belongs to one event loop.

    After a handler, all that is urgent by then goes before the next one: so whatever is urgent
    waits for one handler at most, and no handler waits for what came after it was due.
    """

    def __init__(self) -> None:
        self._is_taken = False
        self._is_urgent = False  # who has it
        self._urgent_left = 0  # how many of the urgent go before a handler that waits
        self._urgent: deque[asyncio.Future[None]] = deque()
        self._others: deque[asyncio.Future[None]] = deque()

    async def take(self, *, is_urgent: bool) -> None:
        """Return when it is the caller's turn; `give` it back."""
        if not self._is_taken:
            self._is_taken, self._is_urgent = True, is_urgent
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
        """To whoever waits, in their order."""
        if not self._is_urgent:
            self._urgent_left = len(self._urgent)
        if self._urgent_left and self._pass_to(self._urgent):
            self._is_urgent = True
            self._urgent_left -= 1
        elif self._pass_to(self._others):
            self._is_urgent = False
        else:
            self._is_urgent = True
            self._is_taken = self._pass_to(self._urgent)

    @staticmethod
    def _pass_to(queue: deque[asyncio.Future[None]]) -> bool:
        while queue:
            future = queue.popleft()
            if not future.done():
                future.set_result(None)
                return True
        return False

    @asynccontextmanager
    async def taken(self, *, is_urgent: bool) -> AsyncIterator[None]:
        await self.take(is_urgent=is_urgent)
        try:
            yield
        finally:
            self.give()
