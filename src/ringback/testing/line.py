"""The way of a simulated node to the database: calls and answers that are lost, slow, or both.

Once a call is on its way it is the database's: it is committed, some time, whatever becomes of the
node that made it, and whether or not the node has given up on it. What is decided about lost
answers is decided by the account that the PostgreSQL store keeps (`store.doubt`).
"""

import asyncio
import contextvars
import random
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, TypeVar

from ringback.clock import Clock
from ringback.errors import StoreUnavailable
from ringback.model import Delivery
from ringback.store.doubt import Doubts
from ringback.store.port import AcceptResult, Claimed, Lease, NewMessage, Take
from ringback.store.sqlite.path import SqlitePath

T = TypeVar("T")

NO_WAY: Final = "no way to the database"


class AnswerLost(StoreUnavailable):
    """The call went out; nobody knows what became of it."""


class Line:
    """`losses` is the share of calls that do not go out, and of answers that do not come back; each
    takes up to `lag_s`, before its commit and after it."""

    def __init__(self, clock: Clock, seed: int) -> None:
        self._luck = random.Random(seed)  # noqa: S311
        self._on_their_way: set[asyncio.Task[Any]] = set()
        self.clock = clock
        self.is_cut = False
        self.losses = 0.0
        self.lag_s = 0.0

    async def call(self, run: Callable[[], Awaitable[T]]) -> T:
        """Raises StoreUnavailable if it did not go out, AnswerLost if that cannot be said."""
        if self._is_lost():
            raise StoreUnavailable(NO_WAY)
        task = asyncio.get_running_loop().create_task(
            self._arrive(run), context=contextvars.Context()
        )
        self._on_their_way.add(task)
        task.add_done_callback(self._arrived)
        if self._is_lost():  # the connection breaks, and is known to, before the call arrives
            raise AnswerLost(NO_WAY)
        answer = await asyncio.shield(task)
        await self._lag()
        if self._is_lost():
            raise AnswerLost(NO_WAY)
        return answer

    async def _arrive(self, run: Callable[[], Awaitable[T]]) -> T:
        await self._lag()
        return await run()

    def _arrived(self, task: asyncio.Task[Any]) -> None:
        self._on_their_way.discard(task)
        if not task.cancelled():
            task.exception()  # perhaps there is nobody any more who looks at it

    def _is_lost(self) -> bool:
        return self.is_cut or (self.losses > 0 and self._luck.random() < self.losses)

    async def _lag(self) -> None:
        if self.lag_s:
            await self.clock.sleep(self._luck.random() * self.lag_s)


class Way:
    """A part of the store, each call to it by the line."""

    def __init__(self, part: object, line: Line) -> None:
        self._part = part
        self._line = line

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        method = getattr(self._part, name)

        async def call(*args: Any, **kwargs: Any) -> Any:
            return await self._line.call(lambda: method(*args, **kwargs))

        return call


class PathWay(Way):
    """The path, with an account of the batches in doubt."""

    def __init__(self, path: SqlitePath, line: Line) -> None:
        super().__init__(path, line)
        self._path = path
        self._doubts = Doubts(line.clock, lambda error: isinstance(error, AnswerLost))

    async def accept(
        self, lease: Lease, batch_id: int, messages: Sequence[NewMessage]
    ) -> list[AcceptResult]:
        return await self._doubts.accept(
            batch_id,
            messages,
            write=lambda: self._line.call(lambda: self._path.accept(lease, batch_id, messages)),
            find=lambda: self._find(messages),
        )

    async def hand_off(self, lease: Lease, batch_id: int, deliveries: Sequence[Delivery]) -> None:
        await self._doubts.write(
            batch_id,
            lambda: self._line.call(lambda: self._path.hand_off(lease, batch_id, deliveries)),
        )

    async def claim(
        self, lease: Lease, batch_id: int, takes: Sequence[Take], *, now_ms: int
    ) -> list[Claimed]:
        return await self._doubts.write(
            batch_id,
            lambda: self._line.call(
                lambda: self._path.claim(lease, batch_id, takes, now_ms=now_ms)
            ),
        )

    async def adopt(self, lease: Lease, *, now_ms: int, limit: int) -> int:
        return await self._doubts.adopt(
            lambda lost: self._line.call(
                lambda: self._path.adopt_batches(lease, now_ms=now_ms, limit=limit, lost=lost)
            )
        )

    async def _find(self, messages: Sequence[NewMessage]) -> set[str]:
        refs = [(new.message.app_id, new.message.id) for new in messages]
        return set(await self._line.call(lambda: self._path.messages(refs)))
