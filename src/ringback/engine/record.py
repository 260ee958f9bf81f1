"""Commits what became of deliveries, many together, and never loses a result while it can wait.

A result on its own is recorded at once. Under load the results of a moment are recorded together:
nobody waits for them. A result stays in memory until its transaction has committed. While the
database cannot be written the same results are tried again, and past `record_queue_max` nothing new
is sent (`is_behind`).
"""

import asyncio
import math
from collections import deque
from collections.abc import Callable

import structlog
from msgspec import Struct

from ringback.clock import Clock
from ringback.config import Settings
from ringback.engine.lane import Batch
from ringback.engine.lease import Tenure
from ringback.errors import Fenced, StoreError
from ringback.model import Attempt
from ringback.store.port import Disable, Health, Lease, Path, Record, Waiting

GATHER_S = 0.01  # after a transaction until the next, unless there is enough for a whole one
RETRY_WAIT_S = 0.2
RETRY_WAIT_S_MAX = 1.0  # one question a second burdens no database, and all wait for its answer

log = structlog.get_logger()


class Result(Struct, frozen=True):
    """What became of one delivery of a batch: tried, waiting again, both, or neither (canceled)."""

    batch: Batch
    attempt: Attempt | None = None
    waiting: Waiting | None = None
    health: Health | None = None
    disable: Disable | None = None


class Recorder:
    """`on_waiting` is told the earliest due time among waiting rows that were committed,
    `on_disabled` the application of an endpoint that was disabled."""

    def __init__(
        self,
        path: Path,
        tenure: Tenure,
        *,
        settings: Settings,
        clock: Clock,
        on_waiting: Callable[[int], None],
        on_disabled: Callable[[str], None],
        on_behind: Callable[[], None],
        on_caught_up: Callable[[], None],
    ) -> None:
        self._path = path
        self._tenure = tenure
        self._settings = settings
        self._clock = clock
        self._on_waiting = on_waiting
        self._on_disabled = on_disabled
        self._on_behind = on_behind
        self._on_caught_up = on_caught_up
        self._results: deque[Result] = deque()
        self._wake = asyncio.Event()
        self._is_idle = asyncio.Event()
        self._is_idle.set()
        self._written_s = -math.inf
        self._writing = 0
        self._has_lost = False
        self.is_behind = False

    @property
    def count(self) -> int:
        """Results that are not recorded yet."""
        return len(self._results) + self._writing

    def add(self, result: Result) -> None:
        self._results.append(result)
        self._is_idle.clear()
        self._wake.set()
        if len(self._results) > self._settings.record_queue_max and not self.is_behind:
            self.is_behind = True
            self._on_behind()

    def abandon(self) -> None:
        """Forget what is not recorded: the lease is gone, so its batches are another node's.

        What still comes of them is forgotten too: else two nodes would go on with one delivery.
        """
        self._results.clear()
        self._has_lost = True

    async def settled(self) -> None:
        """Wait until everything added so far is committed."""
        await self._is_idle.wait()

    async def run(self) -> None:
        while True:
            if not self._results:
                self._is_idle.set()
                self._wake.clear()
                await self._wake.wait()
            await self._gather()
            if self._results:  # else the lease was lost meanwhile
                await self._flush()
                self._written_s = self._clock.monotonic()

    async def _gather(self) -> None:
        wait_s = self._written_s + GATHER_S - self._clock.monotonic()
        if wait_s > 0 and len(self._results) < self._settings.record_batch_max:
            await self._clock.sleep(wait_s)

    async def _flush(self) -> None:
        count = min(len(self._results), self._settings.record_batch_max)
        results = [self._results.popleft() for _ in range(count)]
        if self._has_lost:
            results = [result for result in results if self._tenure.holds(result.batch.id)]
            if not results:
                return
        record = _record(results)
        self._writing = count
        if await self._write(record, count):
            self._recorded(record, results)
        self._writing = 0

    async def _write(self, record: Record, count: int) -> bool:
        """Until it is committed (True), or the lease that it was made under is gone (False)."""
        wait_s = RETRY_WAIT_S
        lease: Lease | None = None
        while True:
            try:
                lease = lease or self._tenure.lease
                await self._path.record(lease, record)
                return True
            except Fenced:
                log.warning("results_abandoned", count=count)
                return False
            except StoreError as error:
                log.debug("results_not_recorded", count=count, error=str(error))
                await self._clock.sleep(wait_s)
                wait_s = min(2 * wait_s, RETRY_WAIT_S_MAX)

    def _recorded(self, record: Record, results: list[Result]) -> None:
        if record.waiting:
            self._on_waiting(min(waiting.due_at_ms for waiting in record.waiting))
        for result in results:
            if result.disable is not None and result.attempt is not None:
                log.warning("endpoint_disabled", endpoint_id=result.disable.endpoint_id)
                self._on_disabled(result.attempt.app_id)
        if self.is_behind and len(self._results) <= self._settings.record_queue_max // 2:
            self.is_behind = False
            self._on_caught_up()


def _record(results: list[Result]) -> Record:
    finished = []
    for result in results:
        result.batch.remaining -= 1
        if result.batch.remaining == 0:
            finished.append(result.batch.id)
    health = {result.health.endpoint_id: result.health for result in results if result.health}
    return Record(
        attempts=[result.attempt for result in results if result.attempt is not None],
        waiting=[result.waiting for result in results if result.waiting is not None],
        finished_batches=finished,
        health=list(health.values()),
        disable=[result.disable for result in results if result.disable is not None],
    )
