"""Connections of the app's own: `connect()` gives one, in a transaction, as a context manager.

    Inbox(pool.connection)                      psycopg_pool, or  lambda: psycopg.connect(url)
    Inbox(engine.begin)                         SQLAlchemy; or  sessions.begin
    Inbox(django_connection)                    Django

Its end must commit, or roll back if an exception comes out. Both are tried when the inbox opens,
because a `connect` that does neither would lose events in silence.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Any, Final, TypeVar

from ringback.errors import ConfigError
from ringback.receive.inbox.connection import dialect_of, execute, execute_script, raw
from ringback.receive.inbox.driver import HandlerTransaction, Rows
from ringback.receive.inbox.sql import Dialect, Statement

T = TypeVar("T")
Connect = Callable[[], AbstractContextManager[Any]]

THREADS: Final = 4  # for our own statements; handlers have theirs


class _Undone(Exception):
    """What is raised in a transaction so that it is rolled back."""


class AppDriver:
    """Every use is in a thread. `dialect` is known once it is open."""

    is_own = False

    def __init__(self, connect: Connect) -> None:
        self._connect = connect
        self._threads: ThreadPoolExecutor | None = None
        self.dialect: Dialect = "postgres"

    async def open(self) -> None:
        if self._threads is None:
            self.dialect = await self._in_thread(self.look)

    async def run(self, *statements: Statement, is_durable: bool = True) -> list[Rows]:
        return await self._in_thread(lambda: self._run(statements))

    async def run_script(self, text: str, *, lock: Statement | None) -> None:
        await self._in_thread(lambda: self._run_script(text, lock))

    def begin(self) -> HandlerTransaction:
        raise ConfigError(
            "this inbox uses connections of the app's, which only handlers that are not async can"
            " have: write `def`, or open the inbox with a URL"
        )

    async def within(
        self,
        call: Callable[[Any], Any],
        statement: Statement,
        *,
        run: Callable[[Callable[[], bool]], Awaitable[bool]],
    ) -> bool:
        def attempt() -> bool:
            with suppress(_Undone), self._connect() as connection:
                call(connection)
                if not execute(raw(connection), self.dialect, statement):
                    raise _Undone
                return True
            return False

        return await run(attempt)

    async def close(self) -> None:
        if self._threads is not None:
            threads, self._threads = self._threads, None
            await asyncio.to_thread(threads.shutdown)

    async def try_out(self, mark: str) -> None:
        """Raises ConfigError if `connect` does not commit, or does not roll back.

        `mark` is a name that no other process uses just now.
        """
        await self._in_thread(lambda: self._try_out(mark))

    async def _in_thread(self, work: Callable[[], T]) -> T:
        if self._threads is None:
            self._threads = ThreadPoolExecutor(THREADS, "ringback-inbox")
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    # ---- in a thread ----------------------------------------------------------------------------

    def look(self) -> Dialect:
        """Which database `connect` leads to."""
        with self._connect() as connection:
            return dialect_of(raw(connection))

    def _run(self, statements: tuple[Statement, ...]) -> list[Rows]:
        with self._connect() as connection:
            inner = raw(connection)
            return [execute(inner, self.dialect, statement) for statement in statements]

    def _run_script(self, text: str, lock: Statement | None) -> None:
        with self._connect() as connection:
            inner = raw(connection)
            if lock is not None:
                execute(inner, self.dialect, lock)
            execute_script(inner, self.dialect, text)

    def _try_out(self, mark: str) -> None:
        write, read = Statement("write_mark", (mark, 1)), Statement("read_mark", (mark,))
        forget = Statement("delete_mark", (mark,))
        self._run((write,))
        if not self._run((read,))[0]:
            raise ConfigError(
                "what the inbox writes is gone after the end of `connect`: it must commit. Give"
                " engine.begin and not engine.connect, or a context manager that commits"
            )
        self._run((forget,))
        with suppress(_Undone), self._connect() as connection:
            execute(raw(connection), self.dialect, write)
            raise _Undone
        if self._run((read,))[0]:
            self._run((forget,))
            raise ConfigError(
                "what the inbox writes stays although an exception ended `connect`: it must roll"
                " back. Give connections without autocommit, in a context manager of theirs"
            )


@contextmanager
def django_connection(alias: str = "default") -> Iterator[Any]:
    """Django's connection in a transaction, for `Inbox(django_connection)`."""
    from django.db import close_old_connections, connections, transaction  # type: ignore[import-untyped,import-not-found,unused-ignore]

    close_old_connections()
    with transaction.atomic(using=alias):
        yield connections[alias]
