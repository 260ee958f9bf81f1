"""SQLite: one connection, used on one thread, by one user at a time.

Other processes may use the same file: `BEGIN IMMEDIATE` waits for them, up to a limit. Nothing is
reported as kept before its COMMIT has returned, with `synchronous=FULL`, and only if the file still
has its name: what is written to a file that was removed or replaced is lost with it. Then the file
of that name is opened anew, for the next try.
"""

import asyncio
import os
import sqlite3
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, TypeVar

from ringback.errors import ConfigError, InboxUnavailable, TransactionEnded
from ringback.receive.inbox.driver import HandlerTransaction, Rows
from ringback.receive.inbox.sql import Dialect, Statement, text_of
from ringback.receive.inbox.sqlite_transaction import SqliteTransaction
from ringback.receive.inbox.turn import Turn

OLDEST: Final = (3, 38, 0)  # RETURNING, JSON functions
PREFIX: Final = "sqlite:///"
STATEMENTS_KEPT: Final = 256

T = TypeVar("T")


def path_of(url: str) -> Path:
    """Three slashes and a relative path, or four and an absolute one. Raises ConfigError."""
    name = url.removeprefix(PREFIX)
    if name == url or not name or name.startswith(":memory:") or "\0" in name:
        raise ConfigError(
            f"{url!r} names no file, and what is acknowledged must be kept;"
            " write sqlite:///shop.db, or sqlite:////var/lib/shop/shop.db"
        )
    return Path(name)


class SqliteDriver:
    """`busy_s` is how long other processes are waited for; `transaction_s` see InboxSettings."""

    dialect: Dialect = "sqlite"
    is_own = True

    def __init__(self, path: Path, *, busy_s: float, transaction_s: float) -> None:
        self._path = path
        self._busy_s = busy_s
        self._transaction_s = transaction_s
        self._connection: sqlite3.Connection | None = None
        self._identity: tuple[int, int] | None = None
        self._was_open = False
        self._turn = Turn()
        self._thread: ThreadPoolExecutor | None = None

    async def open(self) -> None:
        if sqlite3.sqlite_version_info < OLDEST:
            raise ConfigError(
                f"SQLite {sqlite3.sqlite_version} is too old; the inbox needs 3.38 or newer"
            )
        async with self._turn.taken(is_urgent=True):
            await self.in_thread(self._connected)

    async def run(self, *statements: Statement, is_durable: bool = True) -> list[Rows]:
        async with self._turn.taken(is_urgent=True):
            return await self.in_thread(lambda: self._run(statements, is_durable=is_durable))

    async def run_script(self, text: str, *, lock: Statement | None) -> None:
        async with self._turn.taken(is_urgent=True):
            await self.in_thread(lambda: self._run_script(text))

    def begin(self) -> HandlerTransaction:
        return SqliteTransaction(self, self._turn, within_s=self._transaction_s)

    async def within(
        self,
        call: Callable[[Any], Any],
        statement: Statement,
        *,
        run: Callable[[Callable[[], bool]], Awaitable[bool]],
    ) -> bool:
        raise ConfigError("this inbox has no connections of the app's to lend")

    async def close(self) -> None:
        if self._thread is not None:
            async with self._turn.taken(is_urgent=True):
                await self.in_thread(self._disconnect)
            thread, self._thread = self._thread, None
            thread.shutdown(wait=True)

    # ---- for the transaction as well; each runs on the thread, in its caller's turn -------------

    async def in_thread(self, work: Callable[[], T]) -> T:
        """What is cancelled goes on in the thread, and whatever comes next waits for it."""
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, "ringback-inbox-sqlite")
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def begin_now(self, *, is_durable: bool = True) -> sqlite3.Connection:
        connection = self._connected()
        self.roll_back()  # what a cancelled caller may have left open
        connection.execute(f"PRAGMA synchronous = {'FULL' if is_durable else 'NORMAL'}")
        connection.execute("BEGIN IMMEDIATE")
        return connection

    def in_transaction(self) -> sqlite3.Connection:
        """Raises TransactionEnded if what comes next would be committed by itself."""
        if self._connection is None or not self._connection.in_transaction:
            raise TransactionEnded(
                "the transaction was rolled back by SQLite after an error, or committed by the"
                " handler: let errors out, and leave COMMIT to the inbox"
            )
        return self._connection

    def interrupt(self) -> None:
        """From any thread: what runs just now fails."""
        if self._connection is not None:
            self._connection.interrupt()

    def execute(self, statement: Statement) -> Rows:
        connection = self._connected()
        return connection.execute(text_of(self.dialect, statement), statement.values).fetchall()

    def commit(self) -> None:
        """Raises InboxUnavailable if the file is not the one that has the name."""
        self._connected().execute("COMMIT")
        if self._identity_now() != self._identity:
            self._disconnect()
            raise InboxUnavailable(
                f"{self._path} was removed or replaced, and nothing is kept in a file without a"
                " name; put it back"
            )

    def roll_back(self) -> None:
        """SQLite has rolled back by itself after some errors, and not after others."""
        if self._connection is not None and self._connection.in_transaction:
            self._connection.execute("ROLLBACK")

    # ---- on the thread --------------------------------------------------------------------------

    def _run(self, statements: tuple[Statement, ...], *, is_durable: bool) -> list[Rows]:
        self.begin_now(is_durable=is_durable)
        try:
            results = [self.execute(statement) for statement in statements]
            self.commit()
        except BaseException:
            self.roll_back()
            raise
        return results

    def _run_script(self, text: str) -> None:
        """The script creates only what is missing, so that half of it does no harm."""
        connection = self._connected()
        self.roll_back()
        connection.executescript(f"BEGIN IMMEDIATE;\n{text}\nCOMMIT;")

    def _connected(self) -> sqlite3.Connection:
        if self._connection is None:
            self._connection = self._connect()
            self._identity = self._identity_now()
            self._was_open = True
        return self._connection

    def _connect(self) -> sqlite3.Connection:
        # Once it was there, a missing file is an accident and not a beginning.
        mode = "rw" if self._was_open else "rwc"
        connection = sqlite3.connect(
            f"{self._path.absolute().as_uri()}?mode={mode}",
            uri=True,
            timeout=self._busy_s,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=STATEMENTS_KEPT,
        )
        try:
            connection.execute("PRAGMA journal_mode = WAL").fetchall()
            connection.execute("PRAGMA foreign_keys = ON")
        except sqlite3.Error:
            connection.close()
            raise
        return connection

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _identity_now(self) -> tuple[int, int] | None:
        try:
            found = os.stat(self._path)
        except OSError:
            return None
        return found.st_dev, found.st_ino
