"""Several nodes on one database, at the same moment: what a store with one writer never meets.

Every race is run many times. Whoever comes first, the invariants hold, nothing happens twice or
never, and no transaction is ever chosen as the victim of a deadlock.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec
import pytest

from ringback.config import Settings
from ringback.errors import BadRequest, Conflict, Fenced
from ringback.model import Application, Endpoint, Task, TaskStatus
from ringback.store.page import Page
from ringback.store.port import (
    AcceptOutcome,
    AcceptResult,
    Claimed,
    Disable,
    Health,
    IdempotencyKey,
    MessageFilter,
    NewMessage,
    Record,
    Take,
)
from ringback.store.postgres import database as seam
from ringback.store.postgres.connection import connect
from ringback.store.postgres.faults import is_worth_repeating
from ringback.store.postgres.store import open_store
from ringback.testing.postgres import database
from ringback.testing.stores import StillClock, World

T = TypeVar("T")
Call = Coroutine[Any, Any, T]

ROUNDS = 15
DAY_MS = 86_400_000


@dataclass
class Nodes:
    """Two nodes, each with a store of its own, on one database."""

    one: World
    two: World
    runner: asyncio.Runner
    url: str
    clock: StillClock

    def together(self, *calls: Call[Any]) -> list[Any]:
        """Run calls at once; each one's result, or what it raised."""

        async def run() -> list[Any]:
            return await asyncio.gather(*calls, return_exceptions=True)

        return self.runner.run(run())

    def all_well(self, *calls: Call[T]) -> list[T]:
        """The same, of calls that must not fail."""
        results = self.together(*calls)
        for result in results:
            if isinstance(result, BaseException):
                raise result
        return results


@pytest.fixture
def nodes(monkeypatch: pytest.MonkeyPatch) -> Iterator[Nodes]:
    deadlocks: list[BaseException] = []

    def spied(error: BaseException) -> bool:
        if "deadlock" in str(error):
            deadlocks.append(error)
        return is_worth_repeating(error)

    monkeypatch.setattr(seam, "is_worth_repeating", spied)
    clock = StillClock()
    with database() as url, asyncio.Runner() as runner:
        stores = [runner.run(open_store(Settings(database=url), clock)) for _ in range(2)]
        one, two = (World(runner, store, clock) for store in stores)
        yield Nodes(one, two, runner, url, clock)
        for store in stores:
            runner.run(store.close())
    assert deadlocks == []


def changed(**columns: object) -> Callable[[Any], Any]:
    return lambda old: msgspec.structs.replace(old, **columns)


def accept(node: World, *messages: NewMessage) -> Call[list[AcceptResult]]:
    return node.store.path.accept(node.lease, node.next_batch(), messages)


def claim(node: World, *takes: Take) -> Call[list[Claimed]]:
    now_ms = node.clock.now_ms()
    return node.store.path.claim(node.lease, node.next_batch(), takes, now_ms=now_ms)


def update(node: World, endpoint: Endpoint, **columns: object) -> Call[Endpoint]:
    update_endpoint = node.store.resources.update_endpoint
    return update_endpoint(endpoint.app_id, endpoint.id, changed(**columns))


def waits_for(node: World, endpoint: Endpoint) -> int:
    call = node.store.history.endpoint_stats(endpoint.id, since_ms=0, until_ms=1)
    return node.run(call).sending


# ---- accepting ----------------------------------------------------------------------------------


def test_an_idempotency_key_is_taken_by_one_node(nodes: Nodes) -> None:
    app = nodes.one.app()
    for number in range(ROUNDS):
        keys = [
            IdempotencyKey(bytes([number, which]) * 16, nodes.clock.at_ms + 1_000)
            for which in range(3)
        ]
        calls = [
            [
                node.routed(node.message(app), app, idempotency=key)
                for key in (keys if node is nodes.one else keys[::-1])
            ]
            for node in (nodes.one, nodes.two)
        ]
        ours, theirs = nodes.all_well(accept(nodes.one, *calls[0]), accept(nodes.two, *calls[1]))
        for mine, other in zip(ours, theirs[::-1], strict=True):
            assert {mine.outcome, other.outcome} == {
                AcceptOutcome.ACCEPTED,
                AcceptOutcome.REPEATED,
            }
            assert mine.message_id == other.message_id
    page = nodes.one.store.history.list_messages(app.id, Page(1_000), MessageFilter())
    assert len(nodes.one.run(page).rows) == 3 * ROUNDS


def test_an_event_id_is_taken_by_one_node(nodes: Nodes) -> None:
    app = nodes.one.app()
    for number in range(ROUNDS):
        names = [f"order-{number}-{which}" for which in range(3)]
        calls = [
            [
                node.routed(node.message(app, event_id=name), app)
                for name in (names if node is nodes.one else names[::-1])
            ]
            for node in (nodes.one, nodes.two)
        ]
        ours, theirs = nodes.all_well(accept(nodes.one, *calls[0]), accept(nodes.two, *calls[1]))
        for name, mine, other in zip(names, ours, theirs[::-1], strict=True):
            assert {mine.outcome, other.outcome} == {
                AcceptOutcome.ACCEPTED,
                AcceptOutcome.EVENT_ID_TAKEN,
            }
            found = nodes.one.run(nodes.one.store.history.get_message(app.id, name))
            assert found is not None
            assert mine.message_id == other.message_id == found.id
    page = nodes.one.store.history.list_messages(app.id, Page(1_000), MessageFilter())
    assert len(nodes.one.run(page).rows) == 3 * ROUNDS


def test_what_is_accepted_after_an_update_uses_it(nodes: Nodes) -> None:
    app = nodes.one.app()
    endpoint = nodes.one.endpoint(app)
    for number in range(ROUNDS):
        early, late = (
            nodes.one.routed(nodes.one.message(app), app, waiting=[endpoint]) for _ in range(2)
        )
        nodes.together(
            accept(nodes.one, early), update(nodes.two, endpoint, url=f"https://a.example/{number}")
        )
        [result] = nodes.one.accept(late)
        assert result.outcome is AcceptOutcome.STALE
        [result] = nodes.one.accept(
            msgspec.structs.replace(late, routing_version=nodes.two.version(app))
        )
        assert result.outcome is AcceptOutcome.ACCEPTED


def test_nothing_waits_for_an_application_that_is_deleted_while_accepting(nodes: Nodes) -> None:
    for _ in range(ROUNDS):
        app = nodes.one.app()
        endpoint = nodes.one.endpoint(app)
        news = [nodes.one.routed(nodes.one.message(app), app, waiting=[endpoint]) for _ in range(3)]
        delete = nodes.two.store.resources.delete_app(app.org_id, app.id, at_ms=1)
        *accepted, _ = nodes.together(*(accept(nodes.one, new) for new in news), delete)
        outcomes = {result.outcome for results in accepted for result in results}
        assert outcomes <= {AcceptOutcome.ACCEPTED, AcceptOutcome.GONE}
        assert endpoint.id not in {lane.endpoint_id for lane in nodes.one.due()}
        assert nodes.one.claim_all(endpoint) == []
        nodes.one.run(nodes.one.store.tending.purge_deleted(limit=100))
        assert waits_for(nodes.one, endpoint) == 0


# ---- claiming, adopting, fencing ----------------------------------------------------------------


def test_two_nodes_never_claim_the_same(nodes: Nodes) -> None:
    app = nodes.one.app()
    endpoints = [nodes.one.endpoint(app) for _ in range(3)]
    takes = [Take(endpoint.id, 7) for endpoint in endpoints]
    for _ in range(ROUNDS):
        sent = {(nodes.one.queued(app, endpoint).id, endpoint.id) for endpoint in endpoints * 5}
        claimed = nodes.all_well(
            claim(nodes.one, *takes),
            claim(nodes.two, *takes[::-1]),
            claim(nodes.one, *takes[::-1]),
            claim(nodes.two, *takes),
        )
        got = [(one.delivery.msg_id, one.delivery.endpoint_id) for some in claimed for one in some]
        got += [(one.msg_id, one.endpoint_id) for e in endpoints for one in nodes.one.claim_all(e)]
        assert Counter(got) == Counter(sent)


def test_two_nodes_never_adopt_the_same(nodes: Nodes) -> None:
    app = nodes.one.app()
    endpoint = nodes.one.endpoint(app)
    for _ in range(ROUNDS):
        dead = nodes.one.join(host="dead", lease_ms=0)
        sent = []
        for _ in range(6):
            message = nodes.one.message(app)
            nodes.one.accept(nodes.one.routed(message, app, now=[endpoint]), lease=dead)
            sent.append(message.id)
        now_ms = nodes.clock.at_ms
        adopted = nodes.all_well(
            *(
                node.store.path.adopt(node.lease, now_ms=now_ms, limit=4)
                for node in (nodes.one, nodes.two, nodes.one, nodes.two)
            )
        )
        assert sum(adopted) + nodes.one.adopt() == len(sent)
        assert sorted(one.msg_id for one in nodes.two.claim_all(endpoint)) == sorted(sent)


def test_what_a_fenced_node_records_is_kept_or_adopted(nodes: Nodes) -> None:
    app = nodes.one.app()
    endpoint = nodes.one.endpoint(app)
    for _ in range(ROUNDS):
        dead = nodes.one.join(host="slow", lease_ms=0)
        message = nodes.one.message(app)
        nodes.one.accept(nodes.one.routed(message, app, now=[endpoint]), lease=dead)
        attempt = nodes.one.attempt(message, endpoint)
        what = Record(attempts=[attempt], finished_batches=[nodes.one.batch_id])
        now_ms = nodes.clock.at_ms
        recorded, adopted = nodes.together(
            nodes.one.store.path.record(dead, what),
            nodes.two.store.path.adopt(nodes.two.lease, now_ms=now_ms, limit=9),
        )
        again = nodes.two.claim_all(endpoint)
        if isinstance(recorded, Fenced):
            assert (adopted, [one.msg_id for one in again]) == (1, [message.id])
        else:
            assert (recorded, adopted, again) == (None, 0, [])


# ---- disabling, changing ------------------------------------------------------------------------


def test_what_waits_survives_disabling_while_it_is_claimed(nodes: Nodes) -> None:
    app = nodes.one.app()
    endpoint = nodes.one.endpoint(app)
    for _ in range(ROUNDS):
        sent = {nodes.one.queued(app, endpoint).id for _ in range(6)}
        nodes_claims = [claim(nodes.one, Take(endpoint.id, 2)) for _ in range(2)]
        *claimed, _ = nodes.together(*nodes_claims, update(nodes.two, endpoint, is_disabled=True))
        assert nodes.one.claim_all(endpoint) == []
        assert nodes.one.due() == []
        nodes.two.run(update(nodes.two, endpoint, is_disabled=False))
        got = [one.delivery.msg_id for some in claimed for one in some]
        got += [one.msg_id for one in nodes.two.claim_all(endpoint)]
        assert Counter(got) == Counter(sent)


def test_health_changes_and_disabling_do_not_lock_each_other_out(nodes: Nodes) -> None:
    apps = [nodes.one.app() for _ in range(2)]
    endpoints = [nodes.one.endpoint(app) for app in apps for _ in range(3)]
    for number in range(ROUNDS):
        calls: list[Call[object]] = []
        for node, those in ((nodes.one, endpoints), (nodes.two, endpoints[::-1])):
            what = Record(
                health=[Health(endpoint.id, number + 1) for endpoint in those],
                disable=[Disable(endpoint.id, endpoint.version, number) for endpoint in those],
            )
            calls.append(node.store.path.record(node.lease, what))
            calls += [update(node, endpoint, description=str(number)) for endpoint in those]
        nodes.all_well(*calls)
        endpoints = nodes.all_well(
            *(update(nodes.one, endpoint, is_disabled=False) for endpoint in endpoints)
        )


def test_no_change_is_lost(nodes: Nodes) -> None:
    app = nodes.one.app()
    endpoints = [nodes.one.endpoint(app) for _ in range(2)]
    before = nodes.one.version(app)

    def counted(old: Endpoint) -> Endpoint:
        return msgspec.structs.replace(old, description=old.description + "x")

    nodes.all_well(
        *(
            node.store.resources.update_endpoint(app.id, endpoint.id, counted)
            for _ in range(ROUNDS)
            for node in (nodes.one, nodes.two)
            for endpoint in endpoints
        )
    )
    for endpoint in endpoints:
        found = nodes.one.run(nodes.one.store.resources.get_endpoint(app.id, endpoint.id))
        assert found is not None
        assert len(found.description) == 2 * ROUNDS
        assert found.version == endpoint.version + 2 * ROUNDS
    assert nodes.two.version(app) == before + 4 * ROUNDS


def test_applications_are_changed_and_deleted_in_any_order(nodes: Nodes) -> None:
    for _ in range(ROUNDS):
        app = nodes.one.app()
        endpoints = [nodes.one.endpoint(app) for _ in range(3)]
        resources = nodes.two.store.resources
        results = nodes.together(
            *(update(nodes.one, endpoint, is_disabled=True) for endpoint in endpoints),
            resources.update_app(app.org_id, app.id, changed(name="New")),
            resources.delete_endpoint(app.id, endpoints[0].id, at_ms=1),
            nodes.one.store.resources.delete_app(app.org_id, app.id, at_ms=2),
            nodes.one.store.path.record(
                nodes.one.lease, Record(health=[Health(one.id, 1) for one in endpoints])
            ),
        )
        assert isinstance(results[-2], Application)
        assert nodes.one.run(resources.get_app(app.org_id, app.id)) is None
        assert nodes.one.run(resources.list_endpoints(app.id, Page(9))).rows == []


def test_limits_and_uids_hold_among_nodes(nodes: Nodes) -> None:
    app = nodes.one.app()
    taken = nodes.together(
        *(
            node.store.resources.create_endpoint(node.new_endpoint(app), endpoints_max=3)
            for _ in range(4)
            for node in (nodes.one, nodes.two)
        )
    )
    assert Counter(type(one) for one in taken) == {Endpoint: 3, BadRequest: 5}
    same = nodes.together(
        *(
            node.store.resources.create_endpoint(node.new_endpoint(app, uid="u"), endpoints_max=99)
            for _ in range(4)
            for node in (nodes.one, nodes.two)
        )
    )
    assert Counter(type(one) for one in same) == {Endpoint: 1, Conflict: 7}


# ---- tending ------------------------------------------------------------------------------------


def test_a_task_is_stepped_once(nodes: Nodes) -> None:
    app = nodes.one.app()
    endpoint = nodes.one.endpoint(app)
    lost = []
    for _ in range(ROUNDS):
        message = nodes.one.sent(app, endpoint)
        nodes.one.record(
            nodes.one.failure(message, endpoint), finished_batches=[nodes.one.batch_id]
        )
        lost.append(message.id)
    task = new_task(nodes.one, app, endpoint)
    while task.status is TaskStatus.RUNNING:
        steps = nodes.all_well(
            *(
                node.store.tending.recover_step(task, now_ms=nodes.clock.at_ms, limit=2)
                for node in (nodes.one, nodes.two, nodes.one, nodes.two)
            )
        )
        assert all(step == steps[0] for step in steps)
        task = steps[0]
    assert task.done_count == len(lost)
    assert [one.msg_id for one in nodes.two.claim_all(endpoint)] == lost


def test_two_nodes_tend_while_messages_come_in(nodes: Nodes) -> None:
    app = nodes.one.app()
    endpoint = nodes.one.endpoint(app)
    for _ in range(3):
        for _ in range(4):
            nodes.one.queued(app, endpoint, payload_expires_at_ms=nodes.clock.at_ms + 1)
        nodes.clock.at_ms += 3 * DAY_MS
        now_ms, before_ms = nodes.clock.at_ms, nodes.clock.at_ms - 2 * DAY_MS
        news = [nodes.one.routed(nodes.one.message(app), app) for _ in range(ROUNDS)]
        tending = [
            call
            for node in (nodes.one, nodes.two)
            for tend in [node.store.tending]
            for call in (
                tend.make_room(now_ms=now_ms),
                tend.expire_payloads(now_ms=now_ms, before_ms=before_ms, limit=50),
                tend.delete_attempts(before_ms=before_ms, limit=50),
                tend.delete_messages(before_ms=before_ms, limit=50),
                tend.forget_answers(now_ms=now_ms, limit=50),
                tend.purge_deleted(limit=50),
            )
        ]
        results = nodes.all_well(*(accept(nodes.two, new) for new in news), *tending)
        assert all(
            one.outcome is AcceptOutcome.ACCEPTED
            for some in results
            if isinstance(some, list)
            for one in some
        )


def test_old_messages_stay_as_long_as_somebody_reads_them(nodes: Nodes) -> None:
    """Accepting does not queue up behind a drop that waits for a long report."""
    app = nodes.one.app()
    old = nodes.one.sent(app)
    nodes.clock.at_ms += 3 * DAY_MS
    before_ms = nodes.clock.at_ms - DAY_MS
    delete = nodes.one.store.tending.delete_messages

    async def read_meanwhile() -> list[AcceptResult]:
        report = await connect(Settings(database=nodes.url))
        async with report.transaction():
            await report.fetch("SELECT count(*) FROM message")
            assert await delete(before_ms=before_ms, limit=9) == 0
            results = await accept(nodes.two, new)
        await report.close()
        return results

    new = nodes.two.routed(nodes.two.message(app), app)
    [result] = nodes.runner.run(read_meanwhile())
    assert result.outcome is AcceptOutcome.ACCEPTED
    assert nodes.one.run(nodes.one.store.history.get_message(app.id, old.id)) == old
    while nodes.one.run(delete(before_ms=before_ms, limit=9)) >= 9:
        pass
    assert nodes.one.run(nodes.one.store.history.get_message(app.id, old.id)) is None
    found = nodes.one.run(nodes.one.store.history.get_message(app.id, new.message.id))
    assert found == new.message


def new_task(world: World, app: Application, endpoint: Endpoint) -> Task:
    now_ms = world.clock.at_ms
    task = Task(
        id=world.clock.new_id("qtask"),
        org_id=app.org_id,
        app_id=app.id,
        kind="endpoint.recover",
        status=TaskStatus.RUNNING,
        arguments={"endpoint_id": endpoint.id, "since_ms": now_ms - 9, "until_ms": now_ms + DAY_MS},
        cursor=None,
        done_count=0,
        created_at_ms=now_ms,
        updated_at_ms=now_ms,
    )
    return world.run(world.store.tending.create_task(task, running_max=9))
