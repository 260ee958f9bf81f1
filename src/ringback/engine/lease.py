"""This node's right to send: joined at the start, renewed in time, given back at the end.

While the lease cannot be renewed before it runs out, nothing is sent: another node may already
have adopted what this one holds. Batch ids are `epoch << 32 | n`, so no two nodes share one.
"""

import socket
from collections.abc import Callable

import structlog

from ringback.clock import Clock
from ringback.config import Settings
from ringback.errors import Fenced, StoreError
from ringback.store.port import Lease, Nodes

RENEWALS_PER_LEASE = 3

log = structlog.get_logger()


class Tenure:
    """`on_doubt` is called when sending must stop, `on_lost` when the work is another's now,
    `on_sure` when sending may go on."""

    def __init__(
        self,
        nodes: Nodes,
        *,
        settings: Settings,
        clock: Clock,
        on_doubt: Callable[[], None],
        on_lost: Callable[[], None],
        on_sure: Callable[[], None],
    ) -> None:
        self._nodes = nodes
        self._settings = settings
        self._clock = clock
        self._on_doubt = on_doubt
        self._on_lost = on_lost
        self._on_sure = on_sure
        self._lease: Lease | None = None
        self._batches = 0
        self._is_in_doubt = False
        self.until_ms = 0
        self.why_not_sure = ""

    @property
    def lease(self) -> Lease:
        if self._lease is None:
            raise Fenced("this node has not joined yet")
        return self._lease

    @property
    def is_sure(self) -> bool:
        return self._lease is not None and self._clock.now_ms() < self.until_ms

    def next_batch_id(self) -> int:
        self._batches += 1
        return self.lease.epoch << 32 | self._batches

    async def join(self) -> None:
        now_ms = self._clock.now_ms()
        until_ms = now_ms + int(self._settings.lease_s * 1000)
        self._lease = await self._nodes.join(
            host=socket.gethostname(), now_ms=now_ms, until_ms=until_ms
        )
        self._batches = 0
        self.until_ms = until_ms

    async def keep(self) -> None:
        """Renew for ever."""
        while True:
            await self._clock.sleep(self._settings.lease_s / RENEWALS_PER_LEASE)
            await self.renew()

    async def renew(self) -> None:
        until_ms = self._clock.now_ms() + int(self._settings.lease_s * 1000)
        try:
            await self._nodes.renew(self.lease, until_ms=until_ms)
            self.until_ms = until_ms
        except Fenced:
            await self._join_again()
        except StoreError as error:
            self.why_not_sure = str(error)
            self._doubt()
        if self.is_sure:
            self._is_in_doubt = False
            self._on_sure()

    def _doubt(self) -> None:
        """Logged once: the store has said already what is wrong with it."""
        if self.is_sure:
            return
        if not self._is_in_doubt:
            self._is_in_doubt = True
            log.error("lease_not_renewed", error=self.why_not_sure)
        self._on_doubt()

    async def _join_again(self) -> None:
        """The lease is gone, and with it everything that was held under it."""
        self._on_doubt()
        self._on_lost()
        self._lease = None
        try:
            await self.join()
            log.warning("lease_lost", epoch=self.lease.epoch)
        except StoreError as error:
            self.why_not_sure = str(error)
            log.error("lease_lost", error=str(error))

    async def leave(self) -> None:
        if self._lease is not None:
            await self._nodes.leave(self._lease)
            self._lease = None
