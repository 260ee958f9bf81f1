"""One attempt: sign, POST, decide what follows, hand the result to the recorder.

An attempt is counted only when something was tried. A delivery whose endpoint was disabled, or
whose message is gone by now, is not tried and leaves without an attempt. One whose payload was
deleted ends with an attempt that says so, and that says nothing of its endpoint.
"""

import asyncio
import math
from collections.abc import Callable

import structlog

from ringback.clock import Clock
from ringback.config import Settings
from ringback.engine.dispatch import Dispatcher
from ringback.engine.lane import Job, Lane
from ringback.engine.lease import Tenure
from ringback.engine.record import Recorder, Result
from ringback.errors import SecretError
from ringback.model import Attempt, AttemptStatus, Delivery, Message, Timings, Trigger
from ringback.rules import retry
from ringback.rules.health import TOO_MANY_REQUESTS, UNAVAILABLE, should_disable, symptom
from ringback.rules.retry import Delivered, GiveUp, Outcome, Retry
from ringback.sign.delivery import signed_headers
from ringback.store.port import Disable, Health, Path, Waiting
from ringback.wire.outcome import error, is_unreached, status_code
from ringback.wire.port import Failure, Reason, Reply, Request, Wire

LATE_PAYLOADS_MAX = 16  # attempts at the same time whose payload did not fit into memory
NO_PAYLOAD = Failure(
    Reason.UNSENDABLE, "Not sent: the payload of the message was deleted.", Timings()
)

log = structlog.get_logger()


class Deliverer:
    """Its `send` is what the dispatcher starts: it never raises but for cancellation.

    `on_late` is called when the lease ran out unnoticed, as while the process was stopped.
    """

    def __init__(
        self,
        wire: Wire,
        path: Path,
        *,
        recorder: Recorder,
        tenure: Tenure,
        settings: Settings,
        clock: Clock,
        on_late: Callable[[], None],
    ) -> None:
        self._wire = wire
        self._path = path
        self._recorder = recorder
        self._tenure = tenure
        self._on_late = on_late
        self._settings = settings
        self._clock = clock
        self._late_payloads = asyncio.Semaphore(LATE_PAYLOADS_MAX)
        self.dispatcher: Dispatcher

    async def send(self, lane: Lane, job: Job) -> None:
        try:
            if job.message is None:
                async with self._late_payloads:
                    await self._send_late(lane, job)
            else:
                await self._attempt(lane, job, job.message)
        except asyncio.CancelledError:
            self.give_back(lane, [job])
            raise
        except Exception:
            log.exception("attempt_broke", msg_id=job.delivery.msg_id)
            self.give_back(lane, [job], pause_ms=int(self._settings.breaker_open_s * 1000))

    def give_back(self, lane: Lane, jobs: list[Job], pause_ms: int = 0) -> None:
        """Return jobs that were not attempted to the database, due when the lane opens."""
        closed_s = max(0.0, lane.closed_until_s - self._clock.monotonic())
        due_at_ms = self._clock.now_ms() + math.ceil(closed_s * 1000) + pause_ms
        for job in jobs:
            waiting = Waiting(job.delivery, due_at_ms, job.batch.id)
            self._recorder.add(Result(job.batch, waiting=waiting))

    async def _send_late(self, lane: Lane, job: Job) -> None:
        found = await self._path.messages([(job.delivery.app_id, job.delivery.msg_id)])
        message = found.get(job.delivery.msg_id)
        if message is None:
            self._recorder.add(Result(job.batch))
        else:
            await self._attempt(lane, job, message)

    async def _attempt(self, lane: Lane, job: Job, message: Message) -> None:
        if lane.plan.endpoint.is_disabled:
            self.give_back(lane, [job])
            return
        started_at_ms = self._clock.now_ms()
        tenure = self._tenure
        if started_at_ms >= tenure.until_ms or self._clock.monotonic() >= tenure.until_s:
            self._on_late()
            self.give_back(lane, [job])
            return
        body = message.body
        if body is None:
            outcome = GiveUp(NO_PAYLOAD.detail)
            attempt = self._attempt_row(lane, job, NO_PAYLOAD, outcome, started_at_ms)
            self._recorder.add(Result(job.batch, attempt))
            return
        end = await self._post(lane, message, body, started_at_ms)
        if isinstance(end, Failure) and end.reason is Reason.CALLED_OFF:
            self._on_late()
            self.give_back(lane, [job])
        else:
            self._settle(lane, job, end, started_at_ms)

    def _may_send(self) -> bool:
        return self._tenure.is_sure

    async def _post(
        self, lane: Lane, message: Message, body: bytes, now_ms: int
    ) -> Reply | Failure:
        endpoint = lane.plan.endpoint
        try:
            target = lane.plan.target
            headers = signed_headers(
                endpoint.signature_scheme,
                endpoint.secrets,
                family=self._settings.header_family,
                msg_id=message.id,
                timestamp_s=now_ms // 1000,
                body=body,
                now_ms=now_ms,
            )
        except (ValueError, SecretError) as error:
            return Failure(Reason.BLOCKED, f"Not sent: {error}", Timings())
        content_type = (message.content_type or "application/json").encode("latin-1")
        headers = b"Content-Type: " + content_type + b"\r\n" + headers
        return await self._wire.post(Request(target, headers, body, self._may_send))

    def _settle(self, lane: Lane, job: Job, end: Reply | Failure, started_at_ms: int) -> None:
        """Turn the end of an attempt into its record, and tell the lane."""
        now_ms = self._clock.now_ms()
        status = status_code(end)
        retry_after = end.header("retry-after") if isinstance(end, Reply) and status > 299 else None
        delivery = job.delivery
        is_manual = delivery.trigger is Trigger.MANUAL
        outcome = retry.decide(
            status=status,
            retry_after=retry_after,
            number=delivery.attempts_made + 1,
            is_manual=is_manual,
            rules=lane.plan.rules,
            now_ms=now_ms,
            luck=self._clock.random(),
        )
        attempt = self._attempt_row(lane, job, end, outcome, started_at_ms)
        is_success = isinstance(outcome, Delivered)
        self._recorder.add(
            Result(
                job.batch,
                attempt,
                waiting=_waiting(job, outcome),
                health=_health(lane, is_success, now_ms),
                disable=self._disable(lane, outcome, now_ms),
            )
        )
        if is_success:
            self.dispatcher.succeeded(lane, end.timings.total_ms)
        else:
            self.dispatcher.failed(
                lane,
                symptom(status, is_unreached=is_unreached(end)),
                is_first=not (delivery.attempts_made or is_manual),
                began_s=self._clock.monotonic() - end.timings.total_ms / 1000,
                pause_s=_pause_s(status, retry_after, now_ms),
            )

    def _attempt_row(
        self, lane: Lane, job: Job, end: Reply | Failure, outcome: Outcome, started_at_ms: int
    ) -> Attempt:
        reply = end if isinstance(end, Reply) else None
        delivery = job.delivery
        return Attempt(
            id=self._clock.new_id("atmpt"),
            app_id=delivery.app_id,
            msg_id=delivery.msg_id,
            endpoint_id=delivery.endpoint_id,
            batch_id=job.batch.id,
            number=0 if delivery.trigger is Trigger.MANUAL else delivery.attempts_made + 1,
            trigger=delivery.trigger,
            status=(
                AttemptStatus.SUCCESS if isinstance(outcome, Delivered) else AttemptStatus.FAIL
            ),
            status_code=status_code(end),
            url=lane.plan.endpoint.url,
            response=reply.body if reply else b"",
            response_headers=reply.headers if reply else (),
            error=error(end),
            timings=end.timings,
            started_at_ms=started_at_ms,
            next_at_ms=outcome.at_ms if isinstance(outcome, Retry) else None,
        )

    def _disable(self, lane: Lane, outcome: Outcome, now_ms: int) -> Disable | None:
        """At once after 410, and after days of nothing but failure."""
        after_h = self._settings.endpoint_disable_after_h
        is_gone = isinstance(outcome, GiveUp) and outcome.is_gone
        if isinstance(outcome, Delivered):
            return None
        if not is_gone and not should_disable(lane.failing_since_ms, now_ms, after_h):
            return None
        since_ms = None if is_gone else lane.failing_since_ms
        plan = lane.plan
        return Disable(plan.endpoint.id, plan.endpoint.version, now_ms, since_ms)


def _waiting(job: Job, outcome: Outcome) -> Waiting | None:
    if not isinstance(outcome, Retry):
        return None
    was = job.delivery
    delivery = Delivery(was.app_id, was.msg_id, was.endpoint_id, was.attempts_made + 1, was.trigger)
    return Waiting(delivery, outcome.at_ms, job.batch.id)


def _health(lane: Lane, is_success: bool, now_ms: int) -> Health | None:
    """The change of the endpoint's health, None when it stays as it is."""
    if is_success == (lane.failing_since_ms is None):
        return None
    lane.failing_since_ms = None if is_success else now_ms
    return Health(lane.plan.endpoint.id, lane.failing_since_ms)


def _pause_s(status: int, retry_after: str | None, now_ms: int) -> float | None:
    """How long a receiver under load asked for quiet."""
    if retry_after is None or status not in (TOO_MANY_REQUESTS, UNAVAILABLE):
        return None
    return retry.retry_after_s(retry_after, now_ms)
