"""This node's right to send: joined at the start, renewed in time, given back at the end.

While the lease cannot be renewed before it runs out, nothing is sent: another node may already
have adopted what this one holds. The lease is counted from before it was asked for, so here it ends
no later than in the database. It ends by two clocks: a process that was stopped, or a machine that
was asleep, finds out by at least one of them before it sends again.

Batch ids are `epoch << 32 | n`, so no two nodes share one.
"""

import asyncio
import math
import os
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Final

import structlog

from ringback import __version__
from ringback.clock import Clock
from ringback.config import Settings
from ringback.errors import Fenced, StoreError
from ringback.store.nodes import NodeAbout, Nodes, Standing
from ringback.store.port import Lease

RENEWALS_PER_LEASE: Final = 3
# Whose lease ran out is looked after so much later; by the next node, if the first one does not.
LAPSE_SLACK_S: Final = 0.02
LAPSE_SLACK_S_MAX: Final = 0.5
SKEW_MS_MAX: Final = 1_000  # clocks of nodes and database that differ by more are worth a warning
EPOCH_BITS: Final = 32  # of a batch id, below the epoch

log = structlog.get_logger()


class Tenure:
    """`on_doubt` is called when sending must stop, `on_lost` when the work is another's now,
    `on_sure` when sending may go on, and `on_standing` with each answer to a renewal.

    Nothing may be sent after `until_ms` on the wall clock or `until_s` on the monotonic one; until
    then the lease has stood without a gap since `sure_since_s`.
    """

    def __init__(
        self,
        nodes: Nodes,
        *,
        settings: Settings,
        clock: Clock,
        on_doubt: Callable[[], None],
        on_lost: Callable[[], None],
        on_sure: Callable[[], None],
        on_standing: Callable[[Standing], None],
    ) -> None:
        self._nodes = nodes
        self._settings = settings
        self._clock = clock
        self._on_doubt = on_doubt
        self._on_lost = on_lost
        self._on_sure = on_sure
        self._on_standing = on_standing
        self._lease: Lease | None = None
        self._batches = 0
        self._is_in_doubt = False
        self._is_skewed = False
        self._lapse_at_s = math.inf
        self._hurry = asyncio.Event()
        self.standing = Standing(0, 1, (), False, False)
        self.until_ms = 0
        self.until_s = 0.0
        self.sure_since_s = 0.0
        self.skew_ms = 0
        self.why_not_sure = ""

    @property
    def lease(self) -> Lease:
        if self._lease is None:
            raise Fenced("this node has not joined yet")
        return self._lease

    @property
    def is_sure(self) -> bool:
        return (
            self._lease is not None
            and self._clock.now_ms() < self.until_ms
            and self._clock.monotonic() < self.until_s
        )

    @property
    def is_leader(self) -> bool:
        """Whether this node tends the database; no other one believes it at the same time."""
        return self.standing.is_leader and self.is_sure

    @property
    def peers(self) -> tuple[int, ...]:
        """The epochs of the other nodes that deliver."""
        mine = self._lease.epoch if self._lease is not None else 0
        return tuple(epoch for epoch in self.standing.workers if epoch != mine)

    def next_batch_id(self) -> int:
        self._batches += 1
        return self.lease.epoch << EPOCH_BITS | self._batches

    def holds(self, batch_id: int) -> bool:
        """Whether a batch was written under the lease of now, and not under a lost one."""
        return self._lease is not None and batch_id >> EPOCH_BITS == self._lease.epoch

    def now_ms(self) -> int:
        """The database's clock, as well as this node knows it."""
        return self._clock.now_ms() + self.skew_ms

    def hurry(self) -> None:
        """Renew now: something suggests that things have changed."""
        self._hurry.set()

    async def join(self) -> None:
        about = NodeAbout(
            host=socket.gethostname(),
            pid=os.getpid(),
            role=self._settings.role,
            version=__version__,
        )
        self.until_ms, self.until_s = 0, 0.0
        self._lease = await self._nodes.join(about, lease_ms=self._lease_ms)
        self._batches = 0
        await self._prolong()

    async def keep(self) -> None:
        """Renew for ever: in time, in a hurry, and when another's lease should run out."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._rest_s):
                    await self._hurry.wait()
            self._hurry.clear()
            self._lapse_at_s = math.inf  # one that was looked after in vain is left to the next
            await self.renew()

    async def renew(self) -> None:
        try:
            await self._prolong()
        except Fenced:
            await self._join_again()
        except StoreError as error:
            self.why_not_sure = str(error)
            self._doubt()
        if self.is_sure:
            self._is_in_doubt = False
            self._on_sure()

    @property
    def _lease_ms(self) -> int:
        return int(self._settings.lease_s * 1000)

    @property
    def _rest_s(self) -> float:
        in_time_s = self._settings.lease_s / RENEWALS_PER_LEASE
        return min(in_time_s, max(0.0, self._lapse_at_s - self._clock.monotonic()))

    def _note_lapse(self, standing: Standing) -> None:
        """When to ask who has lapsed; those who could adopt do so one after the other."""
        lapses_in_ms, workers = standing.lapses_in_ms, standing.workers
        self._lapse_at_s = math.inf
        if lapses_in_ms is not None and self.lease.epoch in workers:
            slack_s = min(LAPSE_SLACK_S * (1 + workers.index(self.lease.epoch)), LAPSE_SLACK_S_MAX)
            self._lapse_at_s = self._clock.monotonic() + lapses_in_ms / 1000 + slack_s

    async def _prolong(self) -> None:
        began_ms, began_s = self._clock.now_ms(), self._clock.monotonic()
        standing = await self._nodes.renew(
            self.lease, lease_ms=self._lease_ms, skew_ms=self.skew_ms
        )
        if not self.is_sure:
            self.sure_since_s = self._clock.monotonic()
        self.until_ms, self.until_s = began_ms + self._lease_ms, began_s + self._settings.lease_s
        took_ms = (self._clock.monotonic() - began_s) * 1000
        self._note_skew(standing.now_ms - began_ms - took_ms / 2, took_ms / 2)
        self.standing = standing
        self._note_lapse(standing)
        self._on_standing(standing)

    def _note_skew(self, skew_ms: float, error_ms: float) -> None:
        """How far the database's clock is ahead; it read it some time during the call."""
        self.skew_ms = 0 if abs(skew_ms) <= error_ms else round(skew_ms)
        is_skewed = abs(skew_ms) > SKEW_MS_MAX + error_ms
        if is_skewed and not self._is_skewed:
            log.warning("clock_skew", database_is_ahead_ms=self.skew_ms)
        self._is_skewed = is_skewed

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
        self._lease = None
        self._on_lost()
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
