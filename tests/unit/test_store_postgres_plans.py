"""No page of history, and no step of tending, reads much more than it shows, whatever is stored.

Asked of the planner and not of a watch: the real calls are made on a loaded database, through a
connection that has every statement explained as it runs, with the plan that a connection keeps.
Once these plans were made when the tables were empty, once when they were full and analysed.
"""

import asyncio
import json
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from typing import Any, TypeVar, cast

import pytest

from ringback.clock import first_id_at, id_time_ms
from ringback.config import Settings
from ringback.model import Attempt, AttemptStatus, Delivery, Message, Task, TaskStatus
from ringback.sign.sealing import Sealer
from ringback.store.page import Page
from ringback.store.port import (
    AttemptFilter,
    MessageFilter,
    NewMessage,
)
from ringback.store.postgres import history, recover
from ringback.store.postgres.claim import attempted_of
from ringback.store.postgres.connection import Connection, connect
from ringback.store.postgres.expire import expire
from ringback.store.postgres.history import PostgresHistory
from ringback.store.postgres.partitions import Partition
from ringback.store.postgres.retire import forget_deleted
from ringback.store.postgres.retire import let_go as let_go_of
from ringback.store.postgres.rows import EndpointRows, task_row
from ringback.store.postgres.sql import query
from ringback.store.postgres.store import open_store
from ringback.testing.postgres import database
from ringback.testing.stores import StillClock, World

T = TypeVar("T")

DAY_MS = 86_400_000
DAYS = 5
MESSAGES = 8_000
BATCH = 400
APPS = 2
ENDPOINTS = 3  # of each application; one in two gets a message
SELDOM_ONE_IN = 40  # messages of the event type that is seldom
LIMIT = 50
ROWS_MAX = 12 * LIMIT  # what a page may read: one row ahead in each partition, and what is joined
LARGE = ("message_", "attempt_", "waiting", "event_id", "in_flight")
PAGE = Page(LIMIT)


class Explained:
    """A `Connection` that keeps the plan of every statement it runs."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.plans: list[dict[str, Any]] = []
        self._names: dict[str, str] = {}

    async def execute(self, text: str, *values: Any) -> str:
        if not values:
            return await self.connection.execute(text)
        await self._explain(text, values)
        return "EXPLAINED 0"

    async def fetch(self, text: str, *values: Any) -> list[Sequence[Any]]:
        await self._explain(text, values)
        return await self.connection.fetch(text, *values)

    async def cursor(self, text: str, *values: Any, prefetch: int) -> AsyncIterator[Sequence[Any]]:
        for row in await self.fetch(text, *values):
            yield row

    async def fetchrow(self, text: str, *values: Any) -> Sequence[Any] | None:
        return next(iter(await self.fetch(text, *values)), None)

    async def fetchval(self, text: str, *values: Any) -> Any:
        return (await self.fetch(text, *values))[0][0]

    def transaction(self, **options: Any) -> AbstractAsyncContextManager[Any]:
        return self.connection.transaction(**options)

    async def _explain(self, text: str, values: Sequence[Any]) -> None:
        if text not in self._names:
            self._names[text] = f"statement_{len(self._names)}"
            await self.connection.execute(f"PREPARE {self._names[text]} AS {text}")
        given = f"({', '.join(map(literal, values))})" if values else ""
        explain = "EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) EXECUTE"
        rows = await self.connection.fetch(f"{explain} {self._names[text]} {given}")
        self.plans.append(json.loads(rows[0][0])[0]["Plan"])


class Seen:
    """What history needs of a database; its reads are explained."""

    def __init__(self, explained: Explained, endpoints: EndpointRows) -> None:
        self.explained = explained
        self.endpoints = endpoints

    async def snapshot(self, run: Callable[[Connection], Awaitable[T]]) -> T:
        async with self.explained.transaction(isolation="repeatable_read"):
            return await run(cast(Connection, self.explained))


class _Undo(Exception):
    """Rolls back."""


class Loaded:
    """A database with messages of several days, and what there is in it."""

    def __init__(self, world: World, runner: asyncio.Runner, settings: Settings) -> None:
        self.world = world
        self.runner = runner
        self.first_ms = world.clock.at_ms
        for _ in range(DAYS):
            world.run(world.store.tending.make_room(now_ms=world.clock.at_ms))
            world.clock.at_ms += DAY_MS
        world.clock.at_ms = self.first_ms
        self.apps = [world.app() for _ in range(APPS)]
        self.endpoints = {
            app.id: [world.endpoint(app) for _ in range(ENDPOINTS)] for app in self.apps
        }
        self.app = self.apps[0]
        self.endpoint = self.endpoints[self.app.id][0]
        self.msg_id = first_id_at("msg", self.first_ms)
        self.attempt_id = first_id_at("atmpt", self.first_ms)
        self.explained = Explained(runner.run(connect(settings)))
        rows = EndpointRows(Sealer(settings.main_secret), world.clock)
        self.history = PostgresHistory(Seen(self.explained, rows))  # type: ignore[arg-type]

    def load(self) -> None:
        """`msg_id` and `attempt_id` are then from the middle."""
        luck = random.Random(7)
        versions = {app.id: self.world.version(app) for app in self.apps}
        for _ in range(MESSAGES // BATCH):
            self.world.clock.at_ms += DAYS * DAY_MS // (MESSAGES // BATCH + 1)
            messages = [self._message(place, luck) for place in range(BATCH)]
            attempts = [one for message in messages for one in self._attempts(message, luck)]
            self.world.accept(
                *(NewMessage(one, versions[one.app_id], (), (), None) for one in messages)
            )
            self.world.record(*attempts)
            if self.world.clock.at_ms < self.first_ms + DAYS * DAY_MS // 2:
                self.msg_id, self.attempt_id = messages[-1].id, attempts[-1].id

    def plans_of(self, call: Awaitable[object]) -> list[dict[str, Any]]:
        """The plans of the statements that a call runs."""

        async def run() -> None:
            await call

        self.explained.plans.clear()
        self.runner.run(run())
        return list(self.explained.plans)

    async def undone(self, run: Callable[[Connection], Awaitable[object]]) -> None:
        """A transaction that is explained and then rolled back."""
        try:
            async with self.explained.transaction():
                await run(cast(Connection, self.explained))
                raise _Undo
        except _Undo:
            pass

    def _message(self, place: int, luck: random.Random) -> Message:
        return self.world.message(
            luck.choice(self.apps),
            event_type="seldom" if place % SELDOM_ONE_IN == 0 else "often",
            channels=("eu",) if place % 2 else None,
            event_id=f"{self.world.clock.at_ms}-{place}",
        )

    def _attempts(self, message: Message, luck: random.Random) -> Iterator[Attempt]:
        """One in ten fails; half of these are repeated."""
        for endpoint in self.endpoints[message.app_id]:
            if luck.random() < 0.5:
                if luck.random() < 0.05:
                    yield self.world.failure(message, endpoint)
                make = self.world.attempt if luck.random() < 0.95 else self.world.failure
                yield make(message, endpoint)


async def many(call: Awaitable[object]) -> None:
    """As for an endpoint with many attempts."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(history, "FEW_ATTEMPTS", 0)
        await call


def of_endpoint(
    one: Loaded, page: Page = PAGE, status: AttemptStatus | None = None, **where: Any
) -> Awaitable[object]:
    call = one.history.list_messages_of_endpoint
    return call(one.endpoint.id, page, MessageFilter(**where), status=status)


def attempts_of_endpoint(one: Loaded, page: Page = PAGE, **where: Any) -> Awaitable[object]:
    call = one.history.list_attempts_of_endpoint
    return call(one.endpoint.id, page, AttemptFilter(**where))


def attempts_of_message(one: Loaded, page: Page = PAGE, **where: Any) -> Awaitable[object]:
    return one.history.list_attempts_of_message(one.msg_id, page, AttemptFilter(**where))


def messages(one: Loaded, page: Page = PAGE, **where: Any) -> Awaitable[object]:
    return one.history.list_messages(one.app.id, page, MessageFilter(**where))


def endpoints_of_message(one: Loaded) -> Awaitable[object]:
    return one.history.list_endpoints_of_message(one.msg_id, PAGE)


def attempts_of_batch(one: Loaded) -> Awaitable[object]:
    held = Delivery(one.app.id, one.msg_id, one.endpoint.id)
    return attempted_of(cast(Connection, one.explained), [(1, 1, [held])])


FROM_OLDEST = Page(LIMIT, from_oldest=True)
WALKS: dict[str, Callable[[Loaded], Awaitable[object]]] = {
    "messages": messages,
    "messages from the middle": lambda one: messages(one, Page(LIMIT, one.msg_id)),
    "messages from the oldest": lambda one: messages(one, FROM_OLDEST),
    "messages of a type": lambda one: messages(one, event_types=("often",)),
    "messages of a channel": lambda one: messages(one, channel="eu"),
    "messages of a day": lambda one: messages(
        one, after_ms=one.first_ms + DAY_MS, before_ms=one.first_ms + 2 * DAY_MS
    ),
    "attempts of an endpoint": attempts_of_endpoint,
    "attempts of an endpoint from the middle": lambda one: attempts_of_endpoint(
        one, Page(LIMIT, one.attempt_id)
    ),
    "attempts of an endpoint from the oldest": lambda one: attempts_of_endpoint(one, FROM_OLDEST),
    "attempts of an endpoint that succeeded": lambda one: attempts_of_endpoint(
        one, status=AttemptStatus.SUCCESS
    ),
    "attempts of an endpoint of a type": lambda one: attempts_of_endpoint(
        one, event_types=("often",), channel="eu"
    ),
    "failed messages of an endpoint": lambda one: of_endpoint(one, status=AttemptStatus.FAIL),
    "failed messages of an endpoint from the oldest": lambda one: of_endpoint(
        one, FROM_OLDEST, status=AttemptStatus.FAIL
    ),
    "messages of a busy endpoint": lambda one: many(of_endpoint(one)),
    "messages of a busy endpoint from the oldest": lambda one: many(of_endpoint(one, FROM_OLDEST)),
    "messages of a busy endpoint that succeeded": lambda one: many(
        of_endpoint(one, status=AttemptStatus.SUCCESS)
    ),
}
LOOKS: dict[str, Callable[[Loaded], Awaitable[object]]] = {
    "a message": lambda one: one.history.get_message(one.app.id, one.msg_id),
    "a message by event id": lambda one: one.history.get_message(one.app.id, "e"),
    "an attempt": lambda one: one.history.get_attempt(one.msg_id, one.attempt_id),
    "attempts of a message": attempts_of_message,
    "attempts of a message of a type": lambda one: attempts_of_message(one, event_types=("often",)),
    "endpoints of a message": endpoints_of_message,
    "attempts of a batch": attempts_of_batch,
}
WHOLE: dict[str, Callable[[Loaded], Awaitable[object]]] = {
    "messages of a type that is seldom": lambda one: messages(one, event_types=("seldom",)),
    "attempts of a type that is seldom": lambda one: attempts_of_endpoint(
        one, event_types=("seldom",)
    ),
    "retried messages of an endpoint": lambda one: of_endpoint(one, status=AttemptStatus.SENDING),
    "messages of an endpoint": of_endpoint,
    "messages of an endpoint that succeeded": lambda one: of_endpoint(
        one, status=AttemptStatus.SUCCESS
    ),
    "stats of an endpoint": lambda one: one.history.endpoint_stats(
        one.endpoint.id, since_ms=one.first_ms, until_ms=one.first_ms + DAY_MS
    ),
}
READS = {**WALKS, **LOOKS, **WHOLE}


def expired(one: Loaded) -> Callable[[Connection], Awaitable[object]]:
    at_ms = one.first_ms + 2 * DAY_MS
    return lambda db: expire(db, now_ms=at_ms, before_ms=at_ms, limit=LIMIT)


def recovered(one: Loaded) -> Callable[[Connection], Awaitable[object]]:
    arguments = {
        "endpoint_id": one.endpoint.id,
        "since_ms": one.first_ms + DAY_MS,
        "until_ms": one.first_ms + DAYS * DAY_MS,
    }
    task = Task(
        id="qtask_1",
        org_id=one.app.org_id,
        app_id=one.app.id,
        kind="endpoint.recover",
        status=TaskStatus.RUNNING,
        arguments=arguments,
        cursor=None,
        done_count=0,
        created_at_ms=1,
        updated_at_ms=1,
    )

    async def run(db: Connection) -> None:
        await db.execute(query("insert_task"), *task_row(task))
        await recover.step(db, task, now_ms=1, limit=LIMIT)

    return run


def let_go(one: Loaded) -> Callable[[Connection], Awaitable[object]]:
    oldest = Partition("unused", one.first_ms, one.first_ms + DAY_MS)
    return lambda db: let_go_of(db, oldest, limit=LIMIT)


def forgotten(one: Loaded) -> Callable[[Connection], Awaitable[object]]:
    async def run(db: Connection) -> None:
        await db.execute(query("delete_endpoints_of_app"), 1, one.app.id)
        await db.execute(query("delete_app"), 1, one.app.id)
        await forget_deleted(db, before_ms=2, limit=LIMIT)

    return run


WRITES = {"expire": expired, "recover": recovered, "let go": let_go, "forget": forgotten}


@pytest.fixture(scope="module", params=["planned-when-empty", "analysed"])
def loaded(request: pytest.FixtureRequest) -> Iterator[Loaded]:
    clock = StillClock()
    with database() as url, asyncio.Runner() as runner:
        settings = Settings(database=url)
        store = runner.run(open_store(settings, clock))
        one = Loaded(World(runner, store, clock), runner, settings)
        if request.param == "planned-when-empty":
            for read in READS.values():
                one.plans_of(read(one))
            for write in WRITES.values():
                one.plans_of(one.undone(write(one)))
        one.load()
        if request.param == "analysed":
            runner.run(one.explained.execute("ANALYZE"))
        yield one
        runner.run(one.explained.connection.close())
        runner.run(store.close())


@pytest.mark.parametrize("name", READS)
def test_large_tables_are_read_by_index(loaded: Loaded, name: str) -> None:
    for plan in loaded.plans_of(READS[name](loaded)):
        assert not scanned_whole(plan), json.dumps(plan, indent=1)


@pytest.mark.parametrize("name", WRITES)
def test_tending_goes_by_index(loaded: Loaded, name: str) -> None:
    for plan in loaded.plans_of(loaded.undone(WRITES[name](loaded))):
        assert not scanned_whole(plan), json.dumps(plan, indent=1)
        assert rows_read(plan) <= ROWS_MAX, json.dumps(plan, indent=1)


@pytest.mark.parametrize("name", WALKS)
def test_a_page_is_read_in_order_and_reads_little_more_than_it_shows(
    loaded: Loaded, name: str
) -> None:
    for plan in loaded.plans_of(WALKS[name](loaded)):
        assert not [node for node in nodes(plan) if "Sort" in node["Node Type"]]
        assert rows_read(plan) <= ROWS_MAX, json.dumps(plan, indent=1)


@pytest.mark.parametrize("name", LOOKS)
def test_one_message_is_looked_up_where_it_may_be(loaded: Loaded, name: str) -> None:
    """No attempt is older than its message: what is older is not touched."""
    for plan in loaded.plans_of(LOOKS[name](loaded)):
        assert rows_read(plan) <= 4 * ENDPOINTS
        touched = {node["Relation Name"] for node in nodes(plan) if is_read(node)}
        older = {f"{table}_{day}" for table in ("message", "attempt") for day in older_days(loaded)}
        assert not {name for name in touched if name.startswith(tuple(older))}


def test_a_page_of_a_day_looks_at_that_day_alone(loaded: Loaded) -> None:
    [plan] = loaded.plans_of(WALKS["messages of a day"](loaded))
    touched = {node["Relation Name"] for node in nodes(plan) if is_read(node)}
    assert len(touched - {"message_other"}) <= 2  # a day from any hour on


def older_days(loaded: Loaded) -> list[str]:
    """The names of the partitions from before the message that is looked up."""
    day_ms = id_time_ms(loaded.msg_id) // DAY_MS * DAY_MS
    return [
        f"{datetime.fromtimestamp(at_ms / 1000, UTC):%Y%m%d}"
        for at_ms in range(day_ms - 2 * DAYS * DAY_MS, day_ms, DAY_MS)
    ]


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for below in plan.get("Plans", ()):
        yield from nodes(below)


def is_read(node: dict[str, Any]) -> bool:
    return "Relation Name" in node and node["Actual Loops"] > 0


def scanned_whole(plan: dict[str, Any]) -> list[str]:
    """Large tables that are read from end to end."""
    return [
        node["Relation Name"]
        for node in nodes(plan)
        if node["Node Type"].endswith("Seq Scan") and node["Relation Name"].startswith(LARGE)
    ]


def rows_read(plan: dict[str, Any]) -> int:
    """Rows of large tables, also those that a filter then refuses."""
    return sum(
        node["Actual Loops"]
        * (
            node["Actual Rows"]
            + node.get("Rows Removed by Filter", 0)
            + node.get("Rows Removed by Index Recheck", 0)
        )
        for node in nodes(plan)
        if is_read(node) and "Scan" in node["Node Type"] and node["Relation Name"].startswith(LARGE)
    )


def literal(value: Any) -> str:
    """A value as a parameter of EXECUTE."""
    if value is None:
        return "NULL"
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    if isinstance(value, bool | int):
        return str(value)
    elements = [row_literal(one) if isinstance(one, tuple) else one for one in value]
    return literal("{" + ",".join(map(json.dumps, elements)) + "}")


def row_literal(row: tuple[Any, ...]) -> str:
    """A row of ids and numbers, as an element of an array."""
    return "(" + ",".join(map(str, row)) + ")"
