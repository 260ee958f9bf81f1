"""The one connection that writes. It takes whole transactions and commits together what gathers.

    run() ──► jobs ──► BEGIN, one transaction after the other ──► COMMIT ──► one wake-up

COMMIT waits for the disk, so it runs on a thread; what comes meanwhile gathers and is the next
group, so groups grow with the load. Transactions run on the thread too, unless the whole group is
light: then they run on the event loop, and the thread has nothing to do but the COMMIT.

That halves what writing costs, because a thread needs the interpreter lock back after every
statement, some fifteen times a group. A busy loop has to be asked for it, and both wait and wake
each time. A light group takes the loop about a millisecond at most; a larger one gains more from
the second core than it loses. `docs/decisions/0014-writes-on-the-event-loop.md` has the figures.

The thread needs the lock once more when the COMMIT is done, and Python's usual 5 ms of patience
would make it wait that long beside a busy loop. `SWITCH_INTERVAL_S` concerns the whole process, so
whoever composes it sets it: `sys.setswitchinterval(SWITCH_INTERVAL_S)`.
"""

import asyncio
import sqlite3
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from typing import Any, Final, TypeVar

from msgspec import Struct

from ringback.errors import StoreUnavailable
from ringback.store.sqlite.commit import (
    Outcome,
    Transaction,
    Work,
    commit,
    commit_together,
    run_at_once,
)
from ringback.store.sqlite.guard import Guard

T = TypeVar("T")

SWITCH_INTERVAL_S: Final = 0.00005
GROUP_MAX: Final = 64  # transactions committed together
LIGHT_ROWS_MAX: Final = 128  # written by a group that runs on the event loop
QUEUE_MAX: Final = 4_096  # transactions that wait; more are refused


class _Job(Struct, frozen=True):
    transaction: Transaction
    future: asyncio.Future[Any]


_Group = tuple[list[_Job], Work | None]  # with what the loop has done of it, if it has


class Writer:
    """Owns its connection from construction to `close`. Made inside the event loop it serves."""

    def __init__(self, connection: sqlite3.Connection, guard: Guard) -> None:
        self._connection = connection
        self._guard = guard
        self._loop = asyncio.get_running_loop()
        self._jobs: deque[_Job] = deque()
        self._groups: SimpleQueue[_Group | None] = SimpleQueue()
        self._is_idle = asyncio.Event()
        self._is_idle.set()
        self._is_closed = False
        self._thread = threading.Thread(target=self._serve, name="sqlite-writer", daemon=True)
        self._thread.start()

    async def run(
        self, run: Callable[[sqlite3.Connection], T], *, is_checked: bool = False, rows: int = 0
    ) -> T:
        """Run in a transaction and return its result after the commit.

        A caller that is cancelled does not know whether the transaction was committed.
        """
        if self._is_closed:
            raise StoreUnavailable("the store is closed")
        if len(self._jobs) >= QUEUE_MAX:
            raise StoreUnavailable("too many writes are waiting for the disk; try again later")
        future: asyncio.Future[T] = self._loop.create_future()
        self._jobs.append(_Job(Transaction(run, is_checked, rows), future))
        if self._is_idle.is_set():
            self._is_idle.clear()
            self._loop.call_soon(self._begin)
        return await future

    async def close(self) -> None:
        """Finish what was handed in, then close the connection. Safe to call twice."""
        if not self._is_closed:
            self._is_closed = True
            await self._is_idle.wait()
            self._groups.put(None)
        await self._loop.run_in_executor(None, self._thread.join)

    # ---- on the event loop ----------------------------------------------------------------------

    def _begin(self) -> None:
        """Form the next group, of everything that gathered while the last one was being synced."""
        group = [self._jobs.popleft() for _ in range(min(len(self._jobs), GROUP_MAX))]
        if not group:
            self._is_idle.set()
            return
        work = None
        transactions = [job.transaction for job in group]
        if _is_light(transactions):
            work = run_at_once(self._connection, transactions, self._guard)
        self._groups.put((group, work))

    def _end(self, group: list[_Job], outcomes: list[Outcome]) -> None:
        for job, outcome in zip(group, outcomes, strict=True):
            if job.future.done():  # its caller was cancelled
                continue
            if outcome.error is not None:
                job.future.set_exception(outcome.error)
            else:
                job.future.set_result(outcome.result)
        # After those who wait for these results, so that what they write next is in the group.
        self._loop.call_soon(self._begin)

    # ---- on the thread --------------------------------------------------------------------------

    def _serve(self) -> None:
        while (task := self._groups.get()) is not None:
            group, work = task
            if work is None:
                transactions = [job.transaction for job in group]
                outcomes = commit_together(self._connection, transactions, self._guard)
            else:
                outcomes = commit(self._connection, work, self._guard)
            with suppress(RuntimeError):  # the loop is closed, so nobody waits
                self._loop.call_soon_threadsafe(self._end, group, outcomes)
        self._connection.close()


def _is_light(transactions: list[Transaction]) -> bool:
    rows = 0
    for transaction in transactions:
        if not (transaction.is_checked and transaction.rows):
            return False
        rows += transaction.rows
    return rows <= LIGHT_ROWS_MAX


class InlineWriter:
    """The same on the calling thread, one transaction at a time: for tests and simulations."""

    def __init__(self, connection: sqlite3.Connection, guard: Guard, *, closes: bool) -> None:
        self._connection = connection
        self._guard = guard
        self._closes = closes
        self._is_closed = False

    async def run(
        self, run: Callable[[sqlite3.Connection], T], *, is_checked: bool = False, rows: int = 0
    ) -> T:
        if self._is_closed:
            raise StoreUnavailable("the store is closed")
        [outcome] = commit_together(
            self._connection, [Transaction(run, is_checked, rows)], self._guard
        )
        if outcome.error is not None:
            raise outcome.error
        result: T = outcome.result
        return result

    async def close(self) -> None:
        """Close the connection too, if it `closes` it."""
        self._is_closed = True
        if self._closes:
            self._connection.close()
