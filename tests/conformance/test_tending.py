"""`Tending`: retention, purging, tasks."""

from collections.abc import Callable, Coroutine
from typing import Any

import msgspec
import pytest

from ringback.errors import NotFound, TooManyRequests
from ringback.model import Application, Endpoint, Message, Task, TaskStatus
from ringback.store.page import Page
from ringback.store.port import (
    AcceptOutcome,
    AttemptFilter,
    IdempotencyKey,
    MessageFilter,
)
from ringback.testing.stores import World, delivery

DAY_MS = 86_400_000
LONG_MS = 3 * DAY_MS  # older than any span of time that a store may keep together
ROUNDS_MAX = 50


def payloads(world: World, app: Application) -> dict[str, bytes | None]:
    page = Page(1_000, is_descending=False)
    found = world.run(world.store.history.list_messages(app.id, page, MessageFilter()))
    return {message.id: message.payload for message in found.rows}


def take_all(world: World, call: Callable[[int], Coroutine[Any, Any, int]]) -> None:
    """Call with a small limit until less than that is taken."""
    limit = taken = 2
    for _ in range(ROUNDS_MAX):
        if taken < limit:
            return
        taken = world.run(call(limit))
        assert taken <= limit
    raise AssertionError("there is always more")


def expire_old(world: World) -> None:
    """Delete the payloads of all messages from before now."""
    now_ms = world.clock.at_ms
    expire = world.store.tending.expire_payloads
    take_all(world, lambda limit: expire(now_ms=now_ms, before_ms=now_ms, limit=limit))


def delete_old(world: World, *, before_ms: int | None = None) -> None:
    """Delete all messages from before an instant, or from before now."""
    at_ms = world.clock.at_ms if before_ms is None else before_ms
    take_all(world, lambda limit: world.store.tending.delete_messages(before_ms=at_ms, limit=limit))


# ---- retention ----------------------------------------------------------------------------------


def test_payloads_expire_by_age_or_by_their_own_time(world: World) -> None:
    app = world.app()
    start_ms = world.clock.at_ms
    own = world.sent(app, payload_expires_at_ms=start_ms + 5, raw_body=b"raw")
    long_ = world.sent(app, payload_expires_at_ms=start_ms + 90 * DAY_MS)
    plain = [world.sent(app) for _ in range(3)]
    world.clock.at_ms += LONG_MS
    young = world.sent(app)
    expire = world.store.tending.expire_payloads

    def run(before_ms: int, limit: int) -> int:
        now_ms = world.clock.at_ms
        return world.run(expire(now_ms=now_ms, before_ms=before_ms, limit=limit))

    assert run(start_ms, 100) == 1  # the one whose own time came
    found = world.run(world.store.history.get_message(app.id, own.id))
    assert found is not None
    assert (found.payload, found.raw_body) == (None, None)
    taken = [run(start_ms + LONG_MS, 2) for _ in range(4)]
    assert taken == [2, 2, 1, 0]  # five old ones were looked at, two at a time
    left = payloads(world, app)
    assert left[long_.id] is not None
    assert left[young.id] is not None
    assert [left[message.id] for message in plain] == [None, None, None]


def test_expiring_goes_on_after_everything_was_deleted(world: World) -> None:
    """Numbers of deleted rows may be used again, and no payload may slip through."""
    app = world.app()
    for has_room in (True, False, True):
        for _ in range(4):
            world.sent(app)
        world.clock.at_ms += LONG_MS
        if has_room:
            world.run(world.store.tending.make_room(now_ms=world.clock.at_ms))
        expire_old(world)
        assert set(payloads(world, app).values()) == {None}
        delete_old(world)
        assert payloads(world, app) == {}


def test_old_messages_go_with_what_waits_for_them(world: World) -> None:
    app = world.app()
    endpoint = world.endpoint(app)
    old = [world.queued(app, endpoint, event_id=f"e{number}") for number in range(5)]
    world.clock.at_ms += LONG_MS
    young = world.queued(app, endpoint, event_id="young")
    delete_old(world, before_ms=world.clock.at_ms - DAY_MS)
    assert list(payloads(world, app)) == [young.id]
    assert world.claim_all(endpoint) == [delivery(young, endpoint)]
    for ref in (old[0].id, "e0"):
        assert world.run(world.store.history.get_message(app.id, ref)) is None
    [again, taken] = world.accept(
        world.routed(world.message(app, event_id="e0"), app),
        world.routed(world.message(app, event_id="young"), app),
    )
    assert again.outcome is AcceptOutcome.ACCEPTED
    assert (taken.outcome, taken.message_id) == (AcceptOutcome.EVENT_ID_TAKEN, young.id)


def test_messages_are_kept_until_they_are_old(world: World) -> None:
    app = world.app()
    messages = [world.sent(app) for _ in range(3)]
    delete_old(world)
    assert sorted(payloads(world, app)) == [message.id for message in messages]


def test_old_messages_go_wherever_the_clock_was(world: World) -> None:
    """Also those of a time for which no room was made."""
    app = world.app()
    world.clock.at_ms += 10 * LONG_MS
    for _ in range(3):
        world.sent(app, event_id=world.clock.new_id("event"))
    world.clock.at_ms += LONG_MS
    delete_old(world)
    assert payloads(world, app) == {}


def test_a_lane_of_deleted_messages_is_empty_at_the_next_claim(world: World) -> None:
    app = world.app()
    endpoint = world.endpoint(app)
    world.queued(app, endpoint)
    world.clock.at_ms += LONG_MS
    delete_old(world)
    assert world.claim_all(endpoint) == []
    assert world.due() == []


def test_old_attempts_go(world: World) -> None:
    app = world.app()
    endpoint = world.endpoint(app)
    message = world.sent(app, endpoint)
    world.record(*(world.attempt(message, endpoint) for _ in range(3)))
    world.clock.at_ms += LONG_MS
    young = world.attempt(message, endpoint)
    world.record(young)
    delete = world.store.tending.delete_attempts
    take_all(world, lambda limit: delete(before_ms=world.clock.at_ms, limit=limit))
    call = world.store.history.list_attempts_of_message(message.id, Page(9), AttemptFilter())
    assert world.run(call).rows == [young]


def test_expired_answers_are_forgotten(world: World) -> None:
    now_ms = world.clock.at_ms
    for number in range(5):
        key = IdempotencyKey(bytes([number]) * 8, now_ms + number)
        world.run(world.store.resources.remember(key, b"answer"))
    forget = world.store.tending.forget_answers
    assert [world.run(forget(now_ms=now_ms + 3, limit=3)) for _ in range(3)] == [3, 1, 0]
    assert world.run(world.store.resources.recall(bytes([4]) * 8, now_ms=now_ms)) == b"answer"


def test_waiting_rows_of_deleted_endpoints_are_purged(world: World) -> None:
    app = world.app()
    kept, first, second = (world.endpoint(app) for _ in range(3))
    for endpoint in (kept, first, second):
        for _ in range(3):
            world.queued(app, endpoint)
    for endpoint in (first, second):
        world.run(world.store.resources.delete_endpoint(app.id, endpoint.id, at_ms=1))
    assert [lane.endpoint_id for lane in world.due()] == [kept.id]
    purge = world.store.tending.purge_deleted
    assert [world.run(purge(limit=4)) for _ in range(3)] == [4, 2, 0]
    assert len(world.claim_all(kept)) == 3


def test_purging_finds_the_endpoints_of_a_deleted_application(world: World) -> None:
    app = world.app()
    world.queued(app, world.endpoint(app))
    world.run(world.store.resources.delete_app("org_1", app.id, at_ms=1))
    assert world.run(world.store.tending.purge_deleted(limit=10)) == 1


def forget_deleted(world: World) -> int:
    """How many go of what was deleted before now."""
    return world.run(world.store.tending.forget_deleted(before_ms=world.clock.at_ms, limit=9))


def test_deleted_endpoints_go_when_nothing_refers_to_them(world: World) -> None:
    app = world.app()
    kept, idle, tried, waited = (world.endpoint(app) for _ in range(4))
    message = world.sent(app, tried)
    world.record(world.attempt(message, tried), finished_batches=[world.batch_id])
    world.queued(app, waited)
    for endpoint in (idle, tried, waited):
        delete = world.store.resources.delete_endpoint
        world.run(delete(app.id, endpoint.id, at_ms=world.clock.at_ms))
    world.run(world.store.tending.purge_deleted(limit=9))
    assert forget_deleted(world) == 0  # not before they are old
    world.clock.at_ms += LONG_MS
    assert forget_deleted(world) == 2
    shown = world.run(world.store.history.list_endpoints_of_message(message.id, Page(9)))
    assert [endpoint.id for endpoint, _ in shown.rows] == [tried.id]
    attempts = world.store.tending.delete_attempts
    take_all(world, lambda limit: attempts(before_ms=world.clock.at_ms, limit=limit))
    assert forget_deleted(world) == 1
    page = world.run(world.store.resources.list_endpoints(app.id, Page(9)))
    assert [endpoint.id for endpoint in page.rows] == [kept.id]


def test_a_deleted_application_goes_after_its_messages(world: World) -> None:
    app, other = world.app(), world.app()
    for _ in range(2):
        world.endpoint(app)
    message = world.sent(app)
    world.run(world.store.resources.delete_app("org_1", app.id, at_ms=world.clock.at_ms))
    world.run(world.store.tending.purge_deleted(limit=9))
    world.clock.at_ms += LONG_MS
    assert forget_deleted(world) == 2
    assert world.run(world.store.history.get_message(app.id, message.id)) is not None
    delete_old(world)
    assert forget_deleted(world) == 1
    assert world.run(world.store.resources.get_app("org_1", other.id)) is not None


def test_of_many_that_were_deleted_a_bounded_number_goes_at_once(world: World) -> None:
    app = world.app()
    for _ in range(3):
        world.endpoint(app)
    world.run(world.store.resources.delete_app("org_1", app.id, at_ms=world.clock.at_ms))
    world.run(world.store.tending.purge_deleted(limit=9))
    world.clock.at_ms += LONG_MS
    forget = world.store.tending.forget_deleted
    taken = [world.run(forget(before_ms=world.clock.at_ms, limit=2)) for _ in range(3)]
    assert taken == [2, 2, 0]


def test_what_is_deleted_keeps_no_secret(world: World) -> None:
    app, other = world.app(), world.app()
    one = world.endpoint(app, headers={"authorization": "Bearer x"})
    two = world.endpoint(other, headers={"authorization": "Bearer x"})
    assert one.secrets
    messages = [world.sent(app, one), world.sent(other, two)]
    world.record(*(world.attempt(*pair) for pair in zip(messages, (one, two), strict=True)))
    world.run(world.store.resources.delete_endpoint(app.id, one.id, at_ms=world.clock.at_ms))
    world.run(world.store.resources.delete_app("org_1", other.id, at_ms=world.clock.at_ms))
    for message in messages:
        call = world.store.history.list_endpoints_of_message(message.id, Page(9))
        [(deleted, _)] = world.run(call).rows
        assert (deleted.secrets, deleted.headers) == ((), {})


# ---- tasks --------------------------------------------------------------------------------------


def task(world: World, app: Application, endpoint: Endpoint, **columns: object) -> Task:
    now_ms = world.clock.at_ms
    new = Task(
        id=world.clock.new_id("qtask"),
        org_id="org_1",
        app_id=app.id,
        kind="endpoint.recover",
        status=TaskStatus.RUNNING,
        arguments={
            "endpoint_id": endpoint.id,
            "since_ms": now_ms - DAY_MS,
            "until_ms": now_ms + DAY_MS,
        },
        cursor=None,
        done_count=0,
        created_at_ms=now_ms,
        updated_at_ms=now_ms,
    )
    new = msgspec.structs.replace(new, **columns)
    return world.run(world.store.tending.create_task(new, running_max=9))


def failed(world: World, app: Application, endpoint: Endpoint, **columns: object) -> Message:
    message = world.sent(app, endpoint, **columns)
    world.record(world.failure(message, endpoint), finished_batches=[world.batch_id])
    return message


def step(world: World, running: Task, *, limit: int = 100) -> Task:
    call = world.store.tending.recover_step
    return world.run(call(running, now_ms=world.clock.at_ms, limit=limit))


def test_tasks_are_found_while_they_run(world: World) -> None:
    app = world.app()
    running = task(world, app, world.endpoint(app))
    done = task(world, app, world.endpoint(app), status=TaskStatus.FINISHED)
    get = world.store.tending.get_task
    assert world.run(get("org_1", running.id)) == running
    assert world.run(get("org_1", done.id)) == done
    assert world.run(get("org_2", running.id)) is None
    assert world.run(world.store.tending.running_tasks(limit=9)) == [running]


def test_an_application_runs_a_bounded_number_of_tasks(world: World) -> None:
    app, other = world.app(), world.app()
    endpoint = world.endpoint(app)
    task(world, app, endpoint, status=TaskStatus.FINISHED)
    running = [task(world, app, endpoint) for _ in range(9)]
    with pytest.raises(TooManyRequests, match="has 9 recoveries running, which is the limit"):
        task(world, app, endpoint)
    task(world, other, world.endpoint(other))
    assert step(world, running[0]).status is TaskStatus.FINISHED
    task(world, app, endpoint)


def test_tasks_that_ended_are_forgotten(world: World) -> None:
    app = world.app()
    endpoint = world.endpoint(app)
    ended = [task(world, app, endpoint, status=TaskStatus.FINISHED) for _ in range(3)]
    running = task(world, app, endpoint)
    forget = world.store.tending.forget_tasks
    assert world.run(forget(before_ms=world.clock.at_ms, limit=2)) == 0
    world.clock.at_ms += 1
    take_all(world, lambda limit: forget(before_ms=world.clock.at_ms, limit=limit))
    get = world.store.tending.get_task
    assert [world.run(get("org_1", one.id)) for one in ended] == [None] * 3
    assert world.run(get("org_1", running.id)) == running


def test_recovering_brings_back_what_failed_for_good(world: World) -> None:
    app = world.app()
    endpoint = world.endpoint(app)
    lost = failed(world, app, endpoint)
    saved = failed(world, app, endpoint)
    world.record(world.attempt(saved, endpoint))
    retried = world.sent(app, endpoint)
    next_at_ms = world.clock.at_ms + 60_000
    world.record(world.failure(retried, endpoint, next_at_ms=next_at_ms))
    expunged = failed(world, app, endpoint)
    world.run(world.store.history.expunge_message(app.id, expunged.id))
    delivered = world.sent(app, endpoint)
    world.record(world.attempt(delivered, endpoint))
    elsewhere = world.endpoint(app)
    failed(world, app, elsewhere)
    finished = step(world, task(world, app, endpoint))
    assert (finished.status, finished.done_count) == (TaskStatus.FINISHED, 1)
    assert world.claim_all(endpoint) == [delivery(lost, endpoint)]
    assert world.claim_all(elsewhere) == []


def test_recovering_goes_step_by_step_and_never_twice(world: World) -> None:
    app = world.app()
    endpoint = world.endpoint(app)
    messages = [failed(world, app, endpoint) for _ in range(5)]
    start = task(world, app, endpoint)
    first = step(world, start, limit=2)
    assert (first.status, first.done_count) == (TaskStatus.RUNNING, 2)
    assert step(world, start, limit=2) == first  # an old cursor changes nothing
    second = step(world, first, limit=2)
    last = step(world, second, limit=2)
    assert (last.status, last.done_count) == (TaskStatus.FINISHED, 5)
    assert step(world, last, limit=2) == last
    assert [one.msg_id for one in world.claim_all(endpoint)] == [one.id for one in messages]
    assert world.run(world.store.tending.running_tasks(limit=9)) == []


def test_recovering_keeps_to_its_range(world: World) -> None:
    app = world.app()
    endpoint = world.endpoint(app)
    messages = []
    for _ in range(3):
        messages.append(failed(world, app, endpoint))
        world.clock.at_ms += 1_000
    arguments = {
        "endpoint_id": endpoint.id,
        "since_ms": messages[1].created_at_ms,
        "until_ms": messages[2].created_at_ms,
    }
    step(world, task(world, app, endpoint, arguments=arguments))
    assert [one.msg_id for one in world.claim_all(endpoint)] == [messages[1].id]


def test_recovering_a_deleted_endpoint_finishes(world: World) -> None:
    app = world.app()
    endpoint = world.endpoint(app)
    failed(world, app, endpoint)
    running = task(world, app, endpoint)
    world.run(world.store.resources.delete_endpoint(app.id, endpoint.id, at_ms=1))
    finished = step(world, running)
    assert (finished.status, finished.done_count) == (TaskStatus.FINISHED, 0)


def test_recovering_a_disabled_endpoint_waits_until_it_is_enabled(world: World) -> None:
    app = world.app()
    endpoint = world.endpoint(app)
    lost = failed(world, app, endpoint)

    def disabled(is_disabled: bool) -> None:
        world.run(
            world.store.resources.update_endpoint(
                app.id,
                endpoint.id,
                lambda old: msgspec.structs.replace(old, is_disabled=is_disabled),
            )
        )

    disabled(True)
    step(world, task(world, app, endpoint))
    assert world.due() == []
    disabled(False)
    assert world.claim_all(endpoint) == [delivery(lost, endpoint)]


def test_a_task_that_is_not_there_cannot_be_stepped(world: World) -> None:
    app = world.app()
    running = task(world, app, world.endpoint(app))
    with pytest.raises(NotFound):
        step(world, msgspec.structs.replace(running, id="qtask_none"))
