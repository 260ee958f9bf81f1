"""What keeps a node and its database in order: adoption, retention, reclaiming, background tasks.

Every part is a loop of short transactions over bounded batches, survives errors, and never holds
the writer for long.
"""

from collections.abc import Awaitable, Callable

import structlog

from ringback.clock import Clock
from ringback.config import Settings
from ringback.engine.claim import Claimer
from ringback.engine.lease import Tenure
from ringback.errors import StoreError
from ringback.model import Task, TaskStatus
from ringback.store.port import Path, Tending

DAY_MS = 86_400_000
ADOPT_BATCHES_MAX = 20
STEP_REST_S = 0.01
RECLAIM_PAGES = 256
TASKS_MAX = 20
TASK_MESSAGES_PER_STEP = 200

log = structlog.get_logger()


class Tender:
    def __init__(
        self,
        path: Path,
        tending: Tending,
        *,
        claimer: Claimer,
        tenure: Tenure,
        settings: Settings,
        clock: Clock,
    ) -> None:
        self._path = path
        self._tending = tending
        self._claimer = claimer
        self._tenure = tenure
        self._settings = settings
        self._clock = clock

    async def adopt(self) -> None:
        """For ever: bring back what dead nodes held."""
        while True:
            await self._guarded(self.adopt_all)
            await self._clock.sleep(self._settings.lease_s / 2)

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

    async def retain(self) -> None:
        """For ever: delete what is past its retention, and give space back."""
        while True:
            await self._guarded(self.retain_all)
            await self._clock.sleep(self._settings.retention_every_s)

    async def retain_all(self) -> None:
        limit = self._settings.retention_batch_max
        tending = self._tending

        def payloads_before_ms() -> int:
            return self._clock.now_ms() - self._settings.payload_retention_days * DAY_MS

        def messages_before_ms() -> int:
            return self._clock.now_ms() - self._settings.message_retention_days * DAY_MS

        # Messages before payloads: what goes as a whole is not emptied first.
        steps: list[Callable[[], Awaitable[int]]] = [
            lambda: tending.delete_attempts(before_ms=messages_before_ms(), limit=limit),
            lambda: tending.delete_messages(before_ms=messages_before_ms(), limit=limit),
            lambda: tending.expire_payloads(
                now_ms=self._clock.now_ms(), before_ms=payloads_before_ms(), limit=limit
            ),
            lambda: tending.forget_answers(now_ms=self._clock.now_ms(), limit=limit),
            lambda: tending.purge_deleted(limit=limit),
        ]
        await tending.make_room(now_ms=self._clock.now_ms())
        for step in steps:
            while await step() >= limit:
                await self._clock.sleep(STEP_REST_S)
        while await tending.reclaim(pages=RECLAIM_PAGES) >= RECLAIM_PAGES:
            await self._clock.sleep(STEP_REST_S)

    async def run_tasks(self, wake: Callable[[], Awaitable[None]]) -> None:
        """For ever: one step of each running task in turn; `wake` waits for a new one."""
        while True:
            tasks: list[Task] = []
            try:
                tasks = await self._tending.running_tasks(limit=TASKS_MAX)
                for task in tasks:
                    await self.step(task)
            except StoreError as error:
                log.debug("task_step_failed", error=str(error))
            if tasks:
                await self._clock.sleep(STEP_REST_S)
            else:
                await wake()

    async def step(self, task: Task) -> Task:
        """One bounded step; what it brought back is claimed at once."""
        after = await self._tending.recover_step(
            task, now_ms=self._clock.now_ms(), limit=TASK_MESSAGES_PER_STEP
        )
        if after.done_count != task.done_count:
            self._claimer.wake()
        if after.status is TaskStatus.FINISHED:
            log.info("task_finished", task_id=task.id, kind=task.kind, count=after.done_count)
        return after

    async def _guarded(self, work: Callable[[], Awaitable[None]]) -> None:
        try:
            await work()
        except StoreError as error:
            log.debug("tending_failed", part=work.__name__, error=str(error))
