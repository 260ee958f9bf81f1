"""An async context in a thread of its own, for tests that are plain functions.

    with Background(running(settings)) as service:
        service.value                       what the context gave
        service.run(engine.health())        a coroutine, in that thread's event loop

One service for all tests of a module starts once and is shared; the tests themselves stay short.
"""

import asyncio
from collections.abc import Coroutine
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from threading import Thread
from types import TracebackType
from typing import Any, Final, Generic, Self, TypeVar

from ringback.config import Settings
from ringback.testing.process import JWT_SECRET

T = TypeVar("T")
R = TypeVar("R")

WAIT_S_MAX: Final = 60.0


class Background(Generic[T]):
    """Enters the context in a new event loop on a new thread, and leaves it there."""

    def __init__(self, context: AbstractAsyncContextManager[T]) -> None:
        self._context = context
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        try:
            self.value = self.run(self._context.__aenter__())
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self.run(self._left(kind, error, trace))
        finally:
            self._end()

    def run(self, work: Coroutine[Any, Any, R]) -> R:
        """What the coroutine returns or raises. Raises TimeoutError when it takes for ever."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(WAIT_S_MAX)

    async def _left(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._context.__aexit__(kind, error, trace)

    def _end(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(WAIT_S_MAX)
        self._loop.close()


def settings_for(directory: Path, **changes: Any) -> Settings:
    """A service on a free port with its database in `directory`, which may deliver to loopback and
    retries nothing; its tokens are those of `testing.process`."""
    values: dict[str, Any] = {
        "database": f"sqlite:///{directory / 'ringback.db'}",
        "listen": "127.0.0.1:0",
        "jwt_secret": JWT_SECRET,
        "egress_allow": ("127.0.0.1/32",),
        "retry_schedule": (),
    }
    return Settings(**(values | changes))
