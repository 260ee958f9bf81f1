"""The seam to a database: statements that run together, and transactions for handlers.

    SqliteDriver      `sqlite:///…`                one connection, one thread
    PostgresDriver    `postgresql://…`, a pool     asyncpg
    AppDriver         a callable of the app        any DB-API connection, in threads

A driver knows nothing of events. Whatever a database reports, it raises as it is; the inbox turns
it into InboxUnavailable where a provider waits for the answer.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol

from ringback.receive.inbox.sql import Dialect, Statement

Rows = list[Sequence[Any]]


class Transaction(Protocol):
    """What an async handler gets. The database's transaction begins when it is first used.

    What is written is kept if the handler returns, together with the note that the event is done,
    and rolled back if it raises. The placeholders are the database's: `?` for SQLite, `$1` for
    PostgreSQL.
    """

    async def execute(self, text: str, *values: Any) -> None: ...
    async def fetch(self, text: str, *values: Any) -> Rows: ...
    async def fetchrow(self, text: str, *values: Any) -> Sequence[Any] | None: ...
    async def fetchval(self, text: str, *values: Any) -> Any: ...
    async def connection(self) -> Any:
        """The driver's own connection, inside the transaction: never commit or close it."""


class SyncTransaction(Protocol):
    """The same for a handler that is not async, which runs in a thread."""

    def execute(self, text: str, *values: Any) -> None: ...
    def fetch(self, text: str, *values: Any) -> Rows: ...
    def fetchrow(self, text: str, *values: Any) -> Sequence[Any] | None: ...
    def fetchval(self, text: str, *values: Any) -> Any: ...


class HandlerTransaction(Transaction, Protocol):
    """A transaction as its owner sees it: `finish` or `undo` ends it."""

    async def finish(self, statement: Statement) -> bool:
        """Run the statement too and commit, if it changes a row; else roll back. Whether it did.

        If the handler has never used the transaction, the statement runs by itself.
        """

    async def undo(self) -> None:
        """Roll back what is not finished. Safe to call twice; later uses raise TransactionEnded."""


class Driver(Protocol):
    """`is_own` is False if connections are the app's: then only sync handlers get one."""

    dialect: Dialect
    is_own: bool

    async def open(self) -> None:
        """Ready for `run`. Safe to call twice."""

    async def run(self, *statements: Statement, is_durable: bool = True) -> list[Rows]:
        """The rows of each statement; all of them in one transaction, and committed.

        What need not be durable may be undone by the machine's crash, never by that of a process.
        """

    async def run_script(self, text: str, *, lock: Statement | None) -> None:
        """A script of several statements in one transaction, after the lock if there is one."""

    def begin(self) -> HandlerTransaction:
        """A transaction for a handler."""

    async def within(
        self,
        call: Callable[[Any], Any],
        statement: Statement,
        *,
        run: Callable[[Callable[[], bool]], Awaitable[bool]],
    ) -> bool:
        """A connection of the app's for `call`, and the statement in the same transaction.

        `run` takes what blocks to a thread. Whether the statement changed a row; if not, all is
        rolled back.
        """

    async def close(self) -> None:
        """Safe to call twice."""
