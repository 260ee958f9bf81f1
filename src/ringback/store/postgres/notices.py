"""What nodes tell one another, by NOTIFY: the `Notices` of the port.

Listening has a connection of its own, which is made anew when it breaks. Between two of them
notices are lost, so each one begins with MISSED. PgBouncer in transaction mode passes no notices
on: then there is a MISSED every `tend_every_s` instead, and everybody looks for himself.

A commit that notifies holds a lock of the whole server while it waits for the disk. So only what
changes seldom tells as it commits; all else is told afterwards, by `tell`, which writes nothing.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Final, NoReturn

import msgspec
import structlog

from ringback.config import Settings
from ringback.errors import ConfigError, SchemaMismatch, StoreError
from ringback.store.nodes import Notice, NoticeKind
from ringback.store.postgres.connection import Connection, connect
from ringback.store.postgres.database import Database
from ringback.store.postgres.faults import FAULTS
from ringback.store.postgres.sql import query

CHANNEL: Final = "ringback"
LOOK_EVERY_S: Final = 10.0  # a connection that broke silently is found out after this
AGAIN_AFTER_S: Final = 0.5
AGAIN_AFTER_S_MAX: Final = 10.0

_MISSED: Final = Notice(NoticeKind.MISSED)
_decode: Final = msgspec.json.Decoder(Notice).decode

log = structlog.get_logger()


class PostgresNotices:
    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._settings = settings

    async def tell(self, notice: Notice) -> None:
        await self._database.call(query("notify"), msgspec.json.encode(notice).decode())

    async def listen(self, on_notice: Callable[[Notice], None]) -> None:
        if self._settings.postgres_pgbouncer:
            await self._look_instead(on_notice)
        wait_s = AGAIN_AFTER_S
        while True:
            try:
                connection = await connect(self._settings)
            except (StoreError, ConfigError, SchemaMismatch) as error:
                log.debug("not_listening", error=str(error))
                wait_s = min(2 * wait_s, AGAIN_AFTER_S_MAX)
            else:
                wait_s = AGAIN_AFTER_S
                await self._hear(connection, on_notice)
            await self._database.clock.sleep(wait_s)

    async def _hear(self, connection: Connection, on_notice: Callable[[Notice], None]) -> None:
        """Until the connection breaks."""

        def heard(_connection: object, _pid: int, _channel: str, payload: object) -> None:
            try:
                notice = _decode(str(payload))
            except msgspec.MsgspecError:
                return  # of a later version: it concerns nothing that this one has
            on_notice(notice)

        broken = asyncio.Event()
        connection.add_termination_listener(lambda _connection: broken.set())
        try:
            await connection.add_listener(CHANNEL, heard)
            on_notice(_MISSED)
            while not await _is_set(broken, LOOK_EVERY_S):
                await connection.fetchval(query("ping"))
        except FAULTS as error:
            log.debug("not_listening", error=str(error))
        finally:
            connection.terminate()

    async def _look_instead(self, on_notice: Callable[[Notice], Any]) -> NoReturn:
        while True:
            await self._database.clock.sleep(self._settings.tend_every_s)
            on_notice(_MISSED)


async def _is_set(event: asyncio.Event, within_s: float) -> bool:
    try:
        async with asyncio.timeout(within_s):
            await event.wait()
    except TimeoutError:
        return False
    return True
