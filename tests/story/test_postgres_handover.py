"""What becomes of a node's work when it stops, and when it dies: by what the database recorded."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import uvloop

from ringback.config import Settings
from ringback.testing.caller import Caller
from ringback.testing.collector import Arrival, Collector
from ringback.testing.fleet import Fleet
from ringback.testing.outcome import NoteFault, Outcome
from ringback.testing.postgres import durable_server
from ringback.testing.process import ServiceProcess
from ringback.testing.shop import Shop
from ringback.testing.witness import Witness

LEASE_MS = int(Settings().lease_s * 1000)
MESSAGES = 6  # fewer than an endpoint that is new may have in flight at one of two nodes
ROUNDS = 1
NOW = "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint"


class Patience:
    """A receiver that answers nobody, and then everybody."""

    def __init__(self) -> None:
        self.is_over = False

    def answer(self, _: Arrival) -> int | None:
        return 200 if self.is_over else None


class Pair:
    """Two nodes, a receiver, and messages that the first node has in flight."""

    def __init__(self, nodes: list[ServiceProcess], receiver: Collector, witness: Witness) -> None:
        self.first, self.second = nodes
        self.receiver = receiver
        self.witness = witness

    @property
    def times(self) -> Counter[str]:
        return Counter(each.msg_id for each in self.receiver.arrivals)


@asynccontextmanager
async def in_flight(tmp_path: Path, url: str, **settings: str) -> AsyncIterator[Pair]:
    patience = Patience()
    witness = Witness(url)
    await witness.begin()
    nodes = []
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        nodes.append(ServiceProcess(tmp_path / name, RINGBACK_DATABASE=url, **settings))
    async with Collector(patience.answer) as receiver, nodes[0], nodes[1]:
        for node in nodes:
            await node.start()
        async with Caller(nodes[0].url, nodes[0].token) as caller:
            shop = await Shop.open(caller)
            await shop.endpoint(receiver.url())
            for number in range(MESSAGES):
                await shop.publish({"n": number})
            await receiver.received(MESSAGES)
        patience.is_over = True
        yield Pair(nodes, receiver, witness)


def run(story: Coroutine[Any, Any, None]) -> None:
    uvloop.run(story)


def test_a_dead_nodes_deliveries_wait_no_longer_than_its_lease(
    tmp_path: Path, note_fault: NoteFault
) -> None:
    server = durable_server()
    url = server.create_database()

    async def story() -> None:
        async with in_flight(tmp_path, url) as pair:
            sent = set(pair.times)
            [epoch] = await pair.witness.epochs_in_flight()
            await pair.first.kill()
            [(killed_at_ms,)] = await pair.witness.fetch(NOW)
            lease = f"SELECT until_ms FROM node WHERE epoch = {epoch}"
            [(until_ms,)] = await pair.witness.fetch(lease)
            assert until_ms <= killed_at_ms + LEASE_MS
            again = len(sent) + MESSAGES
            await pair.receiver.until(lambda: len(pair.receiver.arrivals) >= again)
            adoptions = await pair.witness.adoptions()
            assert {one.epoch for one in adoptions} == {epoch}
            assert len(adoptions) == MESSAGES
            assert min(one.at_ms for one in adoptions) >= until_ms, "taken from a living node"
            assert set(pair.times.values()) <= {1, 2}
            assert {msg_id for msg_id, times in pair.times.items() if times == 2} == sent
            assert await pair.second.terminate() == 0, pair.second.stderr
            late_ms = max(one.at_ms for one in adoptions) - killed_at_ms
            outcome = Outcome(
                accepted=len(sent),
                arrived=len(pair.times),
                lost=len(sent - pair.times.keys()),
                duplicates=pair.times.total() - len(pair.times),
                bound=len(adoptions),
                refused=0,
                longest_delay_s=late_ms / 1000,
            )
            left_s = (until_ms - killed_at_ms) / 1000
            note_fault(outcome, f"a node dies, {left_s:.1f} s of its lease left")

    run(story())
    server.drop_database(url)


def test_a_node_that_stops_hands_over_at_once_what_it_could_not_finish(tmp_path: Path) -> None:
    server = durable_server()
    url = server.create_database()

    async def story() -> None:
        async with in_flight(tmp_path, url, RINGBACK_DRAIN_TIMEOUT_S="0.5") as pair:
            sent = set(pair.times)
            [epoch] = await pair.witness.epochs_in_flight()
            assert await pair.first.terminate() == 0, pair.first.stderr
            assert epoch not in await pair.witness.epochs_in_flight(), "waits for a lease to end"
            assert await pair.witness.standing() == 1
            again = len(sent) + MESSAGES
            await pair.receiver.until(lambda: len(pair.receiver.arrivals) >= again)
            assert {msg_id for msg_id, times in pair.times.items() if times == 2} == sent
            assert await pair.second.terminate() == 0, pair.second.stderr

    run(story())
    server.drop_database(url)


def test_nodes_restart_one_after_the_other_and_nothing_is_lost_or_waits(
    tmp_path: Path, note_fault: NoteFault
) -> None:
    server = durable_server()
    url = server.create_database()

    async def story() -> None:
        async with Fleet(tmp_path, url, nodes=2) as fleet:
            for _ in range(ROUNDS):
                for node in fleet.nodes:
                    await fleet.publishers.accept(100)
                    assert await node.terminate() == 0, node.stderr
                    assert await fleet.witness.standing() == 1, "its lease must run out"
                    await fleet.publishers.accept(50)
                    await node.start()
            await asyncio.gather(*(node.terminate() for node in fleet.nodes))
            assert await fleet.witness.standing() == 0
            await asyncio.gather(*(node.start() for node in fleet.nodes))
            outcome = await fleet.settle()
            assert "Traceback" not in fleet.stderr
        note_fault(outcome, "nodes restart, in turn and together", times=2 * ROUNDS + 2)
        assert outcome.lost == 0
        assert outcome.duplicates == 0

    run(story())
    server.drop_database(url)
