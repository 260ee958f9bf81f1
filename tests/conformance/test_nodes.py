"""Nodes: who is there, who leads, whose lease has ended; and the rates that they keep together."""

import pytest
from msgspec.structs import replace

from ringback.errors import Fenced
from ringback.store.nodes import Grant, NodeAbout, Notice, NoticeKind, Want
from ringback.store.port import Waiting
from ringback.testing.stores import LEASE_MS, World, delivery


def test_nodes_see_one_another(world: World) -> None:
    other = world.join(host="there")
    api = world.join(host="front", role="api")
    standing = world.renew()
    assert standing.workers == (world.lease.epoch, other.epoch)
    assert standing.node_count == 3
    assert not standing.has_lapsed
    assert world.renew(api).workers == standing.workers


def test_the_oldest_worker_leads(world: World) -> None:
    other = world.join()
    assert (world.renew().is_leader, world.renew(other).is_leader) == (True, False)
    world.run(world.store.nodes.leave(world.lease))
    assert world.renew(other).is_leader


def test_who_only_takes_messages_never_leads(world: World) -> None:
    api = world.join(role="api")
    world.run(world.store.nodes.leave(world.lease))
    standing = world.renew(api)
    assert (standing.is_leader, standing.workers, standing.node_count) == (False, (), 1)


def test_nobody_leads_before_the_old_leader_is_fenced(world: World) -> None:
    other = world.join()
    world.renew(lease_ms=0)
    standing = world.renew(other)
    assert standing.workers == (other.epoch,)
    assert (standing.is_leader, standing.has_lapsed) == (False, True)
    world.adopt(other)
    standing = world.renew(other)
    assert (standing.is_leader, standing.has_lapsed) == (True, False)
    with pytest.raises(Fenced):
        world.renew()


def test_a_lapsed_lease_that_nobody_fenced_is_renewed(world: World) -> None:
    other = world.join()
    world.renew(lease_ms=0)
    standing = world.renew()
    assert standing.workers == (world.lease.epoch, other.epoch)
    assert (standing.is_leader, standing.has_lapsed) == (True, False)


def test_a_node_knows_when_the_first_of_the_others_will_lapse(world: World) -> None:
    assert world.renew().lapses_in_ms is None
    other, third = world.join(), world.join(role="api")
    world.renew(third, lease_ms=LEASE_MS // 2)
    lapses_in_ms = world.renew(lease_ms=1).lapses_in_ms
    assert lapses_in_ms is not None
    assert 0 < lapses_in_ms <= LEASE_MS // 2
    world.renew(third, lease_ms=0)
    lapses_in_ms = world.renew().lapses_in_ms
    assert lapses_in_ms is not None
    assert LEASE_MS // 2 < lapses_in_ms <= LEASE_MS
    world.run(world.store.nodes.leave(other))
    assert world.renew().lapses_in_ms is None


def test_nodes_are_listed_with_what_they_hold(world: World) -> None:
    app = world.app()
    endpoints = [world.endpoint(app) for _ in range(3)]
    world.sent(app, *endpoints)
    world.sent(app, endpoints[0])
    about = NodeAbout("there", pid=7, role="worker", version="1.2")
    other = world.run(world.store.nodes.join(about, lease_ms=LEASE_MS))
    world.run(world.store.nodes.renew(other, lease_ms=LEASE_MS, skew_ms=-3))
    one, two = world.run(world.store.nodes.list_nodes())
    assert (one.epoch, one.batches, one.deliveries) == (world.lease.epoch, 2, 4)
    assert 0 < one.lease_left_ms <= LEASE_MS
    assert replace(two, lease_left_ms=0, joined_at_ms=0) == replace(
        one,
        id=other.node_id,
        epoch=other.epoch,
        host="there",
        pid=7,
        role="worker",
        version="1.2",
        skew_ms=-3,
        batches=0,
        deliveries=0,
        lease_left_ms=0,
        joined_at_ms=0,
    )


def test_a_dead_node_is_listed_until_all_it_held_is_adopted(world: World) -> None:
    app = world.app()
    endpoint = world.endpoint(app)
    for _ in range(2):
        world.sent(app, endpoint)
    world.crash()
    world.adopt(limit=1)
    dead, alive = world.run(world.store.nodes.list_nodes())
    assert (dead.is_gone, dead.deliveries, alive.is_gone) == (True, 1, False)
    world.adopt()
    assert [one.epoch for one in world.run(world.store.nodes.list_nodes())] == [alive.epoch]


def test_sends_are_granted_once(world: World) -> None:
    want = Want("ep_1", "app_1", 10, 0, 3)
    first, second = world.run(world.store.nodes.reserve([want, want]))
    assert first == Grant(3, 0)
    assert second == Grant(3, 300_000)
    [third] = world.run(world.store.nodes.reserve([want]))
    assert third.count == 3
    assert 0 < third.wait_us <= 600_000
    [fourth] = world.run(world.store.nodes.reserve([replace(want, count=10)]))
    [none] = world.run(world.store.nodes.reserve([want]))
    assert (fourth.count, none.count) == (10, 0)
    assert none.wait_us > 0


def test_an_application_has_one_rate_for_all_its_endpoints(world: World) -> None:
    wants = [Want(f"ep_{number}", "app_1", 0, 100, 5) for number in range(3)]
    grants = world.run(world.store.nodes.reserve(wants))
    assert [grant.wait_us for grant in grants] == [0, 50_000, 100_000]


def test_nothing_without_a_rate_has_to_wait(world: World) -> None:
    want = Want("ep_1", "app_1", 0, 0, 5)
    assert world.run(world.store.nodes.reserve([want])) == [Grant(5, 0)]
    assert world.run(world.store.nodes.reserve([])) == []


def test_rates_that_are_in_use_are_not_forgotten(world: World) -> None:
    world.run(world.store.nodes.reserve([Want("ep_1", "app_1", 10, 0, 3)]))
    assert world.run(world.store.tending.forget_rates(limit=9)) == 0
    [grant] = world.run(world.store.nodes.reserve([Want("ep_1", "app_1", 10, 0, 3)]))
    assert grant.wait_us > 0


def test_a_postponed_lane_can_be_hastened(world: World) -> None:
    app = world.app()
    endpoint, other = world.endpoint(app), world.endpoint(app)
    world.queued(app, endpoint)
    later_ms = world.clock.at_ms + 60_000
    world.run(world.store.path.postpone({endpoint.id: later_ms}))
    assert world.due() == []
    world.run(world.store.path.hasten([endpoint.id, other.id]))
    assert [lane.endpoint_id for lane in world.due()] == [endpoint.id]
    assert world.run(world.store.path.next_due_at_ms()) == world.clock.at_ms


def test_a_parked_lane_is_not_hastened(world: World) -> None:
    app = world.app()
    endpoint = world.endpoint(app, is_disabled=True)
    message = world.sent(app)
    waiting = Waiting(delivery(message, endpoint), world.clock.at_ms)
    world.run(world.store.path.park([waiting]))
    world.run(world.store.path.hasten([endpoint.id]))
    assert world.claim_all(endpoint) == []


def test_versions_are_those_of_what_is_there(world: World) -> None:
    apps = [world.app() for _ in range(3)]
    world.endpoint(apps[0])
    world.run(world.store.resources.delete_app(apps[2].org_id, apps[2].id, at_ms=1))
    ids = [app.id for app in apps]
    found = world.run(world.store.path.versions([*ids, "app_none"]))
    assert found == {ids[0]: apps[0].version + 1, ids[1]: apps[1].version}


def test_telling_nobody_is_fine(world: World) -> None:
    world.run(world.store.notices.tell(Notice(NoticeKind.TASK)))
