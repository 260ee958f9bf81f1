"""`Path.accept`: what is written, and what is refused."""

import pytest

from ringback.errors import Fenced
from ringback.model import Delivery
from ringback.store.page import Page
from ringback.store.port import (
    AcceptOutcome,
    IdempotencyKey,
    Lease,
    MessageFilter,
    Take,
)
from ringback.testing.stores import World, delivery


def test_a_message_is_kept_as_it_came(world: World) -> None:
    app = world.app()
    plain = world.message(app, channels=("eu", "us"), event_id="ev-1", payload=b'{"\xc3\xa4": 1}')
    raw = world.message(
        app, raw_body=b"", content_type="text/csv", payload_expires_at_ms=world.clock.at_ms + 5
    )
    results = world.accept(world.routed(plain, app), world.routed(raw, app))
    assert [result.outcome for result in results] == [AcceptOutcome.ACCEPTED] * 2
    pairs = [(app.id, plain.id), (app.id, raw.id), (app.id, "msg_none")]
    assert world.run(world.store.path.messages(pairs)) == {plain.id: plain, raw.id: raw}


def test_messages_of_another_application_are_not_given_out(world: World) -> None:
    app, other = world.app(), world.app()
    message = world.sent(app)
    assert world.run(world.store.path.messages([(other.id, message.id)])) == {}


def test_what_was_handed_over_comes_back_after_a_crash(world: World) -> None:
    app = world.app()
    first, second = world.endpoint(app), world.endpoint(app)
    message = world.sent(app, first, second)
    assert world.due() == []
    world.crash()
    assert world.adopt() == 1
    assert world.claim(Take(first.id, 9), Take(second.id, 9)) == [
        delivery(message, first),
        delivery(message, second),
    ]


def test_what_must_wait_is_claimed_when_it_is_due(world: World) -> None:
    app = world.app()
    endpoint = world.endpoint(app)
    message = world.queued(app, endpoint, due_at_ms=world.clock.at_ms + 1)
    assert world.due() == []
    assert world.run(world.store.path.next_due_at_ms()) == world.clock.at_ms + 1
    assert world.claim_all(endpoint) == []
    world.clock.at_ms += 1
    assert [lane.endpoint_id for lane in world.due()] == [endpoint.id]
    assert world.claim_all(endpoint) == [delivery(message, endpoint)]


def test_routing_by_an_old_version_is_stale(world: World) -> None:
    app = world.app()
    endpoint = world.endpoint(app)
    old = world.routed(world.message(app), app, now=[endpoint])
    world.endpoint(app)
    new = world.routed(world.message(app), app)
    stale, accepted = world.accept(old, new)
    assert (stale.outcome, accepted.outcome) == (AcceptOutcome.STALE, AcceptOutcome.ACCEPTED)
    assert _listed(world, app.id) == [new.message.id]
    world.crash()
    assert world.adopt() == 0  # nothing was handed over, so there is no batch


def test_a_deleted_application_is_gone(world: World) -> None:
    app = world.app()
    new = world.routed(world.message(app), app)
    world.run(world.store.resources.delete_app(app.org_id, app.id, at_ms=world.clock.at_ms))
    [result] = world.accept(new)
    assert result.outcome is AcceptOutcome.GONE
    assert _listed(world, app.id) == []


def test_an_event_id_is_taken_once_per_application(world: World) -> None:
    app, other = world.app(), world.app()
    first = world.sent(app, event_id="order-7")
    again = world.routed(world.message(app, event_id="order-7"), app)
    elsewhere = world.routed(world.message(other, event_id="order-7"), other)
    taken, accepted = world.accept(again, elsewhere)
    assert (taken.outcome, taken.message_id) == (AcceptOutcome.EVENT_ID_TAKEN, first.id)
    assert accepted.outcome is AcceptOutcome.ACCEPTED


def test_within_a_call_the_first_event_id_wins(world: World) -> None:
    app = world.app()
    calls = [world.routed(world.message(app, event_id="order-7"), app) for _ in range(2)]
    first, second = world.accept(*calls)
    assert first.outcome is AcceptOutcome.ACCEPTED
    assert (second.outcome, second.message_id) == (AcceptOutcome.EVENT_ID_TAKEN, first.message_id)


def test_a_repeated_request_stands_for_the_first(world: World) -> None:
    app = world.app()
    key = IdempotencyKey(b"k" * 32, world.clock.at_ms + 1_000)
    calls = [world.routed(world.message(app), app, idempotency=key) for _ in range(3)]
    first, second = world.accept(*calls[:2])
    [third] = world.accept(calls[2])
    assert first.outcome is AcceptOutcome.ACCEPTED
    assert {second.outcome, third.outcome} == {AcceptOutcome.REPEATED}
    assert {second.message_id, third.message_id} == {first.message_id}
    assert _listed(world, app.id) == [first.message_id]


def test_an_idempotency_key_is_forgotten_when_it_expires(world: World) -> None:
    app = world.app()
    key = IdempotencyKey(b"k" * 32, world.clock.at_ms + 1_000)
    world.accept(world.routed(world.message(app), app, idempotency=key))
    world.clock.at_ms += 1_000
    later = IdempotencyKey(b"k" * 32, world.clock.at_ms + 1_000)
    calls = [world.routed(world.message(app), app, idempotency=later) for _ in range(2)]
    again, repeated = world.accept(*calls)
    assert again.outcome is AcceptOutcome.ACCEPTED
    assert (repeated.outcome, repeated.message_id) == (AcceptOutcome.REPEATED, again.message_id)


def test_a_refused_message_takes_no_key(world: World) -> None:
    app = world.app()
    key = IdempotencyKey(b"k" * 32, world.clock.at_ms + 1_000)
    stale = world.routed(world.message(app, event_id="e"), app, idempotency=key, routing_version=99)
    good = world.routed(world.message(app, event_id="e"), app, idempotency=key)
    outcomes = [result.outcome for result in world.accept(stale, good)]
    assert outcomes == [AcceptOutcome.STALE, AcceptOutcome.ACCEPTED]


@pytest.mark.parametrize("count", [1, 7, 300, 1_025])
def test_any_number_is_accepted_together(world: World, count: int) -> None:
    app = world.app()
    endpoint = world.endpoint(app)
    version = world.version(app)
    routed = world.routed(world.message(app), app)
    messages = [world.message(app) for _ in range(count)]
    calls = [
        type(routed)(message, version, (delivery(message, endpoint),), (), None)
        for message in messages
    ]
    assert {result.outcome for result in world.accept(*calls)} == {AcceptOutcome.ACCEPTED}
    found = world.run(world.store.path.messages([(app.id, one.id) for one in messages]))
    assert found == {message.id: message for message in messages}
    world.crash()
    world.adopt()
    claimed = world.claim(Take(endpoint.id, 2_000))
    assert {one.msg_id for one in claimed} == set(found)


def test_a_node_without_lease_is_fenced_and_changes_nothing(world: World) -> None:
    app = world.app()
    endpoint = world.endpoint(app)
    new = world.routed(world.message(app), app, waiting=[endpoint])
    for lease in (
        Lease(world.lease.node_id, world.lease.epoch + 1),
        Lease("node_another", world.lease.epoch),
    ):
        with pytest.raises(Fenced):
            world.accept(new, lease=lease)
        with pytest.raises(Fenced):
            world.run(
                world.store.path.hand_off(lease, 77, [Delivery(app.id, "msg_1", endpoint.id)])
            )
    assert _listed(world, app.id) == []
    assert world.due() == []


def test_hand_off_and_park_bring_back_old_messages(world: World) -> None:
    app = world.app()
    endpoint = world.endpoint(app)
    message = world.sent(app, endpoint)
    world.record(world.attempt(message, endpoint), finished_batches=[world.batch_id])
    resend = delivery(message, endpoint)
    world.run(world.store.path.hand_off(world.lease, world.next_batch(), [resend]))
    world.crash()
    assert world.adopt() == 1
    assert world.claim_all(endpoint) == [resend]


def _listed(world: World, app_id: str) -> list[str]:
    found = world.run(world.store.history.list_messages(app_id, Page(100), MessageFilter()))
    return [message.id for message in found.rows]
