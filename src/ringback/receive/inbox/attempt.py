"""One attempt: the handler is called, and what became of it is written down.

done       in the handler's own transaction, if it used one: both are kept, or neither
failed     due again later, or dead after the last attempt; the handler's transaction is gone
neither    the lease is somebody else's by now: what the handler wrote is rolled back
"""

import asyncio
import contextvars
import logging
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, TypeVar

from ringback.clock import Clock
from ringback.errors import TryLater, Unprocessable
from ringback.receive.inbox import statements
from ringback.receive.inbox.backoff import next_wait_s
from ringback.receive.inbox.driver import Driver
from ringback.receive.inbox.event import InboxEvent, State
from ringback.receive.inbox.handlers import Handler, Handlers
from ringback.receive.inbox.settings import InboxSettings
from ringback.receive.inbox.sync_transaction import Sync

T = TypeVar("T")
logger: Final = logging.getLogger("ringback.inbox")


class Attempts:
    """Makes attempts. `threads` are for handlers that are not async, as many as may run at once."""

    def __init__(
        self,
        driver: Driver,
        handlers: Handlers,
        *,
        settings: InboxSettings,
        clock: Clock,
        threads: ThreadPoolExecutor,
    ) -> None:
        self._driver = driver
        self._handlers = handlers
        self._settings = settings
        self._clock = clock
        self._threads = threads

    async def make(self, event: InboxEvent) -> int | None:
        """When it is due again, in Unix milliseconds; None if it is over.

        Raises whatever the database raises, if not even that could be written down: then the lease
        ends by itself. If it is cancelled, so is the handler.
        """
        handler = self._handlers.find(event.source, event.type)
        if handler is None:
            await self._driver.run(self._end(event, State.IGNORED))
            return None
        if event.attempt > self._attempts_max:
            await self._bury(event, f"each of {self._attempts_max} attempts ended with its process")
            return None
        return await self._call(handler, event)

    async def _call(self, handler: Handler, event: InboxEvent) -> int | None:
        stragglers: set[asyncio.Future[Any]] = set()
        try:
            async with asyncio.timeout(self._settings.handler_timeout_s) as limit:
                is_mine = await self._perform(handler, event, stragglers)
        except Exception as error:
            if limit.expired():
                why = f"{handler.name} took longer than {self._settings.handler_timeout_s:g} s"
                due_at_ms = await self._failed(event, why, error=None)
                # A thread cannot be ended. Its transaction is, and until it returns it has a slot.
                if stragglers:
                    await asyncio.wait(stragglers)
                return due_at_ms
            return await self._failed(event, _told(error), error=error)
        if not is_mine:
            logger.info("inbox: %s %s was ended elsewhere", event.source, event.id)
        return None

    async def _perform(
        self, handler: Handler, event: InboxEvent, stragglers: set[asyncio.Future[Any]]
    ) -> bool:
        """Whether the event was still ours when the handler had returned."""

        def in_thread(work: Callable[[], T]) -> asyncio.Future[T]:
            return self._in_thread(work, stragglers)

        end = self._end(event, State.DONE)
        if not handler.takes_transaction:
            if handler.is_async:
                await handler.call(event)
            else:
                await in_thread(lambda: handler.call(event))
            [rows] = await self._driver.run(end)
            return bool(rows)
        if not self._driver.is_own:
            return await self._driver.within(
                lambda connection: handler.call(event, connection), end, run=in_thread
            )
        transaction = self._driver.begin()
        try:
            if handler.is_async:
                await handler.call(event, transaction)
            else:
                sync = Sync(transaction, asyncio.get_running_loop())
                await in_thread(lambda: handler.call(event, sync))
            return await transaction.finish(end)
        finally:
            await transaction.undo()

    def _in_thread(
        self, work: Callable[[], T], stragglers: set[asyncio.Future[Any]]
    ) -> asyncio.Future[T]:
        loop = asyncio.get_running_loop()
        context = contextvars.copy_context()
        future = loop.run_in_executor(self._threads, lambda: context.run(work))
        stragglers.add(future)
        future.add_done_callback(stragglers.discard)
        future.add_done_callback(_looked_at)
        return asyncio.shield(future)

    async def _failed(self, event: InboxEvent, why: str, *, error: Exception | None) -> int | None:
        wait_s = next_wait_s(
            event.attempt,
            self._settings.retry_schedule_s,
            jitter=self._settings.retry_jitter,
            luck=self._clock.random(),
        )
        if wait_s is None or isinstance(error, Unprocessable):
            await self._bury(event, why)
            return None
        if isinstance(error, TryLater):
            wait_s = max(error.after_s, 0)
        logger.warning(
            "inbox: %s %s failed, attempt %d of %d, next in %.1f s: %s",
            event.source,
            event.id,
            event.attempt,
            self._attempts_max,
            wait_s,
            why,
        )
        due_at_ms = self._clock.now_ms() + round(wait_s * 1_000)
        await self._driver.run(*statements.retry(event, due_at_ms, why), is_durable=False)
        return due_at_ms

    async def _bury(self, event: InboxEvent, why: str) -> None:
        logger.error(
            "inbox: %s %s is dead after %d attempts: %s",
            event.source,
            event.id,
            min(event.attempt, self._attempts_max),
            why,
        )
        await self._driver.run(self._end(event, State.DEAD, error=why))

    def _end(self, event: InboxEvent, state: State, *, error: str | None = None) -> Any:
        return statements.end(event, state, self._clock.now_ms(), error=error)

    @property
    def _attempts_max(self) -> int:
        return len(self._settings.retry_schedule_s) + 1


def _told(error: Exception) -> str:
    """What somebody who looks into a dead event needs: where it came from, without values."""
    return "".join(traceback.format_exception(error)).strip()


def _looked_at(future: asyncio.Future[Any]) -> None:
    """What a straggler raises at last concerns nobody any more."""
    if not future.cancelled():
        future.exception()
