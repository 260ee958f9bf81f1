"""The end of a lease in virtual time: the others take over just then, and its holder stops."""

import os
from collections.abc import Awaitable, Callable

import pytest

from ringback.config import Settings
from ringback.engine.lease import LAPSE_SLACK_S_MAX
from ringback.testing.cluster import Cluster
from ringback.testing.simulation import Answer, SimulatedClock, simulate

LEASE_S = 10.0
SETTINGS = Settings(endpoint_disable_after_h=0, lease_s=LEASE_S)
RUNS = int(os.environ.get("RINGBACK_TEST_RUNS", "8"))


def run(story: Callable[[Cluster], Awaitable[None]], *, seed: int = 1, nodes: int = 2) -> None:
    async def told(clock: SimulatedClock) -> None:
        cluster = Cluster(clock, SETTINGS, nodes=nodes)
        await cluster.start()
        await story(cluster)
        await cluster.end()

    simulate(seed, told)


@pytest.mark.parametrize("nodes", [2, 4])
@pytest.mark.parametrize("seed", range(RUNS))
def test_what_a_dead_node_held_is_late_by_its_lease_at_most(seed: int, nodes: int) -> None:
    is_dead = False

    def hung(_msg_id: str, _now_ms: int) -> Answer:
        return Answer(200, delay_s=0.01 if is_dead else 20.0)

    async def story(cluster: Cluster) -> None:
        nonlocal is_dead
        await cluster.populate({"hung": (hung, None)})
        victim = cluster.nodes[seed % nodes]
        await cluster.clock.sleep(cluster.clock.seeded.random() * LEASE_S)
        sent = {await cluster.publish(victim, number) for number in range(20)}
        is_dead = True
        died_at_ms = cluster.clock.now_ms()
        await victim.kill()
        await cluster.clock.sleep(2 * LEASE_S)
        late = [one for one in cluster.arrivals("hung") if one.node != victim.name]
        assert {one.msg_id for one in late} == sent
        late_s = max(one.at_ms for one in late) / 1000 - died_at_ms / 1000
        assert late_s <= LEASE_S + LAPSE_SLACK_S_MAX

    run(story, seed=seed, nodes=nodes)


def test_a_node_that_was_stopped_while_it_connected_sends_nothing() -> None:
    async def story(cluster: Cluster) -> None:
        await cluster.populate({"healthy": (lambda _msg_id, _now_ms: Answer(200), None)})
        cluster.wire.connect_s = 1.0
        stopped, other = cluster.nodes
        sent = {await cluster.publish(stopped, number) for number in range(5)}
        await cluster.clock.sleep(0.5)
        stopped.pause()
        await cluster.clock.sleep(2 * LEASE_S)
        stopped.go_on()
        await cluster.clock.sleep(2 * LEASE_S)
        assert cluster.sent_without_lease == []
        assert {one.msg_id for one in cluster.arrivals("healthy")} == sent
        assert {one.node for one in cluster.arrivals("healthy")} == {other.name}

    run(story)
