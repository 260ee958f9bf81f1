"""`Path.record`: attempts, retries, health, and disabling."""

from typing import Any

import msgspec
import pytest

from ringback.errors import Fenced
from ringback.model import Delivery, Endpoint, Trigger
from ringback.store.port import Disable, Health, Waiting
from ringback.testing.stores import World, delivery


def test_an_attempt_is_kept_as_it_was(world: World) -> None:
    app = world.app()
    endpoint = world.endpoint(app)
    message = world.sent(app, endpoint)
    success = world.attempt(message, endpoint, trigger=Trigger.MANUAL, number=0)
    failure = world.failure(
        message,
        endpoint,
        status_code=0,
        response=b"",
        response_headers=(),
        error="connection refused",
        next_at_ms=world.clock.at_ms + 5_000,
    )
    world.record(success, failure, finished_batches=[world.batch_id])
    for attempt in (success, failure):
        found = world.run(world.store.history.get_attempt(message.id, attempt.id))
        assert found == attempt


def test_a_finished_batch_is_not_adopted(world: World) -> None:
    app = world.app()
    endpoint = world.endpoint(app)
    message = world.sent(app, endpoint)
    world.record(world.attempt(message, endpoint), finished_batches=[world.batch_id])
    world.crash()
    assert world.adopt() == 0
    assert world.claim_all(endpoint) == []


def test_of_an_unfinished_batch_only_what_has_no_attempt_comes_back(world: World) -> None:
    app = world.app()
    done, retried, open_ = (world.endpoint(app) for _ in range(3))
    message = world.sent(app, done, retried, open_)
    due_at_ms = world.clock.at_ms + 60_000
    again = Waiting(delivery(message, retried, attempts_made=1), due_at_ms, world.batch_id)
    world.record(
        world.attempt(message, done),
        world.failure(message, retried, next_at_ms=due_at_ms),
        waiting=[again],
    )
    world.crash()
    assert world.adopt() == 1
    assert [lane.endpoint_id for lane in world.due()] == [open_.id]
    world.clock.at_ms = due_at_ms
    assert world.claim_all(retried) == [again.delivery]
    assert world.claim_all(done) == []


def test_what_was_given_back_does_not_come_back_twice(world: World) -> None:
    """The waiting row may be claimed, and gone, before its first batch is adopted."""
    app = world.app()
    endpoint, other = world.endpoint(app), world.endpoint(app)
    message = world.sent(app, endpoint, other)
    back = Waiting(delivery(message, endpoint), world.clock.at_ms, world.batch_id)
    world.record(waiting=[back])
    assert world.claim_all(endpoint) == [back.delivery]
    world.crash()
    assert world.adopt() == 2
    assert world.claim_all(endpoint) == [back.delivery]
    assert world.claim_all(other) == [delivery(message, other)]


@pytest.mark.parametrize("count", [1, 7, 600])
def test_recording_again_brings_back_nothing_that_went_on(world: World, count: int) -> None:
    """What a caller does who missed the answer; the waiting rows may be claimed meanwhile."""
    app = world.app()
    endpoint = world.endpoint(app)
    messages = [world.message(app) for _ in range(count)]
    world.accept(*(world.routed(one, app, now=[endpoint]) for one in messages))
    failures = [world.failure(one, endpoint, next_at_ms=world.clock.at_ms) for one in messages]
    again = [
        Waiting(delivery(one, endpoint, attempts_made=1), world.clock.at_ms, world.batch_id)
        for one in messages
    ]
    what: dict[str, Any] = {"waiting": again, "finished_batches": [world.batch_id]}
    world.record(*failures, **what)
    assert world.claim_all(endpoint) == [one.delivery for one in again]
    world.record(*failures, **what)
    assert world.claim_all(endpoint) == []
    found = world.run(world.store.history.endpoint_stats(endpoint.id, since_ms=0, until_ms=2**53))
    assert (found.fail, found.sending) == (count, 0)


@pytest.mark.parametrize("is_last", [True, False])
def test_giving_back_again_brings_back_nothing_that_went_on(world: World, is_last: bool) -> None:
    app = world.app()
    endpoint, other = world.endpoint(app), world.endpoint(app)
    message = world.sent(app, endpoint) if is_last else world.sent(app, endpoint, other)
    back = Waiting(delivery(message, endpoint), world.clock.at_ms, world.batch_id)
    finished = [world.batch_id] if is_last else []
    world.record(waiting=[back], finished_batches=finished)
    assert world.claim_all(endpoint) == [back.delivery]
    world.record(waiting=[back], finished_batches=finished)
    assert world.claim_all(endpoint) == []
    world.crash()
    world.adopt()
    assert world.claim_all(endpoint) == [back.delivery]


def test_recording_again_undoes_nothing_that_happened_since(world: World) -> None:
    """Neither the health of an endpoint, nor what somebody made of one that was disabled."""
    app = world.app()
    endpoint, other = world.endpoint(app), world.endpoint(app)
    message = world.sent(app, endpoint, other)
    failure = world.failure(message, endpoint)
    what: dict[str, Any] = {
        "waiting": [Waiting(delivery(message, other), world.clock.at_ms, world.batch_id)],
        "health": [Health(endpoint.id, 123)],
        "disable": [Disable(endpoint.id, endpoint.version, world.clock.at_ms)],
        "finished_batches": [world.batch_id],
    }
    world.record(failure, **what)
    world.record(health=[Health(endpoint.id, None)])
    _change(world, endpoint, is_disabled=False)
    version = world.version(app)
    world.record(failure, **what)
    found = _endpoint(world, endpoint)
    assert (found.failing_since_ms, found.is_disabled) == (None, False)
    assert world.version(app) == version
    assert world.claim_all(other) == [delivery(message, other)]
    assert world.claim_all(other) == []


def test_a_manual_resend_in_flight_is_told_from_the_first_attempt(world: World) -> None:
    app = world.app()
    endpoint = world.endpoint(app)
    message = world.sent(app, endpoint)
    world.record(world.attempt(message, endpoint), finished_batches=[world.batch_id])
    resend = Delivery(app.id, message.id, endpoint.id, trigger=Trigger.MANUAL)
    world.run(world.store.path.hand_off(world.lease, world.next_batch(), [resend]))
    world.crash()
    assert world.adopt() == 1
    assert world.claim_all(endpoint) == [resend]


def test_a_resend_does_not_stand_for_the_scheduled_delivery_of_its_batch(world: World) -> None:
    app = world.app()
    endpoint = world.endpoint(app)
    message = world.queued(app, endpoint)
    resend = delivery(message, endpoint, trigger=Trigger.MANUAL)
    world.run(world.store.path.park([Waiting(resend, world.clock.at_ms)]))
    assert len(world.claim_all(endpoint)) == 2
    world.record(world.failure(message, endpoint, trigger=Trigger.MANUAL))
    world.crash()
    assert world.adopt() == 1
    assert world.claim_all(endpoint) == [delivery(message, endpoint)]


def test_health_is_kept_without_a_new_version(world: World) -> None:
    app = world.app()
    endpoint = world.endpoint(app)
    version = world.version(app)
    world.record(health=[Health(endpoint.id, 123)])
    assert _endpoint(world, endpoint).failing_since_ms == 123
    world.record(health=[Health(endpoint.id, None)])
    assert _endpoint(world, endpoint) == endpoint
    assert world.version(app) == version


def test_disabling_parks_the_lane_and_changes_the_version(world: World) -> None:
    app = world.app()
    endpoint = world.endpoint(app)
    message = world.queued(app, endpoint)
    version = world.version(app)
    world.record(disable=[Disable(endpoint.id, endpoint.version, world.clock.at_ms)])
    found = _endpoint(world, endpoint)
    assert (found.is_disabled, found.version) == (True, endpoint.version + 1)
    assert world.version(app) == version + 1
    assert world.due() == []
    assert world.claim_all(endpoint) == []
    world.queued(app, endpoint)  # stays parked
    assert world.due() == []
    _change(world, endpoint, is_disabled=False)
    assert [lane.endpoint_id for lane in world.due()] == [endpoint.id]
    assert world.claim_all(endpoint)[0] == delivery(message, endpoint)


def test_an_endpoint_that_somebody_changed_is_not_disabled(world: World) -> None:
    app = world.app()
    endpoint = world.endpoint(app)
    _change(world, endpoint, description="fixed")
    world.record(disable=[Disable(endpoint.id, endpoint.version, world.clock.at_ms)])
    assert not _endpoint(world, endpoint).is_disabled


@pytest.mark.parametrize("succeeds", [True, False])
def test_an_endpoint_that_succeeded_since_is_not_disabled(world: World, succeeds: bool) -> None:
    app = world.app()
    endpoint = world.endpoint(app)
    message = world.sent(app, endpoint)
    since_ms = world.clock.at_ms
    world.clock.at_ms += 1_000
    make = world.attempt if succeeds else world.failure
    world.record(make(message, endpoint), finished_batches=[world.batch_id])
    world.record(disable=[Disable(endpoint.id, endpoint.version, world.clock.at_ms, since_ms)])
    assert _endpoint(world, endpoint).is_disabled is not succeeds


def test_a_deleted_endpoint_keeps_its_history_and_drops_what_waits(world: World) -> None:
    app = world.app()
    endpoint = world.endpoint(app)
    message = world.sent(app, endpoint)
    world.run(world.store.resources.delete_endpoint(app.id, endpoint.id, at_ms=world.clock.at_ms))
    attempt = world.failure(message, endpoint, next_at_ms=world.clock.at_ms)
    again = Waiting(delivery(message, endpoint, attempts_made=1), world.clock.at_ms, 1)
    world.record(
        attempt,
        waiting=[again],
        finished_batches=[world.batch_id],
        health=[Health(endpoint.id, 1)],
        disable=[Disable(endpoint.id, endpoint.version, 1)],
    )
    assert world.run(world.store.history.get_attempt(message.id, attempt.id)) == attempt
    assert world.due() == []
    assert world.claim_all(endpoint) == []
    assert world.run(world.store.tending.purge_deleted(limit=10)) == 0


def test_a_fenced_node_records_nothing(world: World) -> None:
    app = world.app()
    endpoint = world.endpoint(app)
    message = world.sent(app, endpoint)
    attempt = world.attempt(message, endpoint)
    old = world.lease
    world.crash()
    world.adopt()
    with pytest.raises(Fenced):
        world.record(attempt, finished_batches=[1], lease=old)
    assert world.run(world.store.history.get_attempt(message.id, attempt.id)) is None


def _endpoint(world: World, endpoint: Endpoint) -> Endpoint:
    found = world.run(world.store.resources.get_endpoint(endpoint.app_id, endpoint.id))
    assert found is not None
    return found


def _change(world: World, endpoint: Endpoint, **columns: object) -> Endpoint:
    return world.run(
        world.store.resources.update_endpoint(
            endpoint.app_id, endpoint.id, lambda old: msgspec.structs.replace(old, **columns)
        )
    )
