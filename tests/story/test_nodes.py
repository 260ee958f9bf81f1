"""Several nodes on one PostgreSQL: what a sender promises holds for all of them together.

Four engines in one process, each with its own store, port and lease. Nothing here measures time but
the receiver: nothing comes to it before a rate allows it.
"""

import asyncio
import itertools
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from ringback.clock import Clock
from ringback.engine.engine import Engine
from ringback.serve import Service, running
from ringback.store.nodes import NodeState
from ringback.testing.caller import Caller
from ringback.testing.collector import Arrival, Collector
from ringback.testing.eventually import eventually
from ringback.testing.postgres import database
from ringback.testing.process import token
from ringback.testing.quiet import QuietLog
from ringback.testing.rates import assert_none_early
from ringback.testing.shop import Shop, loopback

NODES = 4
RATE = 40
HOUR_S = 3_600.0
MINUTE_MS = 60_000
NARROW: dict[str, Any] = {"nodes": 2, "inflight_per_endpoint_max": 2}  # one attempt at a time
CHANGED_ONCE = 3  # the version of an application with an endpoint that was changed once


class Cluster:
    """Services in one event loop, on one database, each with a caller of its own."""

    def __init__(self, services: Sequence[Service], callers: Sequence[Caller]) -> None:
        self.services = list(services)
        self.callers = list(callers)

    @property
    def engines(self) -> list[Engine]:
        return [service.engine for service in self.services]

    def shops(self, shop: Shop) -> list[Shop]:
        """The same application by way of each node."""
        return [Shop(caller, shop.path.removeprefix("/app/")) for caller in self.callers]

    async def know(self, count: int) -> None:
        """Until each knows how many nodes there are."""
        await until(lambda: all(known(engine) == count for engine in self.engines))

    async def nodes(self) -> list[NodeState]:
        return await self.services[0].store.nodes.list_nodes()


@pytest.fixture
def url() -> Iterator[str]:
    with database() as made:
        yield made


@asynccontextmanager
async def cluster(
    url: str, *roles: str, nodes: int = NODES, beside: int = 0, **changes: Any
) -> AsyncIterator[Cluster]:
    """Nodes that look for nothing by themselves: what happens soon was told. They are complete when
    each has seen the others, and those `beside` them."""
    usual = {"tend_every_s": HOUR_S, "postgres_pool": 3, "postgres_readers": 2, **changes}
    async with AsyncExitStack() as stack:
        services, callers = [], []
        for role in roles or ("all",) * nodes:
            settings = replace(loopback(Path()), database=url, role=role, **usual)
            service = await stack.enter_async_context(running(settings, log=QuietLog()))
            services.append(service)
            callers.append(await stack.enter_async_context(Caller(service.url, token())))
        found = Cluster(services, callers)
        await found.know(beside + len(services))
        yield found


def run(story: Coroutine[Any, Any, None]) -> None:
    asyncio.run(story)


# ---- rates and windows --------------------------------------------------------------------------


def test_the_rate_of_an_endpoint_holds_for_all_nodes_together(url: str) -> None:
    async def story() -> None:
        async with Collector() as receiver, cluster(url) as nodes:
            shop = await Shop.open(nodes.callers[0])
            await shop.endpoint(receiver.url(), throttleRate=RATE)
            since_s = asyncio.get_running_loop().time()
            sent = await publish_by_turns(nodes.shops(shop), 8 * RATE)
            arrivals = await receiver.received(len(sent))
            assert Counter(one.msg_id for one in arrivals) == Counter(sent)
            assert_none_early(arrivals, RATE, since_s=since_s)

    run(story())


def test_the_rate_of_an_application_holds_for_all_nodes_together(url: str) -> None:
    async def story() -> None:
        async with Collector() as receiver, cluster(url) as nodes:
            shop = await Shop.open(nodes.callers[0], throttleRate=RATE)
            await shop.endpoint(receiver.url("/a"))
            await shop.endpoint(receiver.url("/b"))
            await shop.endpoint(receiver.url("/slow"), throttleRate=RATE // 8)
            since_s = asyncio.get_running_loop().time()
            sent = await publish_by_turns(nodes.shops(shop), 2 * RATE)
            fast = [path for path in ("/a", "/b") for _ in sent]
            await receiver.until(
                lambda: Counter(one.path for one in receiver.arrivals) >= Counter(fast)
            )
            slow = [one for one in receiver.arrivals if one.path == "/slow"]
            assert_none_early(receiver.arrivals, RATE, since_s=since_s)
            assert_none_early(slow, RATE // 8, since_s=since_s)

    run(story())


def test_a_window_is_shared(url: str) -> None:
    async def story() -> None:
        held = Collector(lambda _: None)
        limits: dict[str, Any] = {"inflight_per_endpoint_max": 8, "delivery_timeout_s": 60.0}
        async with held as receiver, cluster(url, **limits) as nodes:
            shop = await Shop.open(nodes.callers[0])
            await shop.endpoint(receiver.url())
            await publish_by_turns(nodes.shops(shop), 40)
            await receiver.until(lambda: receiver.unanswered == 8)
            assert [engine.dispatcher.in_flight for engine in nodes.engines] == [2] * NODES
            receiver.answer = lambda _: 200
            receiver.release()
            await receiver.received(40)

    run(story())


def test_a_window_grows_when_nodes_leave(url: str) -> None:
    async def story() -> None:
        held = Collector(lambda _: None)
        limits: dict[str, Any] = {"inflight_per_endpoint_max": 8, "delivery_timeout_s": 60.0}
        async with held as receiver, cluster(url, nodes=1, **limits) as stayed:
            async with cluster(url, nodes=2, beside=1, **limits):
                await stayed.know(3)
            await stayed.know(1)
            shop = await Shop.open(stayed.callers[0])
            await shop.endpoint(receiver.url())
            await publish_by_turns([shop], 20)
            await receiver.until(lambda: receiver.unanswered == 8)
            receiver.answer = lambda _: 200
            receiver.release()
            await receiver.received(20)

    run(story())


# ---- what one node does, the others know --------------------------------------------------------


def test_after_a_change_every_node_sends_to_the_new_url(url: str) -> None:
    """While all nodes publish all the time: what was accepted after the answer goes to the new URL,
    and so does, after a moment, what waits in the memory of the others."""

    async def story() -> None:
        async with Collector() as receiver, cluster(url) as nodes:
            shop = await Shop.open(nodes.callers[0])
            endpoint_id = await shop.endpoint(receiver.url("/0"))
            shops = nodes.shops(shop)
            after: dict[str, int] = {}
            version = 0
            is_over = False

            async def publish(through: Shop) -> None:
                while not is_over:
                    known = version
                    after[await through.publish()] = known

            publishing = [asyncio.create_task(publish(through)) for through in shops]
            for version_now in range(1, 25):
                through = shops[version_now % NODES]
                await through.change(endpoint_id, url=receiver.url(f"/{version_now}"))
                version = version_now
                await receiver.until(lambda: newest(receiver.arrivals) == version)  # noqa: B023
            is_over = True
            await asyncio.gather(*publishing)
            arrivals = await receiver.received(len(after))
            stale = [
                (one.msg_id, one.path, after[one.msg_id])
                for one in arrivals
                if int(one.path[1:]) < after[one.msg_id]
            ]
            assert stale == []

    run(story())


def test_what_waits_in_the_memory_of_another_node_follows_a_change(url: str) -> None:
    async def story() -> None:
        async with Collector(first_is_held()) as receiver, cluster(url, **NARROW) as nodes:
            shop = await Shop.open(nodes.callers[0])
            endpoint_id = await shop.endpoint(receiver.url("/old"))
            here, there = nodes.shops(shop)
            sent = [await there.publish() for _ in range(10)]
            await receiver.until(lambda: receiver.unanswered == 1)
            assert nodes.engines[1].dispatcher.held == 9
            await here.change(endpoint_id, url=receiver.url("/new"))
            lanes, app_id = nodes.engines[1].dispatcher, shop.path.removeprefix("/app/")
            await until(lambda: not lanes.is_older(app_id, CHANGED_ONCE))
            receiver.release()
            arrivals = await receiver.received(len(sent))
            assert Counter(one.path for one in arrivals) == {"/old": 1, "/new": 9}

    run(story())


def test_disabling_stops_what_waits_in_the_memory_of_another_node(url: str) -> None:
    async def story() -> None:
        async with Collector(first_is_held()) as receiver, cluster(url, **NARROW) as nodes:
            shop = await Shop.open(nodes.callers[0])
            endpoint_id = await shop.endpoint(receiver.url())
            here, there = nodes.shops(shop)
            sent = [await there.publish() for _ in range(10)]
            await receiver.until(lambda: receiver.unanswered == 1)
            await here.change(endpoint_id, disabled=True)
            await eventually(
                lambda: here.waiting(endpoint_id), lambda waiting: waiting == len(sent) - 1
            )
            receiver.release()
            await shop.attempts(sent[0], 1)
            assert len(receiver.arrivals) == 1
            await there.change(endpoint_id, disabled=False)
            await receiver.received(len(sent))

    run(story())


def test_an_endpoint_that_answers_one_node_is_down_for_none(url: str) -> None:
    """The first node would not have tried again for an hour."""

    async def story() -> None:
        hour = {"breaker_open_s": HOUR_S, "breaker_open_s_max": HOUR_S}
        pause: dict[str, Any] = {"breaker_failures": 1, **hour}
        async with (
            Collector() as receiver,
            cluster(url, nodes=2, retry_schedule=(0.01,) * 100, **pause) as nodes,
        ):
            shop = await Shop.open(nodes.callers[0])
            await shop.endpoint(receiver.url())
            first, second = nodes.shops(shop)
            await second.publish()
            await receiver.received(1)
            receiver.answer = lambda _: 503
            late = await first.publish()
            await until(lambda: paused_lanes(nodes.engines[0]) == 1)
            await until(lambda: watched_lanes(nodes.engines[1]) == 1)
            await eventually(nodes.services[0].store.path.next_due_at_ms, is_far_away)
            receiver.answer = lambda _: 200
            await second.publish()
            await receiver.until(lambda: arrived(receiver, late) > 1)
            await until(lambda: paused_lanes(nodes.engines[0]) == 0)
            again = await first.publish()
            await receiver.until(lambda: arrived(receiver, again) == 1)

    run(story())


# ---- roles, waking ------------------------------------------------------------------------------


def test_what_a_node_takes_that_does_not_deliver_is_delivered_at_once(url: str) -> None:
    """Nobody looks for work within the hour: a notice must have woken the worker."""

    async def story() -> None:
        async with Collector() as receiver, cluster(url, "api", "worker") as nodes:
            shop = await Shop.open(nodes.callers[0])
            endpoint_id = await shop.endpoint(receiver.url())
            api, worker = nodes.engines
            for number in range(1, 6):
                msg_id = await shop.publish()
                await receiver.received(number)
            await shop.resend(msg_id, endpoint_id)
            await receiver.received(6)
            assert api.dispatcher.held == api.dispatcher.in_flight == 0
            assert not api.tenure.is_leader
            assert worker.tenure.is_leader
            assert [node.role for node in await nodes.nodes()] == ["api", "worker"]

    run(story())


def test_a_worker_answers_health_probes_only(url: str) -> None:
    async def story() -> None:
        async with cluster(url, "worker", "api") as nodes:
            worker, api = nodes.callers
            assert (await worker.get("/health")).status == 200
            assert (await worker.get("/health/ping")).status == 204
            for method, path in (("GET", "/app"), ("POST", "/app/shop/msg"), ("GET", "/nothing")):
                answer = await worker.call(method, path)
                assert answer.status == 503
                assert "role" in answer.json["detail"]
            assert (await api.get("/app")).status == 200

    run(story())


def test_a_recovery_that_one_node_takes_is_run_by_the_leader(url: str) -> None:
    async def story() -> None:
        async with Collector(lambda _: 404) as receiver:
            limits: dict[str, Any] = {"retry_schedule": ()}
            async with cluster(url, "worker", "api", **limits) as nodes:
                shop = await Shop.open(nodes.callers[1])
                endpoint_id = await shop.endpoint(receiver.url())
                lost = [await shop.publish() for _ in range(20)]
                for msg_id in lost:
                    await shop.attempts(msg_id, 1)
                receiver.answer = lambda _: 200
                body = {"since": f"{datetime.now(UTC) - timedelta(hours=1):%Y-%m-%dT%H:%M:%SZ}"}
                await nodes.callers[1].made(f"{shop.at(endpoint_id)}/recover", body)
                arrivals = await receiver.received(2 * len(lost))
                assert Counter(one.msg_id for one in arrivals) == dict.fromkeys(lost, 2)

    run(story())


def test_what_one_node_has_no_room_for_is_sent_by_another(url: str) -> None:
    async def story() -> None:
        async with Collector(lambda _: None) as receiver:
            limits: dict[str, Any] = {"inflight_per_endpoint_max": 2, "lane_queue_max": 2}
            async with cluster(url, nodes=2, **limits, delivery_timeout_s=60.0) as nodes:
                shop = await Shop.open(nodes.callers[0])
                await shop.endpoint(receiver.url())
                for _ in range(20):
                    await shop.publish()
                await receiver.until(lambda: receiver.unanswered == 2)
                assert [engine.dispatcher.in_flight for engine in nodes.engines] == [1, 1]
                receiver.answer = lambda _: 200
                receiver.release()
                await receiver.received(20)

    run(story())


# ---- leading ------------------------------------------------------------------------------------


def test_there_is_one_leader_and_the_next_one_takes_over(url: str) -> None:
    async def story() -> None:
        async with AsyncExitStack() as stack:
            ages = [
                await stack.enter_async_context(cluster(url, nodes=1, beside=older))
                for older in range(3)
            ]
            engines = [one.engines[0] for one in ages]
            await until(lambda: all(known(engine) == 3 for engine in engines))
            assert [engine.tenure.is_leader for engine in engines] == [True, False, False]
            await engines[0].drain(1.0)
            await until(lambda: all(known(engine) == 2 for engine in engines[1:]))
            assert [engine.tenure.is_leader for engine in engines] == [False, True, False]

    run(story())


def test_a_leader_that_dies_is_followed_within_its_lease(url: str) -> None:
    async def story() -> None:
        async with (
            Collector(lambda _: None) as receiver,
            cluster(url, nodes=2, lease_s=2.0, delivery_timeout_s=60.0) as nodes,
        ):
            old, new = nodes.engines
            assert old.tenure.is_leader
            shop = await Shop.open(nodes.callers[0])
            await shop.endpoint(receiver.url())
            msg_id = await shop.publish()
            await receiver.received(1)
            await old.stop()
            await receiver.received(2)
            await until(lambda: new.tenure.is_leader)
            assert [one.msg_id for one in receiver.arrivals] == [msg_id, msg_id]
            receiver.release()

    run(story())


# ---- words of these stories ---------------------------------------------------------------------


async def until(is_so: Callable[[], bool]) -> None:
    async def look() -> bool:
        return is_so()

    await eventually(look, bool)


def known(engine: Engine) -> int:
    return engine.tenure.standing.node_count


def paused_lanes(engine: Engine) -> int:
    return sum(lane.closed_until_s > 0 for lane in engine.dispatcher._lanes.values())


def watched_lanes(engine: Engine) -> int:
    return sum(lane.is_watched for lane in engine.dispatcher._lanes.values())


def is_far_away(due_at_ms: int | None) -> bool:
    """What waits was put off for as long as its receiver is believed to be down."""
    return due_at_ms is not None and due_at_ms > Clock().now_ms() + MINUTE_MS


def arrived(receiver: Collector, msg_id: str) -> int:
    return sum(one.msg_id == msg_id for one in receiver.arrivals)


def newest(arrivals: Sequence[Arrival]) -> int:
    return max((int(one.path[1:]) for one in arrivals), default=0)


def first_is_held() -> Callable[[Arrival], int | None]:
    answers: Iterator[int | None] = itertools.chain([None], itertools.repeat(200))
    return lambda _: next(answers)


async def publish_by_turns(shops: Sequence[Shop], count: int) -> list[str]:
    return [await shop.publish() for shop in itertools.islice(itertools.cycle(shops), count)]
