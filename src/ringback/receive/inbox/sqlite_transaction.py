"""A handler's transaction on SQLite. It keeps everybody else from writing, so it must be short.

It takes its turn at its first statement. `within_s` later it is rolled back, and the handler's next
statement, or its end, raises TransactionEnded: acknowledgements do not wait for slow handlers.
"""

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

from ringback.errors import TransactionEnded
from ringback.receive.inbox.driver import Rows
from ringback.receive.inbox.sql import Statement
from ringback.receive.inbox.turn import Turn

if TYPE_CHECKING:
    from ringback.receive.inbox.sqlite import SqliteDriver

T = TypeVar("T")


class SqliteTransaction:
    """Fits HandlerTransaction. Its statements run one after the other, whoever asks."""

    def __init__(self, driver: "SqliteDriver", turn: Turn, *, within_s: float) -> None:
        self._driver = driver
        self._turn = turn
        self._within_s = within_s
        self._one_by_one = asyncio.Lock()
        self._has_turn = False
        self._why_ended = ""
        self._timer: asyncio.Task[None] | None = None

    async def execute(self, text: str, *values: Any) -> None:
        await self._do(lambda connection: connection.execute(text, values).fetchall())

    async def fetch(self, text: str, *values: Any) -> Rows:
        return await self._do(lambda connection: connection.execute(text, values).fetchall())

    async def fetchrow(self, text: str, *values: Any) -> Any:
        rows = await self.fetch(text, *values)
        return rows[0] if rows else None

    async def fetchval(self, text: str, *values: Any) -> Any:
        rows = await self.fetch(text, *values)
        return rows[0][0] if rows else None

    async def connection(self) -> sqlite3.Connection:
        """Each of its statements blocks the event loop; `execute` does not."""
        return await self._do(lambda connection: connection)

    async def finish(self, statement: Statement) -> bool:
        async with self._one_by_one:
            self._check()
            self._why_ended = "the handler has returned"
            self._stop_timer()
            if not self._has_turn:
                [rows] = await self._driver.run(statement)
                return bool(rows)
            try:
                return await self._driver.in_thread(lambda: self._commit_with(statement))
            finally:
                self._give_turn()

    async def undo(self) -> None:
        await self._end("the attempt is over")

    async def _do(self, work: Callable[[sqlite3.Connection], T]) -> T:
        async with self._one_by_one:
            self._check()
            if not self._has_turn:
                await self._take_turn()
                # In one go, so that what is cancelled between the two is never half begun.
                return await self._driver.in_thread(lambda: work(self._begun()))
            return await self._driver.in_thread(lambda: work(self._driver.in_transaction()))

    async def _take_turn(self) -> None:
        await self._turn.take(is_urgent=False)
        self._has_turn = True
        self._timer = asyncio.get_running_loop().create_task(self._end_in_time())

    async def _end_in_time(self) -> None:
        await asyncio.sleep(self._within_s)
        self._driver.interrupt()
        await self._end(
            f"the handler kept others from writing for {self._within_s:g} s: call slow services"
            " before the first statement, or raise sqlite_transaction_s"
        )

    async def _end(self, why: str) -> None:
        self._why_ended = self._why_ended or why
        async with self._one_by_one:
            if self._has_turn:
                try:
                    with suppress(sqlite3.Error):
                        await self._driver.in_thread(self._driver.roll_back)
                finally:
                    self._give_turn()

    def _begun(self) -> sqlite3.Connection:
        """Its commit need not wait for the disk.

        Should the machine crash, effect and note are gone together; the event is not, and is
        processed again.
        """
        return self._driver.begin_now(is_durable=False)

    def _commit_with(self, statement: Statement) -> bool:
        try:
            self._driver.in_transaction()
            if not self._driver.execute(statement):
                self._driver.roll_back()
                return False
            self._driver.commit()
        except BaseException:
            self._driver.roll_back()
            raise
        return True

    def _check(self) -> None:
        if self._why_ended:
            raise TransactionEnded(self._why_ended)

    def _give_turn(self) -> None:
        self._has_turn = False
        self._stop_timer()
        self._turn.give()

    def _stop_timer(self) -> None:
        if self._timer is not None and self._timer is not asyncio.current_task():
            self._timer.cancel()
