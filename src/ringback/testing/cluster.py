"""Several nodes on one database, in virtual time, with everything that may befall them.

    async def story(clock: SimulatedClock) -> None:
        cluster = Cluster(clock, Settings(), nodes=3)
        await cluster.start()
        await cluster.populate({"shop": (receiver, None)})
        await cluster.publish(cluster.nodes[0], 1)
        cluster.nodes[0].pause()

The database is SQLite in memory, written inline; its clock is the story's. Each node has a clock of
its own, which may be wrong and jump, and a way to the database, which may break. What PostgreSQL
tells all nodes with a commit is told here by `changed`.
"""

import asyncio
import contextvars
from collections import defaultdict
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any, Final, TypeVar, cast

from ringback.config import Settings
from ringback.engine.accept import Draft
from ringback.engine.engine import Engine
from ringback.errors import Unavailable
from ringback.model import Application, Attempt, Endpoint, Message
from ringback.store.nodes import Notice, NoticeKind, Notices
from ringback.store.page import Page
from ringback.store.port import AttemptFilter, MessageFilter, Store
from ringback.store.sqlite.path import SqlitePath
from ringback.store.sqlite.store import open_store
from ringback.testing import nouns
from ringback.testing.line import Line, PathWay, Way
from ringback.testing.simulation import (
    NODE,
    Arrival,
    Receiver,
    SimulatedClock,
    SimulatedWire,
    VirtualLoop,
    simulate,
)

T = TypeVar("T")

ORGANIZATION: Final = "org_simulated"
SETTINGS: Final = Settings(
    retry_schedule=(2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0),
    endpoint_disable_after_h=0,
    inflight_per_endpoint_max=16,
    inflight_per_endpoint_start=8,
    lane_queue_max=40,
    breaker_open_s_max=30.0,
    tend_every_s=1.0,
    lease_s=10.0,
)
NOTICE_S: Final = 0.002  # from a commit to the ear of a node


class NodeClock(SimulatedClock):
    """A wall clock that is `ahead_ms` of the database's; the monotonic one is right."""

    def __init__(self, loop: VirtualLoop, seed: int) -> None:
        super().__init__(loop, seed)
        self.ahead_ms = 0

    def now_ms(self) -> int:
        return super().now_ms() + self.ahead_ms


class Bus:
    """What nodes tell one another; each hears it as long as it has a way to the database."""

    def __init__(self, clock: SimulatedClock) -> None:
        self._clock = clock
        self._ears: dict[str, tuple[Callable[[Notice], None], contextvars.Context]] = {}
        self.deaf: set[str] = set()
        self.told: list[Notice] = []

    def join(self, node: str, on_notice: Callable[[Notice], None]) -> None:
        self._ears[node] = (on_notice, contextvars.copy_context())
        self.say(node, Notice(NoticeKind.MISSED))

    def leave(self, node: str) -> None:
        self._ears.pop(node, None)

    def tell(self, notice: Notice) -> None:
        self.told.append(notice)
        for node in list(self._ears):
            self.say(node, notice)

    def say(self, node: str, notice: Notice) -> None:
        if node in self._ears and node not in self.deaf:
            ear, context = self._ears[node]
            loop = asyncio.get_running_loop()
            loop.call_later(NOTICE_S, ear, notice, context=context)


class NodeNotices:
    """The notices of one node. Joining and leaving are told by whoever kills and starts nodes."""

    def __init__(self, bus: Bus, node: "Node") -> None:
        self._bus = bus
        self._node = node

    async def tell(self, notice: Notice) -> None:
        async def tell() -> None:
            self._bus.tell(notice)

        await self._node.line.call(tell)

    async def listen(self, on_notice: Callable[[Notice], None]) -> None:
        self._bus.join(self._node.name, on_notice)
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            self._bus.leave(self._node.name)


class NodeStore:
    """The one store, as a node sees it."""

    fault = None
    hindrance = None

    def __init__(self, store: Store, bus: Bus, node: "Node") -> None:
        line = node.line
        self.path: Any = PathWay(cast(SqlitePath, store.path), line)
        self.nodes: Any = Way(store.nodes, line)
        self.resources: Any = Way(store.resources, line)
        self.history: Any = Way(store.history, line)
        self.tending: Any = Way(store.tending, line)
        self.notices: Notices = NodeNotices(bus, node)

    async def close(self) -> None:
        """The database stays."""


class Node:
    """One process, and its line to the database."""

    engine: Engine

    def __init__(self, cluster: "Cluster", name: str, settings: Settings) -> None:
        self._cluster = cluster
        self._settings = settings
        self._context = contextvars.copy_context()
        self._context.run(NODE.set, name)
        self.name = name
        self.clock = NodeClock(cluster.loop, cluster.clock.seeded.getrandbits(32))
        self.line = Line(cluster.clock, cluster.clock.seeded.getrandbits(32))
        self.is_alive = False

    async def start(self) -> None:
        store = NodeStore(self._cluster.store, self._cluster.bus, self)

        async def begin() -> None:
            self.engine = Engine(store, self._cluster.wire, self._settings, self.clock)
            await self.engine.start()

        await self.run(begin())
        self.is_alive = True
        self._cluster.bus.tell(Notice(NoticeKind.MEMBERS))

    async def kill(self) -> None:
        """All that is in memory is gone, and nobody is told."""
        self.is_alive = False
        await self.run(self.engine.stop())

    async def leave(self) -> None:
        self.is_alive = False
        await self.run(self.engine.drain(60.0))
        self._cluster.bus.tell(Notice(NoticeKind.MEMBERS))

    def pause(self) -> None:
        self._cluster.loop.stop_node(self.name)

    def go_on(self) -> None:
        self._cluster.loop.continue_node(self.name)

    def cut(self) -> None:
        """It does not reach the database any more, and hears nothing."""
        self.line.is_cut = True
        self._cluster.bus.deaf.add(self.name)

    def mend(self) -> None:
        self.line.is_cut = False
        self._cluster.bus.deaf.discard(self.name)
        self._cluster.bus.say(self.name, Notice(NoticeKind.MISSED))

    async def run(self, action: Coroutine[Any, Any, T]) -> T:
        """As something that this node does."""
        return await self._cluster.loop.create_task(action, context=self._context)


class Cluster:
    """A database, a network, and nodes. `accepted` are endpoints by message."""

    app: Application
    store: Store

    def __init__(self, clock: SimulatedClock, settings: Settings, *, nodes: int) -> None:
        loop = asyncio.get_running_loop()
        if not isinstance(loop, VirtualLoop):
            raise TypeError("a cluster lives in virtual time; use simulate()")
        self.loop = loop
        self.clock = clock
        self.settings = settings
        self.wire = SimulatedWire(clock)
        self.wire.on_arrival = self._look
        self.bus = Bus(clock)
        self.nodes = [Node(self, f"node-{place}", settings) for place in range(nodes)]
        self.accepted: dict[str, set[str]] = {}
        self.endpoints: dict[str, Endpoint] = {}
        self.sent_without_lease: list[Arrival] = []

    async def start(self) -> None:
        self.store = await open_store(":memory:", self.settings, self.clock, inline=True)
        for node in self.nodes:
            await node.start()

    async def end(self) -> None:
        for node in self.nodes:
            node.go_on()
        for node in self.nodes:
            if node.is_alive:
                await node.kill()

    async def populate(
        self, receivers: Mapping[str, tuple[Receiver, int | None]], *, app_rate: int | None = None
    ) -> None:
        now_ms = self.clock.now_ms()
        app_id = self.clock.new_id("app")
        app = Application(app_id, ORGANIZATION, "shop", "shop", app_rate, {}, 0, now_ms, now_ms)
        self.app = await self.store.resources.create_app(app)
        for name, (receiver, rate) in receivers.items():
            url = f"http://{name}.example/"
            self.wire.receivers[url] = receiver
            endpoint = nouns.endpoint(
                id=self.clock.new_id("ep"),
                app_id=app_id,
                uid=name,
                url=url,
                throttle_rate=rate,
                version=0,
            )
            self.endpoints[name] = await self.store.resources.create_endpoint(
                endpoint, endpoints_max=100
            )

    async def change(self, name: str, change: Callable[[Endpoint], Endpoint]) -> None:
        """Change an endpoint; every node is told as it commits."""
        await self.store.resources.update_endpoint(self.app.id, name, change)
        versions = await self.store.path.versions([self.app.id])
        self.bus.tell(Notice(NoticeKind.CHANGED, self.app.id, versions[self.app.id]))

    async def publish(self, node: Node, number: int, *, only: str = "") -> str:
        """The id of a message to all endpoints, or to one; empty when it was not accepted."""
        endpoints = [self.endpoints[only]] if only else list(self.endpoints.values())
        draft = Draft(
            ORGANIZATION,
            "shop",
            "order.paid",
            b'{"number": %d}' % number,
            only_endpoint_id=endpoints[0].id if only else None,
        )
        try:
            message = await node.run(node.engine.accept(draft))
        except Unavailable:
            return ""
        self.accepted[message.id] = {endpoint.url for endpoint in endpoints}
        return message.id

    def missing(self) -> list[tuple[str, str]]:
        """Deliveries of accepted messages that no receiver has taken."""
        taken = {(one.msg_id, one.url) for one in self.wire.arrivals if one.status == 200}
        wanted = {(msg_id, url) for msg_id, urls in self.accepted.items() for url in urls}
        return sorted(wanted - taken)

    def arrivals(self, name: str) -> list[Arrival]:
        return [one for one in self.wire.arrivals if one.url == f"http://{name}.example/"]

    async def messages(self) -> list[Message]:
        """Every message in the database: also those whose acceptance nobody was told of."""
        page = Page(limit=100_000, is_descending=False)
        return (await self.store.history.list_messages(self.app.id, page, MessageFilter())).rows

    async def attempts(self) -> dict[tuple[str, str], list[Attempt]]:
        """Every recorded attempt by (message, URL), as they were recorded."""
        found: dict[tuple[str, str], list[Attempt]] = defaultdict(list)
        page = Page(limit=100_000, is_descending=False)
        for endpoint in self.endpoints.values():
            rows = await self.store.history.list_attempts_of_endpoint(
                endpoint.id, page, AttemptFilter()
            )
            for attempt in rows.rows:
                found[attempt.msg_id, attempt.url].append(attempt)
        return found

    def _look(self, arrival: Arrival) -> None:
        """Nobody sends whose lease does not stand in the database at that very moment."""
        sender = next(node for node in self.nodes if node.name == arrival.node)
        lease = sender.engine.tenure.lease
        standing = self._lease_left_ms().get(lease.epoch, 0)
        if standing <= 0:
            self.sent_without_lease.append(arrival)

    def _lease_left_ms(self) -> dict[int, int]:
        """By epoch; read beside the nodes, in no time."""
        reading = self.store.nodes.list_nodes()
        try:
            reading.send(None)
        except StopIteration as done:
            return {one.epoch: 0 if one.is_gone else one.lease_left_ms for one in done.value}
        raise AssertionError  # the store is inline, so it answers at once


def run(
    story: Callable[[Cluster], Awaitable[None]],
    *,
    seed: int = 1,
    nodes: int = 4,
    settings: Settings = SETTINGS,
) -> None:
    """Tell a story of so many nodes to its end."""

    async def told(clock: SimulatedClock) -> None:
        cluster = Cluster(clock, settings, nodes=nodes)
        await cluster.start()
        await story(cluster)
        await cluster.end()

    simulate(seed, told)
