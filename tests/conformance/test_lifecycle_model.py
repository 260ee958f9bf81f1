"""The life of deliveries, in any order of events, against a model that fits on a page.

Every delivery is in exactly one place: an in-flight batch, a waiting row, or finished. At the end
of every story the node dies, its work is adopted, and everything that is unfinished comes out of
the store once, and nothing else does.
"""

import asyncio
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from ringback.config import Settings
from ringback.model import Delivery, Endpoint
from ringback.store.port import Disable, NewMessage, Store, Take, Waiting
from ringback.store.postgres import store as postgres
from ringback.store.sqlite import store as sqlite
from ringback.testing.postgres import database
from ringback.testing.stores import StillClock, World, delivery

Key = tuple[str, str]  # message, endpoint
ENDPOINTS = 3
which = st.integers(0, ENDPOINTS - 1)


class Lifecycle(RuleBasedStateMachine):
    """`flying` by batch, `waits` with due times, `lanes` as the port says they are."""

    def __init__(self) -> None:
        super().__init__()
        self.cleanup = ExitStack()
        clock = StillClock()
        self.runner = self.cleanup.enter_context(asyncio.Runner())
        self.world = World(self.runner, self.runner.run(self.open(clock)), clock)
        self.flying: dict[int, dict[Key, Delivery]] = {}
        self.waits: dict[Key, tuple[int, Delivery]] = {}
        self.lanes: dict[str, int] = {}
        self.finished: set[Key] = set()

    async def open(self, clock: StillClock) -> Store:
        return await sqlite.open_store(":memory:", Settings(), clock)

    @initialize()
    def begin(self) -> None:
        self.app = self.world.app()
        self.endpoints = [self.world.endpoint(self.app) for _ in range(ENDPOINTS)]
        self.disabled: set[str] = set()
        self.deleted: set[str] = set()

    # ---- what happens

    @rule(places=st.lists(st.sampled_from(["now", "waiting", "no"]), min_size=3, max_size=3))
    def accept(self, places: list[str]) -> None:
        live = [one for one in self.endpoints if one.id not in self.disabled | self.deleted]
        message = self.world.message(self.app)
        new = self.world.routed(
            message,
            self.app,
            now=[one for one, place in zip(live, places, strict=False) if place == "now"],
            waiting=[one for one, place in zip(live, places, strict=False) if place == "waiting"],
        )
        self.world.accept(new)
        if new.now:
            self.flying[self.world.batch_id] = {key(one): one for one in new.now}
        for one in new.waiting:
            self._wait(one)

    @rule()
    def route_by_an_old_version(self) -> None:
        message = self.world.message(self.app)
        endpoint = self.endpoints[0]
        self.world.accept(NewMessage(message, -1, (delivery(message, endpoint),), (), None))

    @rule(place=which, count=st.integers(0, 3))
    def claim(self, place: int, count: int) -> None:
        endpoint_id = self.endpoints[place].id
        due = sorted(
            (due_at_ms, one.msg_id, one)
            for due_at_ms, one in self.waits.values()
            if one.endpoint_id == endpoint_id and due_at_ms <= self.world.clock.at_ms
        )
        expected = [] if endpoint_id in self.disabled | self.deleted else due[:count]
        claimed = self.world.claim(Take(endpoint_id, count))
        # Rows of one instant may come in any order, so the instants are compared.
        assert len(claimed) == len(expected)
        instants = [self.waits.pop(key(one))[0] for one in claimed]
        assert instants == [due_at_ms for due_at_ms, _, _ in expected]
        if claimed:
            self.flying[self.world.batch_id] = {key(one): one for one in claimed}
        self._correct_lane(endpoint_id)

    @precondition(lambda self: self.flying)
    @rule(
        chosen=st.randoms(use_true_random=False),
        fate=st.sampled_from(["succeed", "retry", "give up", "return", "cancel"]),
        delay_ms=st.sampled_from([0, 5, 1_000]),
    )
    def record(self, chosen: Any, fate: str, delay_ms: int) -> None:
        batch_id = chosen.choice(sorted(self.flying))
        batch = self.flying[batch_id]
        one = batch.pop(chosen.choice(sorted(batch)))
        # A canceled delivery leaves no trace before its batch is done; so it ends the batch here.
        if fate == "cancel" and batch:
            fate = "succeed"
        due_at_ms = self.world.clock.at_ms + delay_ms
        made = one.attempts_made + (fate == "retry")
        again = Waiting(msgspec.structs.replace(one, attempts_made=made), due_at_ms, batch_id)
        is_again = fate in ("retry", "return")
        attempt = self._attempt(one, batch_id, fate=fate, next_at_ms=due_at_ms)
        self.world.record(
            *attempt,
            waiting=[again] if is_again else [],
            finished_batches=[] if batch else [batch_id],
        )
        if not batch:
            del self.flying[batch_id]
        if is_again:
            self._wait(again)
        else:
            self.finished.add(key(one))

    @rule(place=which, by=st.sampled_from(["change", "record"]))
    def disable(self, place: int, by: str) -> None:
        endpoint = self.endpoints[place]
        if endpoint.id in self.deleted:
            return
        if by == "change":
            self._change(endpoint, is_disabled=True)
        elif endpoint.id not in self.disabled:
            found = self.world.run(
                self.world.store.resources.get_endpoint(self.app.id, endpoint.id)
            )
            assert found is not None
            self.world.record(disable=[Disable(endpoint.id, found.version, 1)])
        self.disabled.add(endpoint.id)

    @rule(place=which)
    def enable(self, place: int) -> None:
        endpoint = self.endpoints[place]
        if endpoint.id in self.disabled - self.deleted:
            self._change(endpoint, is_disabled=False)
            self.disabled.remove(endpoint.id)
            self._correct_lane(endpoint.id)

    @rule(place=which)
    def replace(self, place: int) -> None:
        """Delete an endpoint with what waits for it; another takes its place."""
        endpoint = self.endpoints[place]
        resources = self.world.store.resources
        self.world.run(resources.delete_endpoint(self.app.id, endpoint.id, at_ms=1))
        self.deleted.add(endpoint.id)
        for known in [known for known in self.waits if known[1] == endpoint.id]:
            del self.waits[known]
        self.endpoints[place] = self.world.endpoint(self.app)

    @rule()
    def purge(self) -> None:
        self.world.run(self.world.store.tending.purge_deleted(limit=2))

    @rule(place=which, delay_ms=st.sampled_from([0, 10, 2_000]))
    def postpone(self, place: int, delay_ms: int) -> None:
        endpoint_id = self.endpoints[place].id
        due_at_ms = self.world.clock.at_ms + delay_ms
        self.world.run(self.world.store.path.postpone({endpoint_id: due_at_ms}))
        if endpoint_id in self.lanes:
            self.lanes[endpoint_id] = max(self.lanes[endpoint_id], due_at_ms)

    @rule(place=which)
    def hasten(self, place: int) -> None:
        endpoint_id = self.endpoints[place].id
        self.world.run(self.world.store.path.hasten([endpoint_id]))
        self._correct_lane(endpoint_id)

    @rule(ms=st.sampled_from([1, 7, 1_500]))
    def let_time_pass(self, ms: int) -> None:
        self.world.clock.at_ms += ms
        self.world.renew()

    @rule()
    def crash(self) -> None:
        self.world.crash()
        assert self.world.adopt() == len(self.flying)
        for batch in self.flying.values():
            for one in batch.values():
                self._wait(Waiting(one, self.world.clock.at_ms))
        self.flying.clear()

    # ---- what must hold

    @invariant()
    def the_due_lanes_are_those_with_due_work(self) -> None:
        now_ms = self.world.clock.at_ms
        expected = {
            (endpoint_id, due_at_ms)
            for endpoint_id, due_at_ms in self.lanes.items()
            if due_at_ms <= now_ms and endpoint_id not in self.disabled | self.deleted
        }
        assert {(lane.endpoint_id, lane.due_at_ms) for lane in self.world.due()} == expected

    def teardown(self) -> None:
        self.crash()
        for place in range(ENDPOINTS):
            self.enable(place)
        self.world.clock.at_ms += 1_000_000
        left = [one for endpoint in self.endpoints for one in self.world.claim_all(endpoint)]
        unfinished = [one for _, one in self.waits.values()]
        assert sorted(left, key=key) == sorted(unfinished, key=key)
        assert not self.finished & {key(one) for one in left}
        self.runner.run(self.world.store.close())
        self.cleanup.close()

    # ---- the model

    def _wait(self, waiting: Waiting) -> None:
        one = waiting.delivery
        if one.endpoint_id in self.deleted:
            return
        assert key(one) not in self.waits
        self.waits[key(one)] = (waiting.due_at_ms, one)
        earliest = self.lanes.get(one.endpoint_id, waiting.due_at_ms)
        self.lanes[one.endpoint_id] = min(earliest, waiting.due_at_ms)

    def _correct_lane(self, endpoint_id: str) -> None:
        if endpoint_id in self.disabled | self.deleted:
            return
        due = [
            due_at_ms for due_at_ms, one in self.waits.values() if one.endpoint_id == endpoint_id
        ]
        self.lanes.pop(endpoint_id, None)
        if due:
            self.lanes[endpoint_id] = min(due)

    def _attempt(self, one: Delivery, batch_id: int, *, fate: str, next_at_ms: int) -> list[Any]:
        if fate in ("return", "cancel"):
            return []
        endpoint = msgspec.structs.replace(self.endpoints[0], id=one.endpoint_id)
        message = msgspec.structs.replace(self.world.message(self.app), id=one.msg_id)
        make = self.world.attempt if fate == "succeed" else self.world.failure
        planned = next_at_ms if fate == "retry" else None
        return [make(message, endpoint, batch_id=batch_id, next_at_ms=planned)]

    def _change(self, endpoint: Endpoint, **columns: object) -> None:
        self.world.run(
            self.world.store.resources.update_endpoint(
                self.app.id,
                endpoint.id,
                lambda old: msgspec.structs.replace(old, **columns),
            )
        )


def key(one: Delivery) -> Key:
    return one.msg_id, one.endpoint_id


class LifecycleOnFile(Lifecycle):
    async def open(self, clock: StillClock) -> Store:
        directory = self.cleanup.enter_context(tempfile.TemporaryDirectory())
        settings = Settings(sqlite_readers=1)
        return await sqlite.open_store(Path(directory) / "ringback.db", settings, clock)


class LifecycleOnPostgres(Lifecycle):
    async def open(self, clock: StillClock) -> Store:
        url = self.cleanup.enter_context(database())
        return await postgres.open_store(Settings(database=url), clock)


@pytest.mark.parametrize(
    ("machine", "examples"),
    [(Lifecycle, 60), (LifecycleOnFile, 8), (LifecycleOnPostgres, 15)],
    ids=["inline", "file", "postgres"],
)
def test_every_delivery_is_in_exactly_one_place(
    machine: type[RuleBasedStateMachine], examples: int
) -> None:
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=40,
            deadline=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
