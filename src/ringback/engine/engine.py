"""The engine: the parts of the path put together, started, and stopped without losing anything.

accept ──▶ dispatch ──▶ deliver ──▶ record        one lease, one task group;
              ▲                        │          every loop is owned by it
              └──── claim ◀── waiting ◀┘
"""

import asyncio
from contextlib import suppress

import structlog
from msgspec import Struct

from ringback.clock import Clock
from ringback.config import Settings
from ringback.engine.accept import Acceptor
from ringback.engine.claim import Claimer
from ringback.engine.deliver import Deliverer
from ringback.engine.dispatch import Dispatcher
from ringback.engine.lease import Tenure
from ringback.engine.record import Recorder
from ringback.engine.replay import Replayer
from ringback.engine.routes import Routes
from ringback.engine.tend import Tender
from ringback.errors import StoreError
from ringback.model import Application, Endpoint, Message, Task
from ringback.store.nodes import Standing
from ringback.store.port import Store
from ringback.wire.port import Wire

# A stop waits this much longer for results to be written, as while another program holds a lock.
RECORD_GRACE_S = 5.0

log = structlog.get_logger()


class EngineHealth(Struct, frozen=True):
    """`oldest_due_age_s` is how long the oldest due delivery has been waiting, 0 for none.

    `why_not` says why the store cannot be written; empty when it can.
    """

    is_alive: bool
    is_store_writable: bool
    oldest_due_age_s: float
    why_not: str = ""


class Engine:
    """Start it, hand it events (`accept`), drain it. One per process and store.

    Made and used inside one running event loop.
    """

    def __init__(self, store: Store, wire: Wire, settings: Settings, clock: Clock) -> None:
        self._store = store
        self._settings = settings
        self._clock = clock
        self._loops: asyncio.Task[None] | None = None
        self._task_wake = asyncio.Event()
        self._changes: set[asyncio.Task[None]] = set()
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
            wire, path, recorder=self.recorder, settings=settings, clock=clock
        )
        self.dispatcher = Dispatcher(
            settings,
            clock,
            send=self.deliverer.send,
            give_back=self.deliverer.give_back,
            wants_work=self._look_for_work,
        )
        self.deliverer.dispatcher = self.dispatcher
        self.claimer = Claimer(
            path,
            self.routes,
            dispatcher=self.dispatcher,
            recorder=self.recorder,
            tenure=self.tenure,
            settings=settings,
            clock=clock,
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
        )
        self.accept = self.acceptor.accept
        self.tender = Tender(
            path,
            store.tending,
            claimer=self.claimer,
            tenure=self.tenure,
            settings=settings,
            clock=clock,
        )
        self.replayer = Replayer(
            path,
            store.tending,
            routes=self.routes,
            dispatcher=self.dispatcher,
            tenure=self.tenure,
            clock=clock,
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
        self._task_wake.set()
        return task

    def changed(self, app_id: str) -> None:
        """An application or one of its endpoints was written: what waits in memory follows suit."""
        self.routes.forget(app_id)
        change = asyncio.get_running_loop().create_task(self._refresh(app_id))
        self._changes.add(change)
        change.add_done_callback(self._changes.discard)

    async def health(self) -> EngineHealth:
        is_alive = self._loops is not None and not self._loops.done()
        try:
            due_at_ms = await self._store.path.next_due_at_ms()
        except StoreError as error:
            return EngineHealth(is_alive, False, 0.0, str(error))
        age_s = (self._clock.now_ms() - due_at_ms) / 1000 if due_at_ms is not None else 0.0
        why_not = self._why_not_writable()
        return EngineHealth(is_alive, not why_not, max(0.0, age_s), why_not)

    # ---- its life -------------------------------------------------------------------------------

    async def start(self) -> None:
        """Join as a node, adopt what the last run left, and start every loop."""
        await self.tenure.join()
        await self.tender.adopt_all()
        self._loops = asyncio.create_task(self._run())

    async def ended(self) -> None:
        """Return when the loops have come to an end, be it by `stop` or by a fault of theirs."""
        if self._loops is not None:
            await asyncio.wait([self._loops])

    async def drain(self, timeout_s: float) -> None:
        """Stop: accept nothing, wait for attempts in flight, hand the rest back, leave.

        After `timeout_s` attempts in flight are cut off and handed back too (they may then arrive
        twice, with the same id).
        """
        self.is_draining = True
        self.claimer.stop()
        if self._loops is None:
            return
        await self.acceptor.stop()
        self.dispatcher.stop()
        began_s = self._clock.monotonic()
        await self.dispatcher.finish(timeout_s)
        await self._settle(max(0.0, timeout_s - (self._clock.monotonic() - began_s)))
        await self.stop()
        with suppress(StoreError):
            await self.tenure.leave()

    async def stop(self) -> None:
        """End every loop at once, as a crash would; `drain` is the kind way."""
        if self._loops is not None:
            self._loops.cancel()
            with suppress(asyncio.CancelledError):
                await self._loops
            self._loops = None
        await self.dispatcher.finish(0)

    async def _settle(self, timeout_s: float) -> None:
        """Until all results are recorded, or for as long as the store may yet take them."""
        if self._store.fault is None:
            with suppress(TimeoutError):
                async with asyncio.timeout(timeout_s + RECORD_GRACE_S):
                    await self.recorder.settled()
        if count := self.recorder.count:
            log.warning("results_abandoned", count=count)

    async def _run(self) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self.acceptor.run())
                group.create_task(self.recorder.run())
                group.create_task(self.claimer.run())
                group.create_task(self.tenure.keep())
                group.create_task(self.tender.adopt())
                group.create_task(self.tender.retain())
                group.create_task(self.tender.run_tasks(self._wait_for_task))
        except* Exception:
            log.exception("engine_stopped")
            raise

    async def _wait_for_task(self) -> None:
        self._task_wake.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(60):
                await self._task_wake.wait()

    def _why_not_writable(self) -> str:
        if self._store.fault is not None:
            return str(self._store.fault)
        if not self.tenure.is_sure:
            return self.tenure.why_not_sure or "the lease was not renewed in time"
        return ""

    async def _refresh(self, app_id: str) -> None:
        try:
            routes = await self.routes.of(app_id, version=0)
        except StoreError as error:
            log.debug("refresh_failed", app_id=app_id, error=str(error))
            return
        self.dispatcher.refresh(app_id, routes)
        self.claimer.wake()

    # ---- what the parts tell one another --------------------------------------------------------

    def _note_due(self, due_at_ms: int) -> None:
        self.claimer.note_due(due_at_ms)

    def _look_for_work(self) -> None:
        self.claimer.wake()

    def _pause(self) -> None:
        self.dispatcher.pause()

    def _stand(self, standing: Standing) -> None:
        """What this node has learned of the others."""

    def _resume(self) -> None:
        if self.tenure.is_sure and not self.recorder.is_behind:
            self.dispatcher.resume()

    def _abandon(self) -> None:
        self.dispatcher.abandon()
        self.recorder.abandon()
