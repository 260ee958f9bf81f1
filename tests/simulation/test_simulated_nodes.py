"""Several nodes on one database in virtual time: stopped, cut off, with wrong clocks.

What must hold whatever the seed:

    nobody sends whose lease does not stand in the database, not even a node that has just woken up
    rates and windows hold for all nodes together
    nothing is sent twice by a node that was stopped

What befalls them at random is in `test_simulated_mishaps`.
"""

import os
from collections import Counter

import pytest
from msgspec.structs import replace

from ringback.testing.cluster import SETTINGS, Cluster, Node, run
from ringback.testing.simulation import Answer, Arrival, Receiver

RATE = 20
RUNS = int(os.environ.get("RINGBACK_TEST_RUNS", "8"))


def healthy(_msg_id: str, _now_ms: int) -> Answer:
    return Answer(200)


def slow(_msg_id: str, _now_ms: int) -> Answer:
    return Answer(200, delay_s=0.5)


# ---- a node that wakes up -----------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(RUNS))
def test_a_node_that_was_stopped_sends_nothing_of_what_it_held(seed: int) -> None:
    async def story(cluster: Cluster) -> None:
        await cluster.populate({"slow": (slow, None)})
        stopped, other = cluster.nodes
        sent = [await cluster.publish(stopped, number) for number in range(30)]
        stopped.pause()
        before = len(cluster.arrivals("slow"))
        assert before < len(sent)
        await cluster.clock.sleep(15.0 + cluster.clock.seeded.random() * 10)
        woken_at_ms = cluster.clock.now_ms()
        stopped.go_on()
        await cluster.clock.sleep(60.0)
        by_stopped = [
            one
            for one in cluster.arrivals("slow")
            if one.node == stopped.name and one.msg_id in sent and one.at_ms >= woken_at_ms
        ]
        assert by_stopped == []
        assert cluster.missing() == []
        assert cluster.sent_without_lease == []
        times = Counter(one.msg_id for one in cluster.arrivals("slow"))
        assert sum(times.values()) - len(times) <= before
        again = await cluster.publish(stopped, 99)
        await cluster.clock.sleep(5.0)
        assert [one.msg_id for one in cluster.arrivals("slow")][-1] == again
        assert other.is_alive

    run(story, seed=seed, nodes=2)


@pytest.mark.parametrize("ahead_ms", [-3_600_000, -5_000, 5_000, 3_600_000])
def test_a_clock_that_jumps_makes_nobody_send_without_a_lease(ahead_ms: int) -> None:
    async def story(cluster: Cluster) -> None:
        await cluster.populate({"slow": (slow, None)})
        jumped, _ = cluster.nodes
        for number in range(30):
            await cluster.publish(jumped, number)
        jumped.clock.ahead_ms = ahead_ms
        await cluster.clock.sleep(2.0)
        jumped.cut()
        await cluster.clock.sleep(60.0)
        jumped.mend()
        await cluster.clock.sleep(60.0)
        assert cluster.missing() == []
        assert cluster.sent_without_lease == []
        assert jumped.engine.tenure.skew_ms == -ahead_ms

    run(story, nodes=2)


def test_wrong_clocks_fence_nobody() -> None:
    """Leases are judged by the database's clock: nodes that are hours apart live together."""

    async def story(cluster: Cluster) -> None:
        for node, ahead_ms in zip(cluster.nodes, (-7_200_000, 0, 7_200_000), strict=True):
            node.clock.ahead_ms = ahead_ms
        await cluster.populate({"healthy": (healthy, None)})
        epochs = [node.engine.tenure.lease.epoch for node in cluster.nodes]
        for number in range(30):
            await cluster.publish(cluster.nodes[number % 3], number)
            await cluster.clock.sleep(4.0)
        assert [node.engine.tenure.lease.epoch for node in cluster.nodes] == epochs
        assert Counter(Counter(one.msg_id for one in cluster.arrivals("healthy")).values()) == {
            1: 30
        }

    run(story, nodes=3)


def test_a_node_without_a_way_to_the_database_stops_in_time() -> None:
    async def story(cluster: Cluster) -> None:
        await cluster.populate({"slow": (slow, None)})
        cut, other = cluster.nodes
        for number in range(40):
            await cluster.publish(cut, number)
        cut.cut()
        until_ms = cluster.clock.now_ms() + int(SETTINGS.lease_s * 1000)
        await cluster.clock.sleep(120.0)
        assert max(one.at_ms for one in cluster.arrivals("slow") if one.node == cut.name) < until_ms
        assert cluster.missing() == []
        assert await cluster.publish(cut, 99) == ""
        assert await cluster.publish(other, 99) != ""

    run(story, nodes=2)


# ---- what they share ----------------------------------------------------------------------------


@pytest.mark.parametrize(("nodes", "rate"), [(1, RATE), (2, RATE), (4, 5 * RATE), (7, RATE)])
def test_the_rate_of_an_endpoint_holds_within_five_percent(nodes: int, rate: int) -> None:
    async def story(cluster: Cluster) -> None:
        await cluster.populate({"throttled": (healthy, rate)})
        await cluster.clock.sleep(5.0)
        for number in range(50 * RATE):
            await cluster.publish(cluster.nodes[number % nodes], number)
        await cluster.clock.sleep(90.0)
        assert cluster.missing() == []
        assert_rate(cluster.arrivals("throttled"), rate)

    run(story, nodes=nodes)


def test_the_rate_of_an_application_holds_within_five_percent() -> None:
    async def story(cluster: Cluster) -> None:
        receivers: dict[str, tuple[Receiver, int | None]] = {
            "one": (healthy, None),
            "two": (healthy, None),
            "slow": (healthy, 2),
        }
        await cluster.populate(receivers, app_rate=RATE)
        await cluster.clock.sleep(5.0)
        for number in range(20 * RATE):
            await cluster.publish(
                cluster.nodes[number % 4], number, only=["one", "two"][number % 2]
            )
        for number in range(30):
            await cluster.publish(cluster.nodes[number % 4], number, only="slow")
        await cluster.clock.sleep(120.0)
        assert cluster.missing() == []
        both = [one for name in ("one", "two") for one in cluster.arrivals(name)]
        whole = both + cluster.arrivals("slow")
        # Until the fast ones are through, the application's rate is what holds all of them back.
        last_ms = max(one.at_ms for one in both)
        assert_rate([one for one in whole if one.at_ms <= last_ms], RATE)
        assert_most(cluster.arrivals("slow"), 2)

    run(story)


def test_a_rate_holds_while_nodes_come_and_go() -> None:
    async def story(cluster: Cluster) -> None:
        await cluster.populate({"throttled": (healthy, RATE)})
        for node in cluster.nodes[1:]:
            await node.kill()
        await cluster.clock.sleep(20.0)
        first = cluster.nodes[0]
        for number in range(100 * RATE):
            await cluster.publish(first, number)
        for node in cluster.nodes[1:]:
            await cluster.clock.sleep(7.0)
            await node.start()
        for node in cluster.nodes[1:]:
            await cluster.clock.sleep(7.0)
            await node.leave()
        await cluster.clock.sleep(120.0)
        assert cluster.missing() == []
        arrivals = cluster.arrivals("throttled")
        assert len({one.node for one in arrivals}) == 4
        assert_rate(arrivals, RATE)

    run(story)


def test_nothing_throttled_is_sent_without_the_database() -> None:
    async def story(cluster: Cluster) -> None:
        await cluster.populate({"throttled": (healthy, RATE)})
        for number in range(10 * RATE):
            await cluster.publish(cluster.nodes[number % 2], number)
        for node in cluster.nodes:
            node.cut()
        cut_at_ms = cluster.clock.now_ms()
        await cluster.clock.sleep(5.0)
        late = [one for one in cluster.arrivals("throttled") if one.at_ms > cut_at_ms + 2_000]
        assert late == []
        for node in cluster.nodes:
            node.mend()
        await cluster.clock.sleep(60.0)
        assert cluster.missing() == []
        assert_most(cluster.arrivals("throttled"), RATE)

    run(story, nodes=2)


@pytest.mark.parametrize("nodes", [2, 4, 16])
def test_a_window_holds_for_all_nodes(nodes: int) -> None:
    async def story(cluster: Cluster) -> None:
        await cluster.populate({"slow": (slow, None)})
        await cluster.clock.sleep(5.0)
        for number in range(600):
            await cluster.publish(cluster.nodes[number % nodes], number)
        await cluster.clock.sleep(120.0)
        assert cluster.missing() == []
        most = cluster.wire.in_flight_most["http://slow.example/"]
        assert nodes <= most <= SETTINGS.inflight_per_endpoint_max

    run(story, nodes=nodes)


@pytest.mark.parametrize("nodes", [2, 4, 8])
def test_one_node_at_a_time_probes_an_endpoint_that_is_down(nodes: int) -> None:
    """When that one is killed, the next one's turn comes."""
    pause_s = SETTINGS.breaker_open_s_max

    async def story(cluster: Cluster) -> None:
        up_at_ms = cluster.clock.now_ms() + 900_000

        def down(_msg_id: str, now_ms: int) -> Answer:
            return Answer(200 if now_ms >= up_at_ms else 0)

        await cluster.populate({"down": (down, None)})
        await cluster.clock.sleep(5.0)
        for number in range(200):
            await cluster.publish(cluster.nodes[number % nodes], number)
        await cluster.clock.sleep(295.0)
        before = len(cluster.arrivals("down"))
        await cluster.clock.sleep(300.0)
        probes = cluster.arrivals("down")[before:]
        # Pauses are half of the longest one at least; each node by itself would probe far more.
        assert 300 / pause_s - 1 <= len(probes) <= 1.25 * 300 / (pause_s / 2)
        await next(node for node in cluster.nodes if node.name == probes[-1].node).kill()
        await cluster.clock.sleep(300.0 + pause_s + 1)
        first_ms = min(one.at_ms for one in cluster.arrivals("down") if one.status == 200)
        assert first_ms - up_at_ms <= 1000 * (pause_s + 1)
        await cluster.clock.sleep(900.0)
        assert cluster.missing() == []

    settings = replace(SETTINGS, breaker_failures=5, retry_schedule=(10.0,) * 100)
    run(story, nodes=nodes, settings=settings)


# ---- what they tell one another -----------------------------------------------------------------


def test_a_change_is_followed_by_what_waits_elsewhere() -> None:
    async def story(cluster: Cluster) -> None:
        await cluster.populate({"old": (slow, None)})
        cluster.wire.receivers["http://new.example/"] = healthy
        for number in range(60):
            await cluster.publish(cluster.nodes[number % 3], number)
        await cluster.change("old", lambda one: replace(one, url="http://new.example/"))
        changed_at_ms = cluster.clock.now_ms()
        await cluster.clock.sleep(60.0)
        late = [one for one in cluster.arrivals("old") if one.at_ms > changed_at_ms + 5]
        assert late == []
        assert len({one.msg_id for one in cluster.wire.arrivals}) == 60

    run(story, nodes=3)


def test_a_change_that_was_not_heard_of_is_followed_when_the_way_is_mended() -> None:
    async def story(cluster: Cluster) -> None:
        await cluster.populate({"old": (slow, None)})
        cluster.wire.receivers["http://new.example/"] = healthy
        deaf = cluster.nodes[0]
        for number in range(40):
            await cluster.publish(deaf, number)
        cluster.bus.deaf.add(deaf.name)
        await cluster.change("old", lambda one: replace(one, url="http://new.example/"))
        await cluster.clock.sleep(0.6)
        deaf.mend()
        mended_at_ms = cluster.clock.now_ms()
        await cluster.clock.sleep(60.0)
        late = [one for one in cluster.arrivals("old") if one.at_ms > mended_at_ms + 5]
        assert late == []
        assert len({one.msg_id for one in cluster.wire.arrivals}) == 40

    run(story, nodes=2)


def test_few_look_for_what_one_can_do() -> None:
    """Ten nodes do not all claim for one row that had no room where it was accepted."""

    async def story(cluster: Cluster) -> None:
        await cluster.populate({"slow": (slow, None)})
        await cluster.clock.sleep(5.0)
        claims: Counter[str] = Counter()
        for node in cluster.nodes:
            count_claims(node, claims)
        busy = cluster.nodes[0]
        for number in range(60):
            await cluster.publish(busy, number)
        await cluster.clock.sleep(0.5)
        assert claims.total() <= 20
        await cluster.clock.sleep(60.0)
        assert cluster.missing() == []

    run(story, nodes=10, settings=replace(SETTINGS, lane_queue_max=10, tend_every_s=3_600.0))


def count_claims(node: Node, claims: Counter[str]) -> None:
    claim = node.engine.claimer._claim

    async def counted(*args: object, **kwargs: object) -> None:
        claims[node.name] += 1
        await claim(*args, **kwargs)  # type: ignore[arg-type]

    node.engine.claimer._claim = counted  # type: ignore[method-assign]


# ---- counting -----------------------------------------------------------------------------------


def assert_rate(arrivals: list[Arrival], rate: int) -> None:
    """Within 5 % over the whole time, and no second more than that above it."""
    assert_most(arrivals, rate)
    at_ms = sorted(one.at_ms for one in arrivals)
    average = (len(at_ms) - 1) / (at_ms[-1] - at_ms[0]) * 1000
    assert 0.95 * rate <= average <= 1.05 * rate


def assert_most(arrivals: list[Arrival], rate: int) -> None:
    at_ms = sorted(one.at_ms for one in arrivals)
    most = int(rate * 1.05) + 1
    for first, last in zip(at_ms, at_ms[most:], strict=False):
        assert last - first >= 1_000, f"{most + 1} within {last - first} ms at {first}"
