"""Kept-alive connections, by origin. Owns their number and their age; opens none.

Within an origin the last one used is the first taken, so that surplus ones grow old and are closed.
Over the limit of an origin the newcomer is closed, over the limit of all the oldest.
"""

import asyncio
from collections.abc import Callable

from ringback.config import Settings
from ringback.wire.deadlines import Deadlines
from ringback.wire.exchange import Connection, Origin


class Pool:
    """Idle connections only: one in use is nobody's but its exchange's."""

    def __init__(
        self, settings: Settings, *, loop: asyncio.AbstractEventLoop, now: Callable[[], float]
    ) -> None:
        self._per_origin_max = settings.connections_idle_per_origin_max
        self._idle_max = settings.connections_idle_max
        self._now = now
        self._stacks: dict[tuple[str, int, str, bool], list[Connection]] = {}
        self._ages: Deadlines[Connection] = Deadlines(
            settings.connection_idle_s, self._drop, loop=loop, now=now
        )
        self._is_closed = False

    def __len__(self) -> int:
        return len(self._ages)

    def take(self, origin: Origin | tuple[str, int, str, bool]) -> Connection | None:
        """An open connection to exactly this origin, or None."""
        stack = self._stacks.get(origin)
        while stack:
            connection = stack.pop()
            self._ages.discard(connection)
            if not stack:
                del self._stacks[origin]
            if connection.is_open:
                return connection
        return None

    def put(self, connection: Connection) -> None:
        stack = self._stacks.setdefault(connection.origin, [])
        if self._is_closed or len(stack) >= self._per_origin_max:
            connection.abort()
            return
        if len(self._ages) >= self._idle_max and (oldest := self._ages.oldest()):
            self._drop(oldest)
            stack = self._stacks.setdefault(connection.origin, [])
        stack.append(connection)
        self._ages.add(connection, self._now())

    def forget(self, connection: Connection) -> None:
        """The connection is lost, idle or not."""
        self._ages.discard(connection)
        stack = self._stacks.get(connection.origin)
        if stack and connection in stack:
            stack.remove(connection)
            if not stack:
                del self._stacks[connection.origin]

    def close(self) -> None:
        self._is_closed = True
        for connection in self._ages.everything():
            self._drop(connection)
        self._ages.close()

    def _drop(self, connection: Connection) -> None:
        self.forget(connection)
        connection.abort()
