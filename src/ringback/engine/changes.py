"""Makes what waits in memory follow when an application or one of its endpoints changes.

That a message is never routed by an old configuration is the accept transaction's promise. Here
what was routed before is given its new URL, secrets and rate, or goes back because its endpoint is
off: at once, on every node. Each application is read again at most once at a time, however often
it changes.
"""

import asyncio
from collections.abc import Callable
from typing import Final

import structlog

from ringback.clock import Clock
from ringback.engine.dispatch import Dispatcher
from ringback.engine.routes import Routes
from ringback.errors import StoreError
from ringback.store.port import Path

APPS_PER_CHECK: Final = 1_000
AGAIN_AFTER_S: Final = 0.5

log = structlog.get_logger()


class Changes:
    """`on_refreshed`: lanes may have room, or waiting rows be due, that had or were not before."""

    def __init__(
        self,
        path: Path,
        routes: Routes,
        *,
        dispatcher: Dispatcher,
        clock: Clock,
        on_refreshed: Callable[[], None],
    ) -> None:
        self._path = path
        self._routes = routes
        self._dispatcher = dispatcher
        self._clock = clock
        self._on_refreshed = on_refreshed
        self._changed: dict[str, None] = {}
        self._is_unsure = False
        self._wake = asyncio.Event()

    def note(self, app_id: str) -> None:
        """This node has changed it."""
        self._routes.forget(app_id)
        self._changed[app_id] = None
        self._wake.set()

    def hear(self, app_id: str, version: int) -> None:
        """Some node, perhaps this one, has changed it: it has this version, or a later one."""
        if self._routes.is_older(app_id, version) or self._dispatcher.is_older(app_id, version):
            self.note(app_id)

    def check_all(self) -> None:
        """Changes may have been missed."""
        self._is_unsure = True
        self._wake.set()

    async def run(self) -> None:
        """For ever: read again what has changed."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            try:
                if self._is_unsure:
                    await self._check()
                while self._changed:
                    await self._refresh(next(iter(self._changed)))
            except StoreError as error:
                log.debug("refresh_failed", error=str(error))
                await self._clock.sleep(AGAIN_AFTER_S)
                self._wake.set()

    async def _refresh(self, app_id: str) -> None:
        """What changes while it is read is read again."""
        del self._changed[app_id]
        try:
            if self._dispatcher.has_lanes(app_id):
                self._dispatcher.refresh(app_id, await self._routes.of(app_id, version=0))
        except BaseException:
            self._changed[app_id] = None
            raise
        self._on_refreshed()

    async def _check(self) -> None:
        """Which of the applications that something waits for here have changed."""
        used = self._dispatcher.versions()
        app_ids = list(used)
        for start in range(0, len(app_ids), APPS_PER_CHECK):
            page = app_ids[start : start + APPS_PER_CHECK]
            versions = await self._path.versions(page)
            for app_id in page:
                if versions.get(app_id) != used[app_id]:
                    self.note(app_id)
        self._is_unsure = False
