"""A transaction for a handler that runs in a thread: each statement is run on the event loop."""

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar

from ringback.receive.inbox.driver import Rows, Transaction

T = TypeVar("T")


class Sync:
    """Fits SyncTransaction."""

    def __init__(self, transaction: Transaction, loop: asyncio.AbstractEventLoop) -> None:
        self._transaction = transaction
        self._loop = loop

    def execute(self, text: str, *values: Any) -> None:
        self._result(self._transaction.execute(text, *values))

    def fetch(self, text: str, *values: Any) -> Rows:
        return self._result(self._transaction.fetch(text, *values))

    def fetchrow(self, text: str, *values: Any) -> Sequence[Any] | None:
        return self._result(self._transaction.fetchrow(text, *values))

    def fetchval(self, text: str, *values: Any) -> Any:
        return self._result(self._transaction.fetchval(text, *values))

    def _result(self, action: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(action, self._loop).result()
