"""Lanes, claims, postponing, adopting."""

import pytest

from ringback.errors import Fenced
from ringback.model import Trigger
from ringback.store.port import DueLane, Take, Waiting
from ringback.testing.stores import World, delivery


def test_due_lanes_come_oldest_first_page_by_page(world: World) -> None:
    app = world.app()
    endpoints = [world.endpoint(app) for _ in range(5)]
    for place, endpoint in enumerate(endpoints):
        world.queued(app, endpoint, due_at_ms=world.clock.at_ms - 10 * (place // 2))
    lanes = world.due()
    assert lanes == sorted(lanes, key=lambda lane: (lane.due_at_ms, lane.endpoint_id))
    assert {lane.endpoint_id for lane in lanes} == {endpoint.id for endpoint in endpoints}
    assert {lane.app_id for lane in lanes} == {app.id}
    walked: list[DueLane] = []
    while page := world.run(
        world.store.path.due_lanes(world.clock.at_ms, after=walked[-1] if walked else None, limit=2)
    ):
        walked += page
    assert walked == lanes


def test_a_claim_takes_the_oldest_of_each_lane_and_no_more(world: World) -> None:
    app = world.app()
    first, second = world.endpoint(app), world.endpoint(app)
    old = [world.queued(app, first, due_at_ms=world.clock.at_ms - age) for age in (30, 20, 10)]
    [other] = [world.queued(app, second)]
    claimed = world.claim(Take(first.id, 2), Take(second.id, 2), Take("ep_none", 2))
    assert sorted(claimed, key=lambda one: one.endpoint_id) == [
        delivery(old[0], first),
        delivery(old[1], first),
        delivery(other, second),
    ]
    [lane] = world.due()
    assert (lane.endpoint_id, lane.due_at_ms) == (first.id, world.clock.at_ms - 10)
    assert world.claim(Take(first.id, 0)) == []
    assert world.claim_all(first) == [delivery(old[2], first)]
    assert world.due() == []
    assert world.run(world.store.path.next_due_at_ms()) is None


def test_taking_from_one_lane_twice_takes_nothing_twice(world: World) -> None:
    app = world.app()
    endpoint = world.endpoint(app)
    messages = [world.queued(app, endpoint) for _ in range(4)]
    claimed = world.claim(Take(endpoint.id, 1), Take(endpoint.id, 2))
    assert [one.msg_id for one in claimed] == [message.id for message in messages[:3]]


def test_many_rows_of_one_instant_are_claimed_in_order(world: World) -> None:
    app = world.app()
    endpoint = world.endpoint(app)
    messages = [world.message(app) for _ in range(300)]
    world.accept(*(world.routed(one, app, waiting=[endpoint]) for one in messages))
    taken = [one.msg_id for _ in range(4) for one in world.claim(Take(endpoint.id, 80))]
    assert taken == [message.id for message in messages]


def test_a_claim_keeps_what_is_known_of_a_delivery(world: World) -> None:
    app = world.app()
    endpoint = world.endpoint(app)
    message = world.sent(app)
    known = delivery(message, endpoint, attempts_made=3, trigger=Trigger.MANUAL)
    world.run(world.store.path.park([Waiting(known, world.clock.at_ms)]))
    [claimed] = world.run(
        world.store.path.claim(world.lease, 900, [Take(endpoint.id, 1)], now_ms=world.clock.at_ms)
    )
    assert claimed.delivery == known
    assert claimed.app_version == world.version(app)
    world.crash()
    world.adopt()
    assert world.claim_all(endpoint) == [known]


def test_a_postponed_lane_is_not_due_until_then_or_something_earlier_waits(world: World) -> None:
    app = world.app()
    endpoint = world.endpoint(app)
    world.queued(app, endpoint)
    later_ms = world.clock.at_ms + 5_000
    world.run(world.store.path.postpone({endpoint.id: later_ms, "ep_none": later_ms}))
    assert world.due() == []
    assert world.run(world.store.path.next_due_at_ms()) == later_ms
    world.run(world.store.path.postpone({endpoint.id: world.clock.at_ms}))
    assert world.run(world.store.path.next_due_at_ms()) == later_ms  # never earlier
    world.queued(app, endpoint, due_at_ms=world.clock.at_ms - 1)
    assert [lane.endpoint_id for lane in world.due()] == [endpoint.id]


def test_a_fenced_node_claims_nothing(world: World) -> None:
    app = world.app()
    endpoint = world.endpoint(app)
    message = world.queued(app, endpoint)
    old = world.lease
    world.crash()
    world.adopt()
    with pytest.raises(Fenced):
        world.claim(Take(endpoint.id, 1), lease=old)
    assert world.claim_all(endpoint) == [delivery(message, endpoint)]


def test_a_live_node_is_not_adopted_from(world: World) -> None:
    app = world.app()
    endpoint = world.endpoint(app)
    world.sent(app, endpoint)
    other = world.join(host="there")
    assert world.adopt(other) == 0
    assert world.claim_all(endpoint) == []


def test_adopting_is_bounded_and_fences_at_once(world: World) -> None:
    app = world.app()
    endpoint = world.endpoint(app)
    messages = [world.sent(app, endpoint) for _ in range(5)]
    old = world.lease
    world.crash()
    assert [world.adopt(limit=2) for _ in range(4)] == [2, 2, 1, 0]
    with pytest.raises(Fenced):
        world.renew(old)
    assert {one.msg_id for one in world.claim_all(endpoint)} == {one.id for one in messages}


def test_a_node_that_left_is_adopted_from_at_once(world: World) -> None:
    app = world.app()
    endpoint = world.endpoint(app)
    message = world.sent(app, endpoint)
    world.run(world.store.nodes.leave(world.lease))
    with pytest.raises(Fenced):
        world.claim(Take(endpoint.id, 1))
    world.lease = world.join()
    assert world.adopt() == 1
    assert world.claim_all(endpoint) == [delivery(message, endpoint)]


def test_epochs_are_never_given_out_twice(world: World) -> None:
    epochs = [world.lease.epoch]
    for _ in range(3):
        world.run(world.store.nodes.leave(world.lease))
        world.lease = world.join()
        world.adopt()
        epochs.append(world.lease.epoch)
    assert len(set(epochs)) == 4


def test_a_renewed_lease_outlives_its_first_end(world: World) -> None:
    app = world.app()
    endpoint = world.endpoint(app)
    world.sent(app, endpoint)
    other = world.join(lease_ms=0)
    world.renew(lease_ms=0)
    for lease in (world.lease, other):
        world.renew(lease)
    assert world.adopt(other) == 0


def test_deleted_endpoints_get_nothing_back(world: World) -> None:
    app = world.app()
    endpoint, other = world.endpoint(app), world.endpoint(app)
    message = world.sent(app, endpoint, other)
    world.run(world.store.resources.delete_endpoint(app.id, endpoint.id, at_ms=1))
    world.crash()
    assert world.adopt() == 1
    assert world.claim(Take(endpoint.id, 9), Take(other.id, 9)) == [delivery(message, other)]
