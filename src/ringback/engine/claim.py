"""Brings due work from the database to the lanes: retries, overflow, adopted and replayed work.

It wakes when the earliest due time comes, when a lane has room for more, and every `tend_every_s`
whatever happens. Each pass walks the lanes that have due work, gives each a fair share of what can
be claimed, and postpones the lanes that are closed, so that they don't come up again before.
"""

import asyncio
from collections.abc import Sequence

import structlog

from ringback.clock import Clock
from ringback.config import Settings
from ringback.engine.dispatch import Dispatcher
from ringback.engine.lane import Batch, Job
from ringback.engine.lease import Tenure
from ringback.engine.record import Recorder, Result
from ringback.engine.routes import Plan, Routes
from ringback.errors import StoreError
from ringback.model import Delivery, Message
from ringback.rules.lanes import share
from ringback.store.port import Claimed, DueLane, Path, Take, Waiting

LANES_PER_PAGE = 500
PAGES_PER_PASS = 40
SPREAD_MS = 20  # for each other node that may want the same
SPREAD_MS_MAX = 200
PAYLOADS_PER_READ = 32  # bounds what one read may bring into memory

log = structlog.get_logger()


class Claimer:
    def __init__(
        self,
        path: Path,
        routes: Routes,
        *,
        dispatcher: Dispatcher,
        recorder: Recorder,
        tenure: Tenure,
        settings: Settings,
        clock: Clock,
    ) -> None:
        self._path = path
        self._routes = routes
        self._dispatcher = dispatcher
        self._recorder = recorder
        self._tenure = tenure
        self._settings = settings
        self._clock = clock
        self._next_due_ms: int | None = 0
        self._wake = asyncio.Event()
        self._is_wanted = False
        self._is_stopped = False

    def wake(self) -> None:
        """Look for work now."""
        self._is_wanted = True
        self._wake.set()

    def note_due(self, due_at_ms: int) -> None:
        """A waiting row was committed: look for it when it is due."""
        if self._next_due_ms is None or due_at_ms < self._next_due_ms:
            self._next_due_ms = due_at_ms
            self._wake.set()

    def stop(self) -> None:
        self._is_stopped = True

    async def run(self) -> None:
        while not self._is_stopped:
            try:
                await self._pass()
            except StoreError as error:
                log.debug("claim_failed", error=str(error))
                self._next_due_ms = None
            await self._rest()

    async def _rest(self) -> None:
        """Until something is due, a lane has room, or the regular look."""
        while not self._is_wanted:
            self._wake.clear()
            rest_s = self._settings.tend_every_s
            if self._next_due_ms is not None:
                due_s = (self._next_due_ms - self._clock.now_ms()) / 1000
                if due_s <= 0:
                    break
                rest_s = min(rest_s, due_s)
            try:
                async with asyncio.timeout(rest_s):
                    await self._wake.wait()
            except TimeoutError:
                break

    async def _pass(self) -> None:
        self._is_wanted = False
        after: DueLane | None = None
        is_blocked = False
        for _ in range(PAGES_PER_PASS):
            now_ms = self._clock.now_ms()
            lanes = await self._path.due_lanes(now_ms, after=after, limit=LANES_PER_PAGE)
            if not lanes:
                break
            is_blocked |= await self._serve(lanes, now_ms)
            if len(lanes) < LANES_PER_PAGE or self._is_stopped:
                break
            after = lanes[-1]
        # A lane without room asks for work itself when it has some; until then its due time,
        # which has passed, must not keep this loop awake.
        self._next_due_ms = None if is_blocked else await self._next_due_at_ms()

    async def _next_due_at_ms(self) -> int | None:
        """Not all nodes at the same instant: the first one takes it, the others find nothing."""
        due_at_ms = await self._path.next_due_at_ms()
        if due_at_ms is None or not self._tenure.peers:
            return due_at_ms
        spread_ms = min(SPREAD_MS_MAX, SPREAD_MS * len(self._tenure.peers))
        return due_at_ms + int(self._clock.random() * spread_ms)

    async def _serve(self, lanes: Sequence[DueLane], now_ms: int) -> bool:
        """Claim for one page of lanes. Whether some had no room.

        When memory has not even room for one of each, those that have the least there come first:
        lanes with a long backlog are always the longest due.
        """
        lanes = sorted(lanes, key=lambda lane: self._dispatcher.load(lane.endpoint_id))
        rooms: list[int] = []
        closed: dict[str, int] = {}
        for lane in lanes:
            room, closed_s = self._dispatcher.room(lane.endpoint_id)
            rooms.append(room)
            if closed_s > 0:
                closed[lane.endpoint_id] = now_ms + int(closed_s * 1000) + 1
        if closed:
            await self._path.postpone(closed)
        room = min(self._settings.claim_batch_max, self._dispatcher.claimable())
        shares = share(room, rooms)
        takes = [
            Take(lane.endpoint_id, count)
            for lane, count in zip(lanes, shares, strict=True)
            if count > 0
        ]
        if takes:
            await self._claim(takes, now_ms)
        if 0 < sum(shares) < sum(rooms):
            self.wake()
        return len(takes) + len(closed) < len(lanes)

    async def _claim(self, takes: list[Take], now_ms: int) -> None:
        batch_id = self._tenure.next_batch_id()
        claimed = await self._path.claim(self._tenure.lease, batch_id, takes, now_ms=now_ms)
        batch = Batch(batch_id, len(claimed))
        for start in range(0, len(claimed), PAYLOADS_PER_READ):
            await self._dispatch(claimed[start : start + PAYLOADS_PER_READ], batch)
        counts: dict[str, int] = {}
        for one in claimed:
            counts[one.delivery.endpoint_id] = counts.get(one.delivery.endpoint_id, 0) + 1
        if any(counts.get(take.endpoint_id) == take.count for take in takes):
            self.wake()

    async def _dispatch(self, claimed: Sequence[Claimed], batch: Batch) -> None:
        """Give claimed deliveries to their lanes. Whatever fails, they go back, never away."""
        placed = 0
        try:
            payloads = await self._payloads(claimed)
            for one in claimed:
                plan = await self._plan(one)
                self._dispatch_one(one.delivery, plan, batch, payloads)
                placed += 1
        except StoreError as error:
            log.error("claimed_work_returned", error=str(error))
            for one in claimed[placed:]:
                self._return(one.delivery, batch)

    async def _payloads(self, claimed: Sequence[Claimed]) -> dict[str, Message] | None:
        """None when there is no room in memory for more: each is read when it is sent."""
        if self._dispatcher.is_out_of_bytes:
            return None
        return await self._path.messages(
            list({(one.delivery.app_id, one.delivery.msg_id) for one in claimed})
        )

    async def _plan(self, one: Claimed) -> Plan | None:
        routes = await self._routes.of(one.delivery.app_id, version=one.app_version)
        return routes.plans.get(one.delivery.endpoint_id) if routes else None

    def _dispatch_one(
        self,
        delivery: Delivery,
        plan: Plan | None,
        batch: Batch,
        payloads: dict[str, Message] | None,
    ) -> None:
        message = payloads.get(delivery.msg_id) if payloads is not None else None
        if not self._tenure.holds(batch.id):
            return  # the lease was lost since, and another node has the batch
        if plan is None or (payloads is not None and message is None):
            self._recorder.add(Result(batch))  # its endpoint or message is gone: canceled
        elif plan.endpoint.is_disabled or self._is_stopped:
            self._return(delivery, batch)
        else:
            self._dispatcher.dispatch_claimed(plan, Job(delivery, batch, message))

    def _return(self, delivery: Delivery, batch: Batch) -> None:
        waiting = Waiting(delivery, self._clock.now_ms(), batch.id)
        self._recorder.add(Result(batch, waiting=waiting))
