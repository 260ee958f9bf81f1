"""What keeps a node and its database in order: adoption, retention, reclaiming, background tasks.

Every part is a loop of short transactions over bounded batches, survives errors, and never holds
the writer for long. Any node adopts; all else is done by the leader, which there is at most one of,
and by the database's clock. Should an old leader not have noticed yet that it is none any more, its
last transaction harms nothing.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

import structlog

from ringback.clock import Clock
from ringback.config import Settings
from ringback.engine.claim import Claimer
from ringback.engine.lease import Tenure
from ringback.errors import StoreError
from ringback.model import Task, TaskStatus
from ringback.store.port import Path
from ringback.store.tending import Tending

DAY_MS = 86_400_000
ADOPT_BATCHES_MAX = 20
STEP_REST_S = 0.01
RECLAIM_PAGES = 256
TASKS_MAX = 20
TASKS_EVERY_S = 60.0
TASK_MESSAGES_PER_STEP = 200

log = structlog.get_logger()


class Tender:
    """`on_work` is told how many deliveries, at least, wait again because of what was done here."""

    def __init__(
        self,
        path: Path,
        tending: Tending,
        *,
        claimer: Claimer,
        tenure: Tenure,
        settings: Settings,
        clock: Clock,
        on_work: Callable[[int], None],
    ) -> None:
        self._path = path
        self._tending = tending
        self._claimer = claimer
        self._tenure = tenure
        self._settings = settings
        self._clock = clock
        self._on_work = on_work
        self._has_dead = asyncio.Event()
        self._has_task = asyncio.Event()
        self._is_busy = False
        self._failing: set[str] = set()

    def adopt_soon(self) -> None:
        """A node is dead, or has left."""
        self._has_dead.set()

    def look_for_tasks(self) -> None:
        """There may be a task to run."""
        self._has_task.set()

    async def adopt(self) -> None:
        """For ever: bring back what dead nodes held."""
        while True:
            if await self._guarded("adopt", self.adopt_all) and self._tenure.standing.has_lapsed:
                self._tenure.hurry()  # whoever had lapsed is fenced now, so there may be a leader
            await _wait(self._has_dead, self._settings.lease_s / 2)

    async def adopt_all(self) -> None:
        adopted = ADOPT_BATCHES_MAX
        while adopted == ADOPT_BATCHES_MAX:
            now_ms = self._clock.now_ms()
            adopted = await self._path.adopt(
                self._tenure.lease, now_ms=now_ms, limit=ADOPT_BATCHES_MAX
            )
            if adopted:
                log.info("batches_adopted", count=adopted)
                self._claimer.wake()
                self._on_work(adopted)

    async def retain(self) -> None:
        """For ever: delete what is past its retention, and give space back."""
        while True:
            if self._tenure.is_leader:
                await self.retain_all()
            await self._clock.sleep(self._settings.retention_every_s)

    async def retain_all(self) -> None:
        """Every step by itself: what one may not do must not keep the others from their work."""
        limit = self._settings.retention_batch_max
        tending = self._tending

        def payloads_before_ms() -> int:
            return self._tenure.now_ms() - self._settings.payload_retention_days * DAY_MS

        def messages_before_ms() -> int:
            return self._tenure.now_ms() - self._settings.message_retention_days * DAY_MS

        # Messages before payloads: what goes as a whole is not emptied first.
        steps: dict[str, Callable[[], Awaitable[int]]] = {
            "delete_attempts": lambda: tending.delete_attempts(
                before_ms=messages_before_ms(), limit=limit
            ),
            "delete_messages": lambda: tending.delete_messages(
                before_ms=messages_before_ms(), limit=limit
            ),
            "expire_payloads": lambda: tending.expire_payloads(
                now_ms=self._tenure.now_ms(), before_ms=payloads_before_ms(), limit=limit
            ),
            "forget_answers": lambda: tending.forget_answers(
                now_ms=self._tenure.now_ms(), limit=limit
            ),
            "purge_deleted": lambda: tending.purge_deleted(limit=limit),
            "forget_deleted": lambda: tending.forget_deleted(
                before_ms=messages_before_ms(), limit=limit
            ),
            "forget_tasks": lambda: tending.forget_tasks(
                before_ms=messages_before_ms(), limit=limit
            ),
            "forget_rates": lambda: tending.forget_rates(limit=limit),
        }
        await self._guarded("make_room", lambda: tending.make_room(now_ms=self._tenure.now_ms()))
        for part, step in steps.items():
            await self._repeat(part, step, limit)
        await self._repeat("reclaim", lambda: tending.reclaim(pages=RECLAIM_PAGES), RECLAIM_PAGES)

    async def _repeat(self, part: str, step: Callable[[], Awaitable[int]], limit: int) -> None:
        """Until nothing is left to do, or it is not for this node to do it."""

        async def run() -> None:
            while self._tenure.is_leader and await step() >= limit:
                await self._clock.sleep(STEP_REST_S)

        await self._guarded(part, run)

    async def run_tasks(self) -> None:
        """For ever: one step of each running task in turn."""
        while True:
            if await self._guarded("tasks", self._step_all) and self._is_busy:
                await self._clock.sleep(STEP_REST_S)
            else:
                await _wait(self._has_task, TASKS_EVERY_S)

    async def _step_all(self) -> None:
        self._is_busy = False
        if self._tenure.is_leader:
            tasks = await self._tending.running_tasks(limit=TASKS_MAX)
            self._is_busy = bool(tasks)
            for task in tasks:
                await self.step(task)

    async def step(self, task: Task) -> Task:
        """One bounded step; what it brought back is claimed at once."""
        after = await self._tending.recover_step(
            task, now_ms=self._clock.now_ms(), limit=TASK_MESSAGES_PER_STEP
        )
        if after.done_count != task.done_count:
            self._claimer.wake()
            self._on_work(after.done_count - task.done_count)
        if after.status is TaskStatus.FINISHED:
            log.info("task_finished", task_id=task.id, kind=task.kind, count=after.done_count)
        return after

    async def _guarded(self, part: str, work: Callable[[], Awaitable[object]]) -> bool:
        """Whether it went well. That it did not is told once, until it does."""
        try:
            await work()
        except StoreError as error:
            if part not in self._failing:
                self._failing.add(part)
                log.warning("tending_failed", part=part, error=str(error))
            return False
        self._failing.discard(part)
        return True


async def _wait(event: asyncio.Event, within_s: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(within_s):
            await event.wait()
    event.clear()
