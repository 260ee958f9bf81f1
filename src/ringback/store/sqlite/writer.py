"""The one thread that writes. It takes whole transactions and commits those that queue together.

    event loop ──run()──► queue ──► thread: BEGIN, one after the other, COMMIT ──► one wake-up

Handing over a whole transaction costs one thread switch, not one per statement. While a group is
being synced to the disk the next one gathers in the queue, so groups grow with the load.

The thread needs the interpreter lock back after every statement, a handful of times a group. A busy
event loop gives it away at each poll and takes it again before this thread is awake, and Python's
usual 5 ms of patience never run out: commits were measured to take seconds beside a loop whose
turns take 200 µs. With `SWITCH_INTERVAL_S` the same commits take 1.5 ms. It concerns the whole
process, so whoever composes it sets it: `sys.setswitchinterval(SWITCH_INTERVAL_S)`.
"""

import asyncio
import sqlite3
import threading
from collections.abc import Callable, Iterator
from queue import Empty, SimpleQueue
from typing import Any, Final, TypeVar

from msgspec import Struct

from ringback.errors import StoreUnavailable
from ringback.store.sqlite.commit import Outcome, Transaction, commit_together
from ringback.store.sqlite.guard import Guard

T = TypeVar("T")

SWITCH_INTERVAL_S: Final = 0.00005
GROUP_MAX: Final = 64  # transactions committed together
QUEUE_MAX: Final = 4_096  # transactions that wait; more are refused


class _Job(Struct, frozen=True):
    transaction: Transaction
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[Any]


class Writer:
    """Owns its connection from construction to `close`."""

    def __init__(self, connection: sqlite3.Connection, guard: Guard) -> None:
        self._connection = connection
        self._guard = guard
        self._queue: SimpleQueue[_Job | None] = SimpleQueue()
        self._is_closed = False
        self._thread = threading.Thread(target=self._serve, name="sqlite-writer", daemon=True)
        self._thread.start()

    async def run(self, run: Callable[[sqlite3.Connection], T], *, is_checked: bool = False) -> T:
        """Run in a transaction and return its result after the commit.

        A caller that is cancelled does not know whether the transaction was committed.
        """
        if self._is_closed:
            raise StoreUnavailable("the store is closed")
        if self._queue.qsize() >= QUEUE_MAX:
            raise StoreUnavailable("too many writes are waiting for the disk; try again later")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._queue.put(_Job(Transaction(run, is_checked), loop, future))
        return await future

    async def close(self) -> None:
        """Finish what was handed in, then close the connection. Safe to call twice."""
        if not self._is_closed:
            self._is_closed = True
            self._queue.put(None)
        await asyncio.get_running_loop().run_in_executor(None, self._thread.join)

    def _serve(self) -> None:
        while (first := self._queue.get()) is not None:
            group = [first]
            is_last = False
            for job in self._waiting(GROUP_MAX - 1):
                if job is None:
                    is_last = True
                    break
                group.append(job)
            transactions = [job.transaction for job in group]
            outcomes = commit_together(self._connection, transactions, self._guard)
            _deliver(group, outcomes)
            if is_last:
                break
        self._connection.close()

    def _waiting(self, count: int) -> Iterator[_Job | None]:
        for _ in range(count):
            try:
                yield self._queue.get_nowait()
            except Empty:
                return


class InlineWriter:
    """The same on the calling thread, one transaction at a time: for tests and simulations."""

    def __init__(self, connection: sqlite3.Connection, guard: Guard, *, closes: bool) -> None:
        self._connection = connection
        self._guard = guard
        self._closes = closes
        self._is_closed = False

    async def run(self, run: Callable[[sqlite3.Connection], T], *, is_checked: bool = False) -> T:
        if self._is_closed:
            raise StoreUnavailable("the store is closed")
        [outcome] = commit_together(self._connection, [Transaction(run, is_checked)], self._guard)
        if outcome.error is not None:
            raise outcome.error
        result: T = outcome.result
        return result

    async def close(self) -> None:
        """Close the connection too, if it `closes` it."""
        self._is_closed = True
        if self._closes:
            self._connection.close()


def _deliver(group: list[_Job], outcomes: list[Outcome]) -> None:
    """Wake each event loop once."""
    by_loop: dict[asyncio.AbstractEventLoop, list[tuple[_Job, Outcome]]] = {}
    for job, outcome in zip(group, outcomes, strict=True):
        by_loop.setdefault(job.loop, []).append((job, outcome))
    for loop, settled in by_loop.items():
        try:
            loop.call_soon_threadsafe(_settle, settled)
        except RuntimeError:  # the loop is closed, so nobody waits
            continue


def _settle(settled: list[tuple[_Job, Outcome]]) -> None:
    for job, outcome in settled:
        if job.future.done():  # its caller was cancelled
            continue
        if outcome.error is not None:
            job.future.set_exception(outcome.error)
        else:
            job.future.set_result(outcome.result)
