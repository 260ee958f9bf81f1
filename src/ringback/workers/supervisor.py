"""Keeps the workers of a service running, and stops or replaces them in order.

Worker 1 starts first, alone: it migrates, and if it cannot start the whole service does not. Then
the others, at the same time.

    SIGTERM, SIGINT   all drain and end; a second one ends everything at once
    SIGHUP            each is replaced in turn: the new one answers before the old one lets go
    a worker ends     another takes its place, at first at once, then after longer and longer pauses

It ends by itself when a worker fails again and again, rather than go on as half a service. A worker
that cannot start because of the database is tried for ever: that may come back.
"""

import asyncio
import signal
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

from ringback.clock import Clock
from ringback.config import Settings
from ringback.errors import CannotListen, WorkersFailed
from ringback.telemetry.logging import Log
from ringback.workers.door import Door
from ringback.workers.pair import ALIVE_EVERY_S
from ringback.workers.worker import Worker

FAILURES_MAX: Final = 5  # of one worker in a row
STEADY_S: Final = 10.0  # whoever has answered for so long has not failed to start
AGAIN_AFTER_S: Final = 0.1
AGAIN_AFTER_S_MAX: Final = 10.0
START_S_MAX: Final = 60.0
SILENT_S_MAX: Final = 30.0
STOP_GRACE_S: Final = 20.0  # beyond the drain, before a worker is killed
DATABASE: Final = 3  # exit code of a worker that the database refused
INTERRUPTED: Final = 130

Command = Callable[[int, int, str], Sequence[str]]


class Supervisor:
    """`command` makes a worker's command line from its number, a descriptor and the URL."""

    def __init__(self, settings: Settings, command: Command, *, clock: Clock, log: Log) -> None:
        self._settings = settings
        self._command = command
        self._clock = clock
        self._log = log
        self._workers: dict[int, Worker] = {}
        self._all: set[Worker] = set()  # those that are being replaced, too
        self._locks = {number: asyncio.Lock() for number in range(1, settings.workers + 1)}
        self._is_stopping = asyncio.Event()
        self._is_hurried = asyncio.Event()
        self._is_restart_wanted = asyncio.Event()

    async def run(self) -> int:
        """Until a signal; the exit code. Raises CannotListen, or WorkersFailed in the end."""
        self._door = Door(*self._settings.address(), self._workers.values)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._on_signal, number)
        loop.add_signal_handler(signal.SIGHUP, self._is_restart_wanted.set)
        work = asyncio.create_task(self._work())
        asked = asyncio.create_task(self._is_stopping.wait())
        try:
            await asyncio.wait({work, asked}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            is_asked = asked.done()
            asked.cancel()
            work.cancel()
            with suppress(asyncio.CancelledError, WorkersFailed, CannotListen, _NotStarted):
                await work
            self._door.close()
            codes = await self._stop_all()
        return self._verdict(work, codes, is_asked=is_asked)

    def _on_signal(self, number: signal.Signals) -> None:
        if self._is_stopping.is_set():
            self._log.warning("stopping_at_once", signal=number.name)
            self._is_hurried.set()
        else:
            self._log.info("stopping", signal=number.name)
            self._is_stopping.set()

    def _verdict(self, work: "asyncio.Task[None]", codes: list[int], *, is_asked: bool) -> int:
        if self._is_hurried.is_set():
            return INTERRUPTED
        if not is_asked and not work.cancelled() and (error := work.exception()) is not None:
            if isinstance(error, _NotStarted):
                return error.code
            raise error
        self._log.info("stopped", workers=len(codes))
        return next((code if code > 0 else 1 for code in codes if code), 0)

    # ---- running --------------------------------------------------------------------------------

    async def _work(self) -> None:
        first, *others = self._locks
        await self._begin(first)
        await asyncio.gather(*map(self._begin, others))
        self._door.open()
        self._log.info("workers_ready", url=self._door.url, workers=len(self._workers))
        try:
            async with asyncio.TaskGroup() as group:
                for number in self._locks:
                    group.create_task(self._keep(number))
                group.create_task(self._look_after())
                group.create_task(self._replace_when_asked())
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None

    async def _begin(self, number: int) -> None:
        worker = self._workers[number] = await self._start(number)
        if not await worker.ready():
            raise _NotStarted(await worker.ended())

    async def _start(self, number: int) -> Worker:
        worker = await Worker.start(
            number,
            lambda number, descriptor: self._command(number, descriptor, self._door.url),
            clock=self._clock,
        )
        self._all.add(worker)
        return worker

    async def _keep(self, number: int) -> None:
        """For ever: when the worker of this number ends, start another."""
        failures = 0
        while True:
            worker = self._workers[number]
            code = await worker.ended()
            self._all.discard(worker)
            async with self._locks[number]:
                if self._workers[number] is not worker:
                    continue  # it was replaced
                failures = 1 if worker.steady_s() >= STEADY_S else failures + 1
                if code == 0:  # somebody has asked it to end
                    failures = 0
                self._log.warning("worker_ended", worker=number, pid=worker.pid, code=code)
                if failures > FAILURES_MAX and code != DATABASE:
                    raise WorkersFailed(
                        f"worker {number} has ended {failures} times in a row, the last time with"
                        f" {_in_words(code)}; see the log above for why, then start again"
                    )
                await self._clock.sleep(_pause_s(failures))
                self._workers[number] = await self._start(number)

    async def _look_after(self) -> None:
        """For ever: end workers that hang, so that others take their place."""
        while True:
            await self._clock.sleep(ALIVE_EVERY_S)
            now_s = self._clock.monotonic()
            for worker in list(self._all):
                limit_s = SILENT_S_MAX if worker.is_ready else START_S_MAX
                if now_s - worker.heard_at_s > limit_s:
                    self._log.error("worker_silent", worker=worker.number, pid=worker.pid)
                    worker.kill()

    # ---- replacing ------------------------------------------------------------------------------

    async def _replace_when_asked(self) -> None:
        while True:
            await self._is_restart_wanted.wait()
            self._is_restart_wanted.clear()
            self._log.info("restarting", workers=len(self._workers))
            if await self._replace_all():
                self._log.info("restarted", workers=len(self._workers))

    async def _replace_all(self) -> bool:
        """Whether all were; those that were not serve on as they were."""
        for number, lock in self._locks.items():
            async with lock:
                new = await self._start(number)
                if not await new.ready():
                    self._all.discard(new)
                    why = _in_words(await new.ended())
                    self._log.error("restart_failed", worker=number, why=why)
                    return False
                old, self._workers[number] = self._workers[number], new
            old.stop(is_replaced=True)
            await self._end(old)
        return True

    # ---- stopping -------------------------------------------------------------------------------

    async def _stop_all(self) -> list[int]:
        for worker in self._all:
            worker.stop()
        return await asyncio.gather(*map(self._end, list(self._all)))

    async def _end(self, worker: Worker) -> int:
        """Wait for the end of one that was asked to stop, but not for ever; its exit code."""
        ended = asyncio.create_task(worker.ended())
        hurried = asyncio.create_task(self._is_hurried.wait())
        limit_s = self._settings.drain_timeout_s + STOP_GRACE_S
        await asyncio.wait({ended, hurried}, timeout=limit_s, return_when=asyncio.FIRST_COMPLETED)
        if not ended.done():
            if not hurried.done():
                self._log.error("worker_killed", worker=worker.number, pid=worker.pid)
            worker.kill()
        hurried.cancel()
        self._all.discard(worker)
        return await ended


class _NotStarted(Exception):
    """A worker ended before it was ready, and has said why."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code if code > 0 else 1


def _pause_s(failures: int) -> float:
    return float(min(AGAIN_AFTER_S * 2 ** (failures - 1), AGAIN_AFTER_S_MAX))


def _in_words(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    with suppress(ValueError):
        return signal.Signals(-code).name
    return f"signal {-code}"
