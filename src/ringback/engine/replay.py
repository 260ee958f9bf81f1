"""Sends again what was lost: one delivery at once, or all failures of an endpoint since a time."""

from collections.abc import Callable

from ringback.clock import Clock
from ringback.config import Settings
from ringback.engine.dispatch import RESERVED, Dispatcher
from ringback.engine.lane import Batch, Job
from ringback.engine.lease import Tenure
from ringback.engine.routes import Plan, Routes
from ringback.errors import BadRequest, NotFound
from ringback.model import Application, Delivery, Endpoint, Message, Task, TaskStatus, Trigger
from ringback.store.port import Path, Waiting
from ringback.store.tending import Tending

RECOVER = "endpoint.recover"


class Replayer:
    def __init__(
        self,
        path: Path,
        tending: Tending,
        *,
        routes: Routes,
        dispatcher: Dispatcher,
        tenure: Tenure,
        settings: Settings,
        clock: Clock,
        on_overflow: Callable[[int], None],
    ) -> None:
        self._path = path
        self._tending = tending
        self._routes = routes
        self._dispatcher = dispatcher
        self._tenure = tenure
        self._settings = settings
        self._clock = clock
        self._on_overflow = on_overflow

    async def resend(self, app: Application, message: Message, endpoint: Endpoint) -> None:
        """One manual attempt, whatever the endpoint's filters; it is not retried.

        Raises BadRequest when the payload is gone or the endpoint is disabled.
        """
        if message.body is None:
            raise BadRequest(
                "The payload of this message was deleted, so it cannot be sent again.",
                code="missing_payload",
            )
        plan = await self._plan(app, endpoint)
        if plan.endpoint.is_disabled:
            raise BadRequest("The endpoint is disabled; enable it, then resend.")
        delivery = Delivery(app.id, message.id, endpoint.id, 0, Trigger.MANUAL)
        now_ms = self._clock.now_ms()
        due_at_ms = self._dispatcher.place(plan, message.size, now_ms)
        if due_at_ms == RESERVED:
            await self._hand_off(plan, delivery, message)
        else:
            await self._path.park([Waiting(delivery, due_at_ms)])
            self._on_overflow(1)

    async def _hand_off(self, plan: Plan, delivery: Delivery, message: Message) -> None:
        batch = Batch(self._tenure.next_batch_id(), 1)
        job = Job(delivery, batch, message)
        try:
            await self._path.hand_off(self._tenure.lease, batch.id, [delivery])
        except BaseException:
            self._dispatcher.release(plan, job.size)
            raise
        if self._tenure.holds(batch.id):
            self._dispatcher.dispatch(plan, job)
        else:  # the lease was lost since, and another node has the batch
            self._dispatcher.release(plan, job.size)

    async def _plan(self, app: Application, endpoint: Endpoint) -> Plan:
        routes = await self._routes.of(app.id, version=app.version)
        plan = routes.plans.get(endpoint.id) if routes else None
        if plan is None:
            raise NotFound
        return plan

    async def recover(
        self, app: Application, endpoint: Endpoint, *, since_ms: int, until_ms: int
    ) -> Task:
        """Start a task that sends again every message of the range that failed for good there.

        Raises TooManyRequests when the application has as many running as it may.
        """
        now_ms = self._clock.now_ms()
        return await self._tending.create_task(
            Task(
                id=self._clock.new_id("qtask"),
                org_id=app.org_id,
                app_id=app.id,
                kind=RECOVER,
                status=TaskStatus.RUNNING,
                arguments={
                    "endpoint_id": endpoint.id,
                    "since_ms": since_ms,
                    "until_ms": until_ms,
                },
                cursor=None,
                done_count=0,
                created_at_ms=now_ms,
                updated_at_ms=now_ms,
            ),
            running_max=self._settings.tasks_per_app_max,
        )
