"""Takes events in: route, commit together, hand over. When `accept` returns, all is durable.

Requests that arrive while a commit is under way are committed together by the next one. Room in the
lanes is reserved before the commit, because the same transaction writes where each delivery is: in
the batch row when there was room, in a waiting row when there was none.
"""

import asyncio
from collections import deque
from collections.abc import Callable

from msgspec import Struct

from ringback.clock import Clock
from ringback.config import Settings
from ringback.engine.dispatch import RESERVED, Dispatcher
from ringback.engine.lane import Batch, Job
from ringback.engine.lease import Tenure
from ringback.engine.routes import AppRoutes, Plan, Routes
from ringback.errors import Conflict, NotFound, StoreError, Unavailable
from ringback.model import Delivery, Message
from ringback.store.port import (
    AcceptOutcome,
    AcceptResult,
    History,
    IdempotencyKey,
    NewMessage,
    Path,
    Waiting,
)

REROUTES_MAX = 10  # an application that changes faster than this cannot be routed


class Draft(Struct, frozen=True):
    """An event as somebody posted it, checked but not yet accepted.

    `app_ref` is an id or uid. `only_endpoint_id` sends to that endpoint alone, whatever its
    filters (an example). `raw_body` and `content_type` replace what is sent.
    """

    org_id: str
    app_ref: str
    event_type: str
    payload: bytes
    event_id: str | None = None
    channels: tuple[str, ...] | None = None
    raw_body: bytes | None = None
    content_type: str | None = None
    payload_expires_at_ms: int | None = None
    only_endpoint_id: str | None = None
    idempotency: IdempotencyKey | None = None


class _Entry:
    """A routed message that waits for its commit, and whoever waits for that."""

    __slots__ = ("done", "new", "plans", "size")

    def __init__(
        self, new: NewMessage, plans: list[Plan], done: asyncio.Future[AcceptResult]
    ) -> None:
        self.new = new
        self.plans = plans
        self.size = new.message.size
        self.done = done


class Acceptor:
    """`on_waiting` is told the earliest due time of waiting rows that were committed, `on_overflow`
    how many of them are due already, for want of room here."""

    def __init__(
        self,
        path: Path,
        history: History,
        *,
        routes: Routes,
        dispatcher: Dispatcher,
        tenure: Tenure,
        settings: Settings,
        clock: Clock,
        on_waiting: Callable[[int], None],
        on_overflow: Callable[[int], None],
    ) -> None:
        self._path = path
        self._history = history
        self._routes = routes
        self._dispatcher = dispatcher
        self._tenure = tenure
        self._settings = settings
        self._clock = clock
        self._on_waiting = on_waiting
        self._on_overflow = on_overflow
        self._entries: deque[_Entry] = deque()
        self._bytes = 0
        self._wake = asyncio.Event()
        self._is_idle = asyncio.Event()
        self._is_idle.set()
        self._is_stopped = False
        self._loop = asyncio.get_running_loop()  # asking each time is a system call each time

    async def accept(self, draft: Draft) -> Message:
        """Commit an event and hand it over.

        Raises NotFound (no such application), Conflict (the eventId is taken), Unavailable (full,
        stopping, or the database cannot be written; nothing was accepted).
        """
        for _ in range(REROUTES_MAX):
            routes = self._routes.cached(draft.org_id, draft.app_ref)
            if routes is None:
                routes = await self._find(draft)
            entry = self._join_batch(draft, routes)
            result = await entry.done
            if result.outcome is AcceptOutcome.ACCEPTED:
                return entry.new.message
            if result.outcome is AcceptOutcome.REPEATED:
                return await self._first(routes, result.message_id)
            if result.outcome is AcceptOutcome.EVENT_ID_TAKEN:
                raise Conflict(
                    f"A message with eventId {draft.event_id!r} exists already in this "
                    "application; it was not accepted again."
                )
            self._routes.forget(routes.app.id)
        raise Unavailable("The application is changing too fast; try again.")

    async def stop(self) -> None:
        """Refuse what comes; return when everything taken before is committed."""
        self._is_stopped = True
        await self._is_idle.wait()

    async def run(self) -> None:
        try:
            while True:
                if not self._entries:
                    self._is_idle.set()
                    self._wake.clear()
                    await self._wake.wait()
                if len(self._entries) > 1:  # then there is load, and requests wait to be looked at
                    await asyncio.sleep(0)
                await self._commit()
        finally:
            self._end()

    # ---- into the batch -------------------------------------------------------------------------

    async def _find(self, draft: Draft) -> AppRoutes:
        try:
            routes = await self._routes.find(draft.org_id, draft.app_ref)
        except StoreError as error:
            raise Unavailable(f"The database cannot be read: {error}") from error
        if routes is None:
            raise NotFound
        return routes

    async def _first(self, routes: AppRoutes, msg_id: str) -> Message:
        """The message that the first request with this idempotency key made."""
        message = await self._history.get_message(routes.app.id, msg_id)
        if message is None:
            raise NotFound("The message of this idempotency key was deleted.")
        return message

    def _join_batch(self, draft: Draft, routes: AppRoutes) -> _Entry:
        size = len(draft.payload) + len(draft.raw_body or b"")
        self._refuse_if_full(size)
        now_ms = self._clock.now_ms()
        message = Message(
            self._clock.new_id("msg"),
            routes.app.id,
            draft.event_type,
            draft.event_id,
            draft.channels,
            draft.payload,
            draft.raw_body,
            draft.content_type,
            draft.payload_expires_at_ms,
            now_ms,
        )
        now, waiting, plans = self._place(_selected(draft, routes), message, size)
        new = NewMessage(message, routes.app.version, now, waiting, draft.idempotency)
        entry = _Entry(new, plans, self._loop.create_future())
        self._entries.append(entry)
        self._bytes += size
        if len(self._entries) == 1:
            self._is_idle.clear()
            self._wake.set()
        return entry

    def _refuse_if_full(self, size: int) -> None:
        if self._is_stopped:
            raise Unavailable("The server is stopping; try again.")
        if (
            len(self._entries) >= self._settings.accept_queue_max
            or self._bytes + size > self._settings.queue_bytes_max
        ):
            raise Unavailable("Too many messages wait for their commit; try again shortly.")

    def _place(
        self, selected: tuple[Plan, ...], message: Message, size: int
    ) -> tuple[tuple[Delivery, ...], tuple[Waiting, ...], list[Plan]]:
        """Reserve room in the lanes; deliveries that find none wait in the database."""
        now: list[Delivery] = []
        waiting: list[Waiting] = []
        plans: list[Plan] = []
        for plan in selected:
            delivery = Delivery(message.app_id, message.id, plan.endpoint.id)
            due_at_ms = self._dispatcher.place(plan, size, message.created_at_ms)
            if due_at_ms == RESERVED:
                now.append(delivery)
                plans.append(plan)
            else:
                waiting.append(Waiting(delivery, due_at_ms))
        return tuple(now), tuple(waiting), plans

    # ---- the commit -----------------------------------------------------------------------------

    async def _commit(self) -> None:
        count = min(len(self._entries), self._settings.accept_batch_max)
        entries = [self._entries.popleft() for _ in range(count)]
        self._bytes -= sum(entry.size for entry in entries)
        try:
            batch_id = self._tenure.next_batch_id()
            results = await self._path.accept(
                self._tenure.lease, batch_id, [entry.new for entry in entries]
            )
        except StoreError as error:
            self._refuse(entries, error)
            return
        except BaseException:
            self._refuse(entries, StoreError("the server is stopping"))
            raise
        self._hand_over(Batch(batch_id, 0), entries, results)

    def _end(self) -> None:
        """Nobody commits any more, so whoever waits for it must not wait for ever."""
        self._is_stopped = True
        entries, self._entries = list(self._entries), deque()
        self._bytes = 0
        self._refuse(entries, StoreError("the server is stopping"))
        self._is_idle.set()

    def _refuse(self, entries: list[_Entry], error: StoreError) -> None:
        for entry in entries:
            self._release(entry)
            if not entry.done.done():
                entry.done.set_exception(
                    Unavailable(f"The message was not accepted ({error}); try again.")
                )

    def _release(self, entry: _Entry) -> None:
        for plan in entry.plans:
            self._dispatcher.release(plan, entry.size)

    def _hand_over(self, batch: Batch, entries: list[_Entry], results: list[AcceptResult]) -> None:
        """Answer first, then send: whoever waits for the 202 comes before the receivers."""
        jobs: list[tuple[Plan, Job]] = []
        late: list[Waiting] = []
        for entry, result in zip(entries, results, strict=True):
            if result.outcome is AcceptOutcome.ACCEPTED:
                message = entry.new.message
                for plan, delivery in zip(entry.plans, entry.new.now, strict=True):
                    jobs.append((plan, Job(delivery, batch, message)))
                if entry.new.waiting:
                    late.extend(entry.new.waiting)
            else:
                self._release(entry)
            if not entry.done.done():
                entry.done.set_result(result)
        batch.remaining = len(jobs)
        # If the lease was lost since, the batch is another node's already.
        place = self._dispatcher.dispatch if self._tenure.holds(batch.id) else self._let_go
        for plan, job in jobs:
            place(plan, job)
        if late:
            self._note_waiting(late)

    def _let_go(self, plan: Plan, job: Job) -> None:
        self._dispatcher.release(plan, job.size)

    def _note_waiting(self, late: list[Waiting]) -> None:
        """What is due already is asked for by its lane, here or on another node."""
        now_ms = self._clock.now_ms()
        later_ms = [waiting.due_at_ms for waiting in late if waiting.due_at_ms > now_ms]
        if later_ms:
            self._on_waiting(min(later_ms))
        if len(later_ms) < len(late):
            self._on_overflow(len(late) - len(later_ms))


def _selected(draft: Draft, routes: AppRoutes) -> tuple[Plan, ...]:
    if draft.only_endpoint_id is None:
        return routes.select(draft.event_type, draft.channels)
    plan = routes.plans.get(draft.only_endpoint_id)
    return () if plan is None or plan.endpoint.is_disabled else (plan,)
