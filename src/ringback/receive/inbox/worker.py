"""Works through what is kept: claims what is due, attempts it, and forgets what is old.

    woken: a receipt here, a free slot, a retry's due time, or `poll_s` ──► claim for the free slots
    each claimed event: attempt ──► over ──► the next one of its key, if it has a key

It survives a database that is away: it asks again. Events whose worker is gone are due when their
lease ends. At the end it takes no more, waits `drain_s` for what is being handled, and gives back
the rest.
"""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from ringback.clock import Clock
from ringback.receive.inbox import statements
from ringback.receive.inbox.attempt import Attempts, logger
from ringback.receive.inbox.driver import Driver
from ringback.receive.inbox.event import InboxEvent, State, event_of
from ringback.receive.inbox.handlers import Handlers
from ringback.receive.inbox.settings import DAY_S, InboxSettings
from ringback.receive.inbox.sql import Statement
from ringback.receive.inbox.statements import Lease

TEND_EVERY_S: Final = 60.0
FORGOTTEN_AT_ONCE: Final = 500
AWAY_S_MAX: Final = 30.0  # between two questions to a database that does not answer
RELEASE_S_MAX: Final = 5.0


class Worker:
    """Belongs to one event loop. `run` until `stop`; `wake` whenever something may be due."""

    def __init__(
        self, driver: Driver, handlers: Handlers, *, settings: InboxSettings, clock: Clock
    ) -> None:
        self._driver = driver
        self._settings = settings
        self._clock = clock
        self._threads = ThreadPoolExecutor(settings.concurrency, "ringback-inbox-handler")
        self._attempts = Attempts(
            driver, handlers, settings=settings, clock=clock, threads=self._threads
        )
        self._busy: set[asyncio.Task[None]] = set()
        self._woken = asyncio.Event()
        self._is_stopping = False
        self._due_at_ms: int | None = None  # of the next retry that this worker knows
        self._failures = 0

    def wake(self) -> None:
        self._woken.set()

    def stop(self) -> None:
        self._is_stopping = True
        self._woken.set()

    async def run(self) -> None:
        tending = asyncio.create_task(self._tend())
        try:
            while not self._is_stopping:
                self._woken.clear()
                await self._claim()
                await self._wait()
            await self._drain()
        finally:
            tending.cancel()
            for task in self._busy:
                task.cancel()
            await asyncio.gather(tending, *self._busy, return_exceptions=True)
            self._threads.shutdown(wait=False, cancel_futures=True)

    async def _claim(self) -> None:
        free = self._settings.concurrency - len(self._busy)
        if not free:
            return
        try:
            claim = statements.claim_due(self._lease(), free)
            [rows] = await self._driver.run(claim, is_durable=False)
        except Exception as error:
            self._failures += 1
            logger.warning("inbox: the database cannot be asked for work (%r)", error)
            return
        self._failures = 0
        for row in sorted(rows, key=lambda row: int(row[0])):
            task = asyncio.create_task(self._work(event_of(row)))
            self._busy.add(task)
            task.add_done_callback(self._freed)

    async def _wait(self) -> None:
        """Until it is worth while to claim again."""
        wait_s = self._settings.poll_s
        if self._failures:
            wait_s = min(wait_s * 2 ** min(self._failures, 10), AWAY_S_MAX)
            self._woken.clear()
        elif self._due_at_ms is not None:
            due_in_s = (self._due_at_ms - self._clock.now_ms()) / 1_000
            wait_s = min(wait_s, max(due_in_s, 0))
            if due_in_s <= wait_s:
                self._due_at_ms = None
        try:
            async with asyncio.timeout(wait_s):
                await self._woken.wait()
        except TimeoutError:
            return

    async def _work(self, event: InboxEvent) -> None:
        """An event, and then the next of its key, as long as each is over."""
        following: InboxEvent | None = event
        while following is not None:
            current = following
            following = None
            try:
                due_at_ms = await self._attempts.make(current)
                if due_at_ms is not None:
                    self._due_at_ms = min(due_at_ms, self._due_at_ms or due_at_ms)
                elif current.order_key is not None:
                    following = await self._next_of_key(current)
            except asyncio.CancelledError:
                await self._release(current)
                raise
            except Exception:
                logger.exception(
                    "inbox: what became of %s %s is not written down; it is tried again in at most"
                    " %g s",
                    current.source,
                    current.id,
                    self._settings.lease_s,
                )
            if following is not None and self._is_stopping:
                await self._release(following)
                return

    async def _next_of_key(self, event: InboxEvent) -> InboxEvent | None:
        asked = statements.claim_next(
            self._driver.dialect, self._lease(), source=event.source, key=event.order_key or ""
        )
        rows = (await self._driver.run(*asked, is_durable=False))[-1]
        return event_of(rows[0]) if rows else None

    async def _release(self, event: InboxEvent) -> None:
        """Somebody else may have it at once. If that fails, when its lease ends."""
        try:
            async with asyncio.timeout(RELEASE_S_MAX):
                given_back = statements.release(event, self._clock.now_ms())
                await self._driver.run(given_back, is_durable=False)
        except Exception as error:
            logger.warning("inbox: %s %s was not given back (%r)", event.source, event.id, error)

    async def _drain(self) -> None:
        if self._busy:
            await asyncio.wait(set(self._busy), timeout=self._settings.drain_s)

    def _freed(self, task: asyncio.Task[None]) -> None:
        self._busy.discard(task)
        self._woken.set()

    def _lease(self) -> Lease:
        now_ms = self._clock.now_ms()
        until_ms = now_ms + round(self._settings.lease_s * 1_000)
        return Lease(self._clock.new_id("lease"), now_ms, until_ms)

    async def _tend(self) -> None:
        while True:
            try:
                await self._forget()
            except Exception as error:
                logger.warning("inbox: old events were not forgotten (%r)", error)
            await self._clock.sleep(TEND_EVERY_S)

    async def _forget(self) -> None:
        kept, dead = self._settings.kept_days, self._settings.dead_kept_days
        ages = {
            State.DONE: kept,
            State.IGNORED: kept,
            State.DEAD: dead,
            State.REQUEST: max(kept, dead),
        }
        for state, days in ages.items():
            before_ms = self._clock.now_ms() - round(days * DAY_S * 1_000)
            delete = Statement("delete_old", (before_ms, FORGOTTEN_AT_ONCE), state)
            while (await self._driver.run(delete, is_durable=False))[0]:
                pass
