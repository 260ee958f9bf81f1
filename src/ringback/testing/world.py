"""One application with its endpoints, run by the real engine in virtual time.

    async def story(clock: SimulatedClock) -> None:
        world = World(clock, Settings())
        await world.start()
        await world.populate({"shop": (receiver, None)})
        await world.publish(1)

See `simulation` for the clock and the network. Endpoints are called by their uid.
"""

import sqlite3
from collections import defaultdict
from collections.abc import Mapping

from ringback.config import Settings
from ringback.engine.accept import Draft
from ringback.engine.engine import Engine
from ringback.errors import Unavailable
from ringback.model import Application, Attempt, Endpoint
from ringback.store.page import Page
from ringback.store.port import (
    AttemptFilter,
)
from ringback.store.sqlite.store import open_store
from ringback.testing import nouns
from ringback.testing.simulation import Receiver, SimulatedClock, SimulatedWire


class World:
    """A database that survives crashes, an engine that does not, and a network."""

    app: Application

    def __init__(self, clock: SimulatedClock, settings: Settings) -> None:
        self.clock = clock
        self.settings = settings
        self.connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        self.wire = SimulatedWire(clock)
        self.accepted: dict[str, set[str]] = {}
        self.accepted_at_ms: dict[str, int] = {}
        self.crashes = 0

    async def start(self) -> None:
        self.store = await open_store(
            ":memory:", self.settings, self.clock, inline=True, connection=self.connection
        )
        self.engine = Engine(self.store, self.wire, self.settings, self.clock)
        await self.engine.start()

    async def crash(self) -> None:
        """The process dies: all that is in memory is gone, the database stays."""
        await self.engine.stop()
        self.crashes += 1
        await self.start()

    async def populate(self, receivers: Mapping[str, tuple[Receiver, int | None]]) -> None:
        now_ms = self.clock.now_ms()
        self.app = await self.store.resources.create_app(
            Application(
                self.clock.new_id("app"),
                "org_simulated",
                "shop",
                "shop",
                None,
                {},
                0,
                now_ms,
                now_ms,
            )
        )
        self.endpoints: dict[str, Endpoint] = {}
        for name, (receiver, rate) in receivers.items():
            url = f"http://{name}.example/"
            self.wire.receivers[url] = receiver
            endpoint = nouns.endpoint(
                id=self.clock.new_id("ep"),
                app_id=self.app.id,
                uid=name,
                url=url,
                throttle_rate=rate,
                version=0,
                created_at_ms=now_ms,
                updated_at_ms=now_ms,
            )
            self.endpoints[name] = await self.store.resources.create_endpoint(
                endpoint, endpoints_max=100
            )
        self.engine.changed(self.app.id)

    async def publish(self, number: int, *, only: str = "") -> str:
        """The id of a message to all endpoints, or to one; empty when it was not accepted."""
        endpoints = [self.endpoints[only]] if only else list(self.endpoints.values())
        draft = Draft(
            "org_simulated",
            "shop",
            "order.paid",
            b'{"number": %d}' % number,
            only_endpoint_id=endpoints[0].id if only else None,
        )
        try:
            message = await self.engine.accept(draft)
        except Unavailable:
            return ""
        self.accepted[message.id] = {endpoint.id for endpoint in endpoints}
        self.accepted_at_ms[message.id] = self.clock.now_ms()
        return message.id

    def delays_s(self, name: str) -> dict[str, float]:
        """How long after they were accepted messages were taken by an endpoint."""
        return {
            one.msg_id: (one.at_ms - self.accepted_at_ms[one.msg_id]) / 1000
            for one in self.wire.arrivals
            if one.url == f"http://{name}.example/" and one.status == 200
        }

    def arrived(self, name: str) -> int:
        return sum(one.url == f"http://{name}.example/" for one in self.wire.arrivals)

    async def attempts(self) -> dict[tuple[str, str], list[Attempt]]:
        """Every recorded attempt by (message, endpoint), oldest first."""
        found: dict[tuple[str, str], list[Attempt]] = defaultdict(list)
        for msg_id in self.accepted:
            page = Page(limit=1_000, is_descending=False)
            rows = await self.store.history.list_attempts_of_message(msg_id, page, AttemptFilter())
            for attempt in rows.rows:
                found[msg_id, attempt.endpoint_id].append(attempt)
        return found
