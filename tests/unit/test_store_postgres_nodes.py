"""Several nodes on one PostgreSQL database: what they race for is won once, and nothing is lost."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Iterator
from typing import Any

import asyncpg  # type: ignore[import-untyped]
import pytest

from ringback.config import Settings
from ringback.errors import Fenced, StoreUnavailable
from ringback.store.nodes import NodeAbout
from ringback.store.port import AcceptOutcome, IdempotencyKey, Take, Waiting
from ringback.store.postgres.connection import Connection
from ringback.store.postgres.record import hold_lease
from ringback.store.postgres.sql import query
from ringback.store.postgres.store import PostgresStore, open_store
from ringback.testing.eventually import eventually
from ringback.testing.postgres import database
from ringback.testing.stores import LEASE_MS, StillClock, World, delivery

LOCK_WAITS = "SELECT count(*) FROM pg_locks WHERE NOT granted"


class Nodes:
    """Two stores on one database, in one event loop. The first one makes what both use."""

    def __init__(self, runner: asyncio.Runner, url: str) -> None:
        self.runner = runner
        self.clock = StillClock()
        self.stores: list[PostgresStore] = [
            runner.run(open_store(Settings(database=url), self.clock)) for _ in range(2)
        ]
        self.one, self.other = (World(runner, store, self.clock) for store in self.stores)
        self.other.batch_id = 1_000_000

    def together(self, *actions: Awaitable[Any]) -> list[Any]:
        async def run() -> list[Any]:
            return await asyncio.gather(*actions)

        return self.runner.run(run())

    def worlds(self) -> tuple[World, World]:
        return self.one, self.other


@pytest.fixture
def url() -> Iterator[str]:
    with database() as url:
        yield url


@pytest.fixture
def nodes(url: str) -> Iterator[Nodes]:
    with asyncio.Runner() as runner:
        nodes = Nodes(runner, url)
        yield nodes
        for store in nodes.stores:
            runner.run(store.close())


def test_one_key_is_accepted_once_whoever_is_first(nodes: Nodes) -> None:
    app = nodes.one.app()
    key = IdempotencyKey(b"k" * 32, nodes.clock.at_ms + 1_000)
    found = nodes.together(
        *(
            world.store.path.accept(
                world.lease,
                world.next_batch(),
                [nodes.one.routed(nodes.one.message(app), app, idempotency=key)],
            )
            for world in nodes.worlds() * 4
        )
    )
    outcomes = Counter(result.outcome for [result] in found)
    assert outcomes == {AcceptOutcome.ACCEPTED: 1, AcceptOutcome.REPEATED: 7}
    assert len({result.message_id for [result] in found}) == 1


def test_one_event_id_is_accepted_once_whoever_is_first(nodes: Nodes) -> None:
    app = nodes.one.app()
    found = nodes.together(
        *(
            world.store.path.accept(
                world.lease,
                world.next_batch(),
                [nodes.one.routed(nodes.one.message(app, event_id="order-7"), app)],
            )
            for world in nodes.worlds() * 4
        )
    )
    outcomes = Counter(result.outcome for [result] in found)
    assert outcomes == {AcceptOutcome.ACCEPTED: 1, AcceptOutcome.EVENT_ID_TAKEN: 7}
    assert len({result.message_id for [result] in found}) == 1


def test_keys_in_opposite_orders_do_not_wait_for_each_other(nodes: Nodes) -> None:
    app = nodes.one.app()
    expires_at_ms = nodes.clock.at_ms + 1_000
    keys = [IdempotencyKey(bytes([place]) * 32, expires_at_ms) for place in range(50)]
    calls = []
    for world, order in ((nodes.one, keys), (nodes.other, keys[::-1])):
        new = [
            nodes.one.routed(
                nodes.one.message(app, event_id=f"e{key.digest[0]}"), app, idempotency=key
            )
            for key in order
        ]
        calls.append(world.store.path.accept(world.lease, world.next_batch(), new))
    first, second = nodes.together(*calls)
    stands = {result.message_id for result in first + second}
    assert len(stands) == len(keys)
    outcomes = Counter(result.outcome for result in first + second)
    assert outcomes[AcceptOutcome.ACCEPTED] == len(keys)


def test_a_change_that_was_answered_is_seen_by_every_node(nodes: Nodes) -> None:
    app = nodes.one.app()
    old = nodes.other.routed(nodes.other.message(app), app)
    nodes.one.endpoint(app)
    [result] = nodes.other.accept(old)
    assert result.outcome is AcceptOutcome.STALE


def test_a_dead_node_is_adopted_from_once(nodes: Nodes) -> None:
    app = nodes.one.app()
    endpoint = nodes.one.endpoint(app)
    messages = [nodes.one.sent(app, endpoint) for _ in range(20)]
    dead = nodes.one.lease
    nodes.one.crash()
    nodes.other.lease = nodes.other.join()
    now_ms = nodes.clock.at_ms
    counts = nodes.together(
        *(
            world.store.path.adopt(world.lease, now_ms=now_ms, limit=7)
            for world in nodes.worlds() * 4
        )
    )
    assert sum(counts) == len(messages)
    with pytest.raises(Fenced):
        nodes.one.record(nodes.one.attempt(messages[0], endpoint), lease=dead)
    with pytest.raises(Fenced):
        nodes.one.accept(nodes.one.routed(nodes.one.message(app), app), lease=dead)
    claimed = [one.msg_id for one in nodes.other.claim_all(endpoint)]
    assert sorted(claimed) == [message.id for message in messages]


def test_what_a_node_writes_while_it_is_fenced_is_refused_or_adopted(nodes: Nodes) -> None:
    app = nodes.one.app()
    endpoint = nodes.one.endpoint(app)
    routed = [nodes.one.routed(nodes.one.message(app), app, now=[endpoint]) for _ in range(30)]
    nodes.one.renew(lease_ms=0)
    accepted: list[str] = []
    has_begun, is_fenced = asyncio.Event(), asyncio.Event()

    async def accept() -> None:
        for new in routed:
            try:
                batch_id = nodes.one.next_batch()
                await nodes.one.store.path.accept(nodes.one.lease, batch_id, [new])
            except Fenced:
                is_fenced.set()
                return
            accepted.append(new.message.id)
            has_begun.set()

    async def adopt() -> int:
        await has_begun.wait()
        adopted, found = 0, 0
        while found or not is_fenced.is_set():
            found = await nodes.other.store.path.adopt(
                nodes.other.lease, now_ms=nodes.clock.at_ms, limit=5
            )
            adopted += found
        return adopted

    _, adopted = nodes.together(accept(), adopt())
    assert adopted == len(accepted)
    assert {one.msg_id for one in nodes.other.claim_all(endpoint)} == set(accepted)


def test_who_stands_still_in_a_transaction_keeps_nobody_from_adopting(url: str) -> None:
    """It holds its lease in the database while it does; that ends before the lease."""
    short_s = 0.4

    async def story() -> None:
        clock = StillClock()
        stopped = await open_store(Settings(database=url, lease_s=short_s), clock)
        other = await open_store(Settings(database=url), clock)
        lease = await stopped.nodes.join(NodeAbout("here"), lease_ms=int(short_s * 1000))
        holds, goes_on = asyncio.Event(), asyncio.Event()

        async def stand_still(connection: Connection) -> None:
            await hold_lease(connection, lease)
            holds.set()
            await goes_on.wait()
            await connection.execute(query("ping"))

        standing = asyncio.create_task(stopped._database.write(stand_still))
        await holds.wait()
        mine = await other.nodes.join(NodeAbout("there"), lease_ms=LEASE_MS)

        async def is_lapsed() -> bool:
            return (await other.nodes.renew(mine, lease_ms=LEASE_MS)).has_lapsed

        await eventually(is_lapsed, bool)
        await other.path.adopt(mine, now_ms=clock.at_ms, limit=1)
        assert not (await other.nodes.renew(mine, lease_ms=LEASE_MS)).has_lapsed
        goes_on.set()
        with pytest.raises(StoreUnavailable):
            await standing
        await asyncio.gather(stopped.close(), other.close())

    asyncio.run(story())


def test_what_waits_is_claimed_once_while_more_comes(nodes: Nodes) -> None:
    """The lanes are made and taken away all the time, by both nodes at once."""
    app = nodes.one.app()
    endpoints = [nodes.one.endpoint(app) for _ in range(4)]
    message = nodes.one.sent(app)
    put = [
        Waiting(delivery(message, endpoint, attempts_made=number), nodes.clock.at_ms)
        for number in range(60)
        for endpoint in endpoints
    ]
    claimed: list[tuple[str, int]] = []
    is_done = asyncio.Event()

    async def park(mine: list[Waiting], world: World) -> None:
        for one in mine:
            await world.store.path.park([one])

    async def claim(world: World) -> None:
        while not is_done.is_set() or await world.store.path.next_due_at_ms() is not None:
            lanes = await world.store.path.due_lanes(nodes.clock.at_ms, after=None, limit=10)
            takes = [Take(lane.endpoint_id, 3) for lane in lanes]
            found = await world.store.path.claim(
                world.lease, world.next_batch(), takes, now_ms=nodes.clock.at_ms
            )
            claimed.extend((one.delivery.endpoint_id, one.delivery.attempts_made) for one in found)

    async def fill() -> None:
        await asyncio.gather(
            *(park(put[place::4], nodes.worlds()[place % 2]) for place in range(4))
        )
        is_done.set()

    nodes.together(fill(), *(claim(world) for world in nodes.worlds()))
    wanted = sorted((one.delivery.endpoint_id, one.delivery.attempts_made) for one in put)
    assert sorted(claimed) == wanted


def test_lanes_are_corrected_in_their_order(nodes: Nodes, url: str) -> None:
    """Else whoever postpones some of them at the same time may wait for us, and we for him."""
    app = nodes.one.app()
    endpoints = sorted((nodes.one.endpoint(app) for _ in range(2)), key=lambda one: one.id)
    waits = [Waiting(delivery(nodes.one.message(app), one), 5) for one in endpoints]
    low, high = (one.id for one in endpoints)

    async def run() -> None:
        path = nodes.one.store.path
        await path.park(waits)
        other = await asyncpg.connect(url)
        async with other.transaction():
            await other.execute("UPDATE lane SET due_at_ms = 4")
        async with other.transaction():
            await other.execute("SELECT FROM lane WHERE endpoint_id = $1 FOR UPDATE", low)
            correcting = asyncio.create_task(path.hasten([high, low]))
            await eventually(lambda: other.fetchval(LOCK_WAITS), bool)
            await other.execute("SELECT FROM lane WHERE endpoint_id = $1 FOR UPDATE NOWAIT", high)
        await correcting
        await other.close()

    nodes.together(run())


def test_a_deleted_endpoint_keeps_no_lane_whatever_was_under_way(nodes: Nodes) -> None:
    app = nodes.one.app()
    endpoint = nodes.one.endpoint(app)
    message = nodes.one.sent(app)
    waiting = [Waiting(delivery(message, endpoint), nodes.clock.at_ms)]
    delete = nodes.one.store.resources.delete_endpoint
    nodes.together(
        *(nodes.other.store.path.park(waiting) for _ in range(8)),
        delete(app.id, endpoint.id, at_ms=1),
    )
    assert nodes.one.due() == []
    nodes.one.run(nodes.one.store.tending.purge_deleted(limit=100))
    assert nodes.one.claim_all(endpoint) == []
    assert nodes.one.run(nodes.one.store.path.next_due_at_ms()) is None


@pytest.mark.parametrize("is_committed", [True, False])
def test_an_answer_that_was_lost_loses_no_message(nodes: Nodes, is_committed: bool) -> None:
    app = nodes.one.app()
    endpoint = nodes.one.endpoint(app)
    new = nodes.one.routed(nodes.one.message(app), app, now=[endpoint])
    lose_answer(nodes.stores[0], is_committed=is_committed)
    if is_committed:
        [result] = nodes.one.accept(new)
        assert result.outcome is AcceptOutcome.ACCEPTED
    else:
        with pytest.raises(StoreUnavailable):
            nodes.one.accept(new)
    assert nodes.one.adopt() == 0  # the engine knows of the batch, or there is none


def test_a_claim_of_which_the_answer_was_lost_comes_back(nodes: Nodes) -> None:
    app = nodes.one.app()
    endpoint = nodes.one.endpoint(app)
    message = nodes.one.queued(app, endpoint)
    lose_answer(nodes.stores[0], is_committed=True)
    with pytest.raises(StoreUnavailable):
        nodes.one.claim_all(endpoint)
    assert nodes.one.adopt() == 1
    assert nodes.one.claim_all(endpoint) == [delivery(message, endpoint)]
    assert nodes.one.adopt() == 0


def lose_answer(store: PostgresStore, *, is_committed: bool) -> None:
    """The next statement is run or not, and then its connection is gone."""
    path = store._database
    call = path.call

    async def once(text: str, *values: Any) -> Any:
        path.call = call  # type: ignore[method-assign]
        if is_committed:
            await call(text, *values)
        raise StoreUnavailable("gone") from ConnectionResetError("gone")

    path.call = once  # type: ignore[method-assign]
