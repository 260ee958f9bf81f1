"""The engine: the parts of the path put together, started, and stopped without losing anything.

accept ──▶ dispatch ──▶ deliver ──▶ record        one lease, one task group;
              ▲                        │          every loop is owned by it
              └──── claim ◀── waiting ◀┘

Among several nodes the herald tells the others what happened here, and `pace` keeps rates with
them. A node of the role `api` has no loop that sends or tends.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

import structlog
from msgspec import Struct

from ringback.clock import Clock
from ringback.config import Settings
from ringback.engine.accept import Acceptor
from ringback.engine.changes import Changes
from ringback.engine.claim import Claimer
from ringback.engine.deliver import Deliverer
from ringback.engine.dispatch import Dispatcher
from ringback.engine.herald import Herald
from ringback.engine.lane import Lane
from ringback.engine.lease import RENEWALS_PER_LEASE, Tenure
from ringback.engine.pace import OwnPace, SharedPace
from ringback.engine.record import Recorder
from ringback.engine.replay import Replayer
from ringback.engine.routes import Routes
from ringback.engine.tend import Tender
from ringback.errors import EngineStopped, StoreError
from ringback.model import Application, Endpoint, Message, Task
from ringback.store.nodes import Notice, NoticeKind, Standing
from ringback.store.port import Store
from ringback.wire.port import Wire

# A stop waits this much longer for results to be written, as while another program holds a lock.
RECORD_GRACE_S: Final = 5.0
# When a node comes, those that are there need so long to learn that rates are shared now.
NEWS_S: Final = 0.5

log = structlog.get_logger()


class EngineHealth(Struct, frozen=True):
    """`oldest_due_age_s` is how long the oldest due delivery has been waiting, 0 for none.

    `why_not` says why the store cannot be written; empty when it can. `clock_skew_ms` is how far
    the database's clock is ahead of this node's.
    """

    is_alive: bool
    is_store_writable: bool
    oldest_due_age_s: float
    why_not: str = ""
    clock_skew_ms: int = 0


class Engine:
    """Start it, hand it events (`accept`), drain it. One per process and store.

    Made and used inside one running event loop.
    """

    def __init__(self, store: Store, wire: Wire, settings: Settings, clock: Clock) -> None:
        self._store = store
        self._settings = settings
        self._clock = clock
        self._loops: asyncio.Task[None] | None = None
        self._sends = settings.role != "api"
        self._here_since_s: float | None = None
        self._workers: tuple[int, ...] = ()
        # Where no notices pass, others hear of a new node when they renew.
        self._news_s = (
            settings.lease_s / RENEWALS_PER_LEASE if settings.postgres_pgbouncer else NEWS_S
        )
        self.is_draining = False
        path = store.path
        # The parts refer to one another, so the later ones are looked up when they are called.
        self.routes = Routes(path, settings)
        self.tenure = Tenure(
            store.nodes,
            settings=settings,
            clock=clock,
            on_doubt=self._pause,
            on_lost=self._abandon,
            on_sure=self._resume,
            on_standing=self._stand,
        )
        self.herald = Herald(
            store.notices,
            self.tenure,
            clock=clock,
            hasten=self._hasten,
            on={
                NoticeKind.CHANGED: self._hear_change,
                NoticeKind.DUE: self._hear_due,
                NoticeKind.TASK: lambda _: self.tender.look_for_tasks(),
                NoticeKind.DOWN: self._hear_down,
                NoticeKind.WELL: lambda notice: self.dispatcher.well(notice.subject),
                NoticeKind.MEMBERS: self._hear_members,
                NoticeKind.MISSED: lambda _: self._catch_up(),
            },
        )
        self.recorder = Recorder(
            path,
            self.tenure,
            settings=settings,
            clock=clock,
            on_waiting=self._note_due,
            on_disabled=self.changed,
            on_behind=self._pause,
            on_caught_up=self._resume,
        )
        self.deliverer = Deliverer(
            wire,
            path,
            recorder=self.recorder,
            tenure=self.tenure,
            settings=settings,
            clock=clock,
            on_late=self._doubt,
        )
        self.dispatcher = Dispatcher(
            settings,
            clock,
            send=self.deliverer.send,
            give_back=self.deliverer.give_back,
            wants_work=self._look_for_work,
            on_health=self._tell_health,
        )
        self.deliverer.dispatcher = self.dispatcher
        self.pace = SharedPace(store.nodes, clock, pump=self.dispatcher.pump)
        self.claimer = Claimer(
            path,
            self.routes,
            dispatcher=self.dispatcher,
            recorder=self.recorder,
            tenure=self.tenure,
            settings=settings,
            clock=clock,
        )
        self.changes = Changes(
            path,
            self.routes,
            dispatcher=self.dispatcher,
            clock=clock,
            on_refreshed=self.claimer.wake,
        )
        self.acceptor = Acceptor(
            path,
            store.history,
            routes=self.routes,
            dispatcher=self.dispatcher,
            tenure=self.tenure,
            settings=settings,
            clock=clock,
            on_waiting=self._note_due,
            on_overflow=self._overflow,
        )
        self.accept = self.acceptor.accept
        self.tender = Tender(
            path,
            store.tending,
            claimer=self.claimer,
            tenure=self.tenure,
            settings=settings,
            clock=clock,
            on_work=self._overflow,
        )
        self.replayer = Replayer(
            path,
            store.tending,
            routes=self.routes,
            dispatcher=self.dispatcher,
            tenure=self.tenure,
            settings=settings,
            clock=clock,
            on_overflow=self._overflow,
        )

    # ---- what it is asked -----------------------------------------------------------------------

    async def resend(self, app: Application, message: Message, endpoint: Endpoint) -> None:
        """See `Replayer.resend`."""
        await self.replayer.resend(app, message, endpoint)

    async def recover(
        self, app: Application, endpoint: Endpoint, *, since_ms: int, until_ms: int
    ) -> Task:
        """See `Replayer.recover`."""
        task = await self.replayer.recover(app, endpoint, since_ms=since_ms, until_ms=until_ms)
        self.tender.look_for_tasks()
        self.herald.task()
        return task

    def changed(self, app_id: str) -> None:
        """An application or one of its endpoints was written: what waits in memory follows suit."""
        self.changes.note(app_id)

    async def health(self) -> EngineHealth:
        is_alive = self._loops is not None and not self._loops.done()
        skew_ms = self.tenure.skew_ms
        try:
            due_at_ms = await self._store.path.next_due_at_ms()
        except StoreError as error:
            return EngineHealth(is_alive, False, 0.0, str(error), skew_ms)
        age_s = (self._clock.now_ms() - due_at_ms) / 1000 if due_at_ms is not None else 0.0
        why_not = self._why_not_writable()
        return EngineHealth(is_alive, not why_not, max(0.0, age_s), why_not, skew_ms)

    # ---- its life -------------------------------------------------------------------------------

    async def start(self) -> None:
        """Join as a node, adopt what the last run left, and start every loop."""
        await self.tenure.join()
        if self._sends:
            await self.tender.adopt_all()
        self._loops = asyncio.create_task(self._run())

    async def ended(self) -> None:
        """Return when the loops have come to an end, be it by `stop` or by a fault of theirs."""
        if self._loops is not None:
            await asyncio.wait([self._loops])

    async def drain(self, timeout_s: float) -> None:
        """Stop: accept nothing, wait for attempts in flight, hand the rest back, leave.

        After `timeout_s` attempts in flight are cut off and handed back too (they may then arrive
        twice, with the same id). Raises EngineStopped if the loops had come to an end by
        themselves: then there is nothing to wait for, because nothing is recorded any more.
        """
        self.is_draining = True
        self.claimer.stop()
        if self._loops is None:
            return
        if not self._loops.done():
            await self.acceptor.stop()
            self.dispatcher.stop()
            began_s = self._clock.monotonic()
            await self.dispatcher.finish(timeout_s)
            await self._settle(max(0.0, timeout_s - (self._clock.monotonic() - began_s)))
        try:
            await self.stop()
        except Exception:
            raise EngineStopped from None  # `engine_stopped` has said why
        finally:
            self._count_abandoned()
            with suppress(StoreError):
                await self.tenure.leave()

    async def stop(self) -> None:
        """End every loop at once, as a crash would; `drain` is the kind way.

        Raises what has ended them before, if something has.
        """
        loops, self._loops = self._loops, None
        try:
            if loops is not None:
                loops.cancel()
                with suppress(asyncio.CancelledError):
                    await loops
        finally:
            await self.dispatcher.finish(0)

    async def _settle(self, timeout_s: float) -> None:
        """Until all results are recorded, or for as long as the store may yet take them."""
        if self._store.fault is None and self._loops is not None:
            settled = asyncio.create_task(self.recorder.settled())
            within_s = timeout_s + RECORD_GRACE_S
            await asyncio.wait(
                {settled, self._loops}, timeout=within_s, return_when=asyncio.FIRST_COMPLETED
            )
            settled.cancel()

    def _count_abandoned(self) -> None:
        if count := self.recorder.count:
            log.warning("results_abandoned", count=count)

    async def _run(self) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self.acceptor.run())
                group.create_task(self.tenure.keep())
                group.create_task(self.herald.run())
                group.create_task(self.herald.listen())
                group.create_task(self.changes.run())
                if self._sends:
                    group.create_task(self.recorder.run())
                    group.create_task(self.claimer.run())
                    group.create_task(self.pace.run())
                    group.create_task(self.tender.adopt())
                    group.create_task(self.tender.retain())
                    group.create_task(self.tender.run_tasks())
        except* Exception:
            log.exception("engine_stopped")
            raise

    def _why_not_writable(self) -> str:
        if self._store.fault is not None:
            return str(self._store.fault)
        if not self.tenure.is_sure:
            return self.tenure.why_not_sure or "the lease was not renewed in time"
        # A renewal is small: it may find room on a disk that takes no message any more.
        return "" if self._store.hindrance is None else str(self._store.hindrance)

    # ---- what the parts tell one another --------------------------------------------------------

    def _note_due(self, due_at_ms: int) -> None:
        self.claimer.note_due(due_at_ms)

    def _overflow(self, count: int) -> None:
        """So many deliveries wait although they are due: others may have room for them. Here, the
        end of what is under way asks for them; if nothing is, nobody would."""
        self.herald.due(count)
        if not self.dispatcher.in_flight:
            self.claimer.wake()

    def _tell_health(self, lane: Lane) -> None:
        self.herald.health(lane.plan.endpoint.id, pause_s=lane.breaker.pause_s)

    def _look_for_work(self) -> None:
        self.claimer.wake()

    async def _hasten(self, endpoint_ids: Sequence[str]) -> None:
        await self._store.path.hasten(endpoint_ids)
        self.claimer.wake()

    def _pause(self) -> None:
        self.dispatcher.pause()

    def _doubt(self) -> None:
        """The lease ran out while this process did not run."""
        self.dispatcher.pause()
        self.tenure.hurry()

    def _resume(self) -> None:
        if self.tenure.is_sure and not self.recorder.is_behind:
            self.dispatcher.resume()

    def _abandon(self) -> None:
        self.dispatcher.abandon()
        self.recorder.abandon()

    # ---- what it learns of other nodes ----------------------------------------------------------

    def _stand(self, standing: Standing) -> None:
        """Share windows and rates among those who send, and see to those who are gone."""
        epoch = self.tenure.lease.epoch
        if self.tenure.sure_since_s != self._here_since_s:
            self._here_since_s = self.tenure.sure_since_s
            self.pace.opens_at_s = self.tenure.sure_since_s + self._news_s
            self.herald.members()
        if standing.workers != self._workers:
            self._workers = standing.workers
            nodes = max(1, len(standing.workers))
            rank = standing.workers.index(epoch) if epoch in standing.workers else 0
            self.dispatcher.share(nodes, self.pace if nodes > 1 else OwnPace(), rank=rank)
            if standing.is_leader:
                self.tender.adopt_soon()
                self.tender.look_for_tasks()
        if standing.has_lapsed:
            self.tender.adopt_soon()

    def _hear_change(self, notice: Notice) -> None:
        self.changes.hear(notice.subject, notice.version)

    def _hear_down(self, notice: Notice) -> None:
        self.dispatcher.down(notice.subject, notice.pause_ms / 1000)

    def _hear_members(self, notice: Notice) -> None:
        """Whoever leaves has given back what waited in its memory."""
        self.tenure.hurry()
        self._hear_due(notice)

    def _hear_due(self, _notice: Notice) -> None:
        if self.dispatcher.claimable():
            self.claimer.wake()

    def _catch_up(self) -> None:
        """Notices may have been missed: look at what they would have said."""
        self.changes.check_all()
        self.tenure.hurry()
        self.tender.look_for_tasks()
        self._hear_due(Notice(NoticeKind.DUE))
