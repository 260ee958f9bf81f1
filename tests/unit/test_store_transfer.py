"""From a SQLite file to PostgreSQL: everything arrives, and a cut at any batch leaves no trace."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg  # type: ignore[import-untyped]
import pytest

from ringback.clock import Clock
from ringback.config import Settings
from ringback.errors import ConfigError, RingbackError, SchemaMismatch, StoreCorrupt, StoreOwned
from ringback.model import Delivery, Task, TaskStatus, Trigger
from ringback.store.nodes import NodeAbout
from ringback.store.page import Page
from ringback.store.port import (
    AttemptFilter,
    IdempotencyKey,
    MessageFilter,
    Store,
    Waiting,
)
from ringback.store.postgres import store as postgres
from ringback.store.sqlite import store as sqlite
from ringback.store.transfer.target import Target
from ringback.store.transfer.walk import Outcome, Step, transfer
from ringback.testing.postgres import database
from ringback.testing.stores import StillClock, World, delivery

SECRET = "m" * 32
HOUR_MS = 3_600_000


@pytest.fixture
def url() -> Iterator[str]:
    with database() as url:
        yield url


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file with something of everything, whose service died with work in flight."""
    path = tmp_path / "ringback.db"
    with asyncio.Runner() as runner:
        settings = Settings(database=f"sqlite:///{path}", main_secret=SECRET)
        clock = StillClock()
        store = runner.run(sqlite.open_store(path, settings, clock, inline=True))
        fill(World(runner, store, clock))
        runner.run(store.close())
    return path


def fill(world: World) -> None:
    app = world.app(uid="shop", metadata={"plan": "gold"}, throttle_rate=5)
    gone = world.app(uid="gone")
    plain = world.endpoint(app, uid="plain", headers={"x-key": "ö"}, event_types=("invoice.paid",))
    off = world.endpoint(app, is_disabled=True, channels=("eu", "us"))
    removed = world.endpoint(app)
    world.event_type("invoice.paid", schemas={"1": {"type": "object"}}, group_name="billing")
    world.event_type("invoice.void", is_archived=True, feature_flag="beta")
    for number in range(7):
        world.clock.at_ms += 40 * HOUR_MS  # several partitions
        message = world.sent(app, plain, event_id=f"event-{number}", channels=("eu",))
        failed = world.failure(message, plain, error="broke \0 off", next_at_ms=world.clock.at_ms)
        again = Waiting(delivery(message, plain, attempts_made=1), world.clock.at_ms + 1 + number)
        world.record(failed, waiting=[again], finished_batches=[world.batch_id])
        raw = world.message(app, raw_body=b"\x00raw", content_type="text/plain")
        world.accept(world.routed(raw, app, waiting=[off, removed]))
    expunged = world.sent(app, plain)
    world.record(world.attempt(expunged, plain), finished_batches=[world.batch_id])
    world.run(world.store.history.expunge_message(app.id, expunged.id))
    key = IdempotencyKey(b"\xff" * 32, world.clock.at_ms + HOUR_MS)
    world.run(world.store.resources.remember(key, b'{"status":201}'))
    world.run(
        world.store.tending.create_task(task(app.id, plain.id, world.clock.at_ms), running_max=9)
    )
    world.run(world.store.resources.delete_endpoint(app.id, removed.id, at_ms=world.clock.at_ms))
    world.run(world.store.resources.delete_app("org_1", gone.id, at_ms=world.clock.at_ms))
    world.sent(app, plain)  # and nobody hears what became of it


def task(app_id: str, endpoint_id: str, at_ms: int) -> Task:
    return Task(
        id="qtask_1",
        org_id="org_1",
        app_id=app_id,
        kind="endpoint.recover",
        status=TaskStatus.RUNNING,
        arguments={"endpoint_id": endpoint_id, "since_ms": 1, "until_ms": at_ms},
        cursor=None,
        done_count=3,
        created_at_ms=at_ms,
        updated_at_ms=at_ms,
    )


def moved(file: Path, url: str, **options: Any) -> Outcome:
    steps: list[Step] = options.pop("steps", [])
    settings = Settings(**{"database": url, "main_secret": SECRET, **options.pop("settings", {})})
    report = options.pop("report", steps.append)
    return asyncio.run(transfer(file, settings, StillClock(), report=report, **options))


def test_both_stores_then_say_the_same(file: Path, url: str) -> None:
    steps: list[Step] = []
    outcome = moved(file, url, steps=steps)
    counts = {one.table: one.rows for one in outcome.tables}
    assert counts == {
        "application": 2,
        "endpoint": 3,
        "event_type": 2,
        "message": 16,
        "event_id": 7,
        "attempt": 8,
        "waiting": 22,
        "lane": 3,
        "answer": 1,
        "task": 1,
    }
    assert outcome.replaced == 7
    assert {step.table for step in steps if step.is_last and step.phase == "verify"} == set(counts)
    with asyncio.Runner() as runner:
        ours = Settings(database=f"sqlite:///{file}", main_secret=SECRET)
        source = runner.run(sqlite.open_store(file, ours, StillClock(), inline=True))
        theirs = Settings(database=url, main_secret=SECRET)
        target = runner.run(postgres.open_store(theirs, StillClock()))
        assert runner.run(everything(target)) == runner.run(everything(source))
        runner.run(source.close())
        runner.run(target.close())


async def everything(store: Store) -> list[object]:
    """What the port shows of it."""
    page = Page(limit=250)
    apps = (await store.resources.list_apps("org_1", page)).rows
    types = await store.resources.list_event_types("org_1", page, include_archived=True, flags=None)
    seen: list[object] = [apps, types.rows, await store.resources.recall(b"\xff" * 32, now_ms=0)]
    for app in apps:
        endpoints = (await store.resources.list_endpoints(app.id, page)).rows
        messages = (await store.history.list_messages(app.id, page, MessageFilter())).rows
        seen += [endpoints, messages, await store.history.get_message(app.id, "event-3")]
        for endpoint in endpoints:
            found = await store.history.list_attempts_of_endpoint(
                endpoint.id, page, AttemptFilter()
            )
            seen.append([shown(attempt) for attempt in found.rows])
            stats = await store.history.endpoint_stats(endpoint.id, since_ms=0, until_ms=10**13)
            seen.append(stats)
    seen.append(await store.path.due_lanes(10**13, after=None, limit=100))
    seen.append(await store.tending.running_tasks(limit=10))
    return seen


def shown(attempt: Any) -> object:
    return (attempt.id, attempt.msg_id, attempt.status, attempt.timings, attempt.response)


def test_due_times_and_order_stay_and_work_in_flight_waits(file: Path, url: str) -> None:
    moved(file, url)
    clock = StillClock(StillClock().at_ms + 10**10)
    settings = Settings(database=url, main_secret=SECRET)
    with asyncio.Runner() as runner:
        world = World(runner, runner.run(postgres.open_store(settings, clock)), clock)
        [lane] = [one for one in world.due() if one.due_at_ms]
        claimed = world.claim_all(endpoint_with(world, lane.endpoint_id))
        # The one of which nobody heard is due at once, seven retries in the order of their times.
        assert [one.attempts_made for one in claimed] == [0] + [1] * 7
        retried = [one.msg_id for one in claimed[1:]]
        assert retried == sorted(retried)
        assert {one.trigger for one in claimed} == {Trigger.SCHEDULED}
        runner.run(world.store.close())


def endpoint_with(world: World, endpoint_id: str) -> Any:
    [app] = world.run(world.store.resources.list_apps("org_1", Page(limit=9))).rows
    return world.run(world.store.resources.get_endpoint(app.id, endpoint_id))


def test_what_is_numbered_goes_on_after_what_was_moved(file: Path, url: str) -> None:
    with asyncio.Runner() as runner:
        settings = Settings(database=f"sqlite:///{file}", main_secret=SECRET)
        store = runner.run(sqlite.open_store(file, settings, StillClock(), inline=True))
        old = runner.run(store.nodes.join(NodeAbout("h"), lease_ms=1))
        runner.run(store.close())
        moved(file, url)
        target = runner.run(
            postgres.open_store(Settings(database=url, main_secret=SECRET), Clock())
        )
        new = runner.run(target.nodes.join(NodeAbout("h"), lease_ms=1))
        assert new.epoch > old.epoch
        app_id, endpoint_id, message_id = (
            query_value(url, f"SELECT {column} FROM waiting LIMIT 1")
            for column in ("app_id", "endpoint_id", "msg_id")
        )
        runner.run(target.path.park([Waiting(Delivery(app_id, message_id, endpoint_id), 1)]))
        assert query_value(url, "SELECT count(*) = max(id) FROM waiting")
        runner.run(target.close())


class Cut(Exception):
    """The transfer is over here."""


def test_a_cut_anywhere_is_gone_on_from(file: Path, url: str) -> None:
    """After each step in turn: the next run must get one further, and at last to the end."""
    done = 0

    def cut(allowed: int) -> Any:
        seen = 0

        def report(_step: Step) -> None:
            nonlocal seen
            seen += 1
            if seen > allowed:
                raise Cut

        return report

    for _ in range(100):
        try:
            outcome = moved(file, url, batch_rows=2, report=cut(2))
        except Cut:
            done += 1
            mark = query_value(url, "SELECT value FROM progress WHERE name = 'transfer'")
            assert '"is_done":false' in mark
            if "verify" in mark or '"table":"task"' in mark:
                break
    else:
        raise AssertionError("it does not get on")
    assert done > 10
    outcome = moved(file, url, batch_rows=2)
    assert sum(one.rows for one in outcome.tables) == 65
    assert moved(file, url).was_done


def test_no_service_starts_on_half_of_it(file: Path, url: str) -> None:
    half(file, url)
    with pytest.raises(StoreOwned, match="has not ended"):
        asyncio.run(postgres.open_store(Settings(database=url), Clock()))


def test_no_service_that_was_about_to_start_joins(file: Path, url: str) -> None:
    with asyncio.Runner() as runner:
        store = runner.run(postgres.open_store(Settings(database=url), Clock()))
        half(file, url)
        with pytest.raises(StoreOwned, match="has not ended"):
            runner.run(store.nodes.join(NodeAbout("h"), lease_ms=HOUR_MS))
        assert all(one.is_gone for one in runner.run(store.nodes.list_nodes()))
        runner.run(store.close())
    assert not moved(file, url).was_done


def test_a_service_that_joins_while_a_transfer_begins_stays(
    file: Path, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    has_rows = Target.refuse_what_is_not_ours

    async def join_then(target: Target) -> None:
        await has_rows(target)
        store = await postgres.open_store(Settings(database=url), Clock())
        await store.nodes.join(NodeAbout("h"), lease_ms=HOUR_MS)
        await store.close()

    monkeypatch.setattr(Target, "refuse_what_is_not_ours", join_then)
    refused(file, url, StoreOwned, "services run on the target")
    assert not query_value(url, "SELECT count(*) FROM progress")


def half(file: Path, url: str) -> None:
    def cut(step: Step) -> None:
        if step.table == "message":
            raise Cut

    with pytest.raises(Cut):
        moved(file, url, report=cut)


def test_a_file_that_was_used_since_is_refused_until_it_starts_over(file: Path, url: str) -> None:
    half(file, url)
    with asyncio.Runner() as runner:
        settings = Settings(database=f"sqlite:///{file}", main_secret=SECRET)
        store = runner.run(sqlite.open_store(file, settings, StillClock(), inline=True))
        runner.run(store.nodes.join(NodeAbout("h"), lease_ms=1))
        runner.run(store.close())
    refused(file, url, ConfigError, "--start-over")
    assert not moved(file, url, starts_over=True).was_done
    refused(file, url, StoreOwned, "stop that one", is_running=True)


def refused(
    file: Path, url: str, kind: type[RingbackError], words: str, *, is_running: bool = False
) -> None:
    with asyncio.Runner() as runner:
        store = None
        if is_running:
            settings = Settings(database=f"sqlite:///{file}", main_secret=SECRET)
            store = runner.run(sqlite.open_store(file, settings, StillClock(), inline=True))
        with pytest.raises(kind, match=words) as caught:
            moved(file, url)
        assert "\n" not in str(caught.value)
        if store is not None:
            runner.run(store.close())


def test_a_target_that_holds_something_else_is_refused(file: Path, url: str) -> None:
    with asyncio.Runner() as runner:
        clock = StillClock()
        store = runner.run(postgres.open_store(Settings(database=url), clock))
        world = World(runner, store, clock)
        refused(file, url, StoreOwned, "services run on the target")
        runner.run(store.nodes.leave(world.lease))
        world.app()
        runner.run(store.close())
    refused(file, url, ConfigError, "is not empty")


def test_another_main_secret_moves_nothing(file: Path, url: str) -> None:
    for wrong in ("", "w" * 32):
        with pytest.raises(RingbackError, match="start with that one"):
            moved(file, url, settings={"main_secret": wrong})
    assert not query_value(url, "SELECT count(*) FROM progress")


def test_secrets_that_were_not_sealed_are_sealed(tmp_path: Path, url: str) -> None:
    path = tmp_path / "open.db"
    with asyncio.Runner() as runner:
        clock = StillClock()
        store = runner.run(sqlite.open_store(path, Settings(), clock, inline=True))
        world = World(runner, store, clock)
        secrets = world.endpoint(world.app()).secrets
        runner.run(store.close())
        moved(path, url)
        assert "sealed1:" in query_value(url, "SELECT secrets FROM endpoint")
        settings = Settings(database=url, main_secret=SECRET)
        target = runner.run(postgres.open_store(settings, Clock()))
        [app] = runner.run(target.resources.list_apps("org_1", Page(limit=9))).rows
        [endpoint] = runner.run(target.resources.list_endpoints(app.id, Page(limit=9))).rows
        assert endpoint.secrets == secrets
        runner.run(target.close())


def test_what_arrived_altered_is_found_out(
    file: Path, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def alter(self: Any) -> None:
        await self._connection.execute("UPDATE waiting SET due_at_ms = due_at_ms + 1 WHERE id = 3")

    monkeypatch.setattr(Target, "analyze", alter)
    with pytest.raises(StoreCorrupt, match="waiting has 22 rows"):
        moved(file, url)


def test_a_file_of_nobody_is_refused(tmp_path: Path, url: str) -> None:
    with pytest.raises(ConfigError, match="there is no database"):
        moved(tmp_path / "nothing.db", url)
    (tmp_path / "empty.db").touch()
    with pytest.raises(SchemaMismatch, match="ringback migrate up"):
        moved(tmp_path / "empty.db", url)


def query_value(url: str, text: str) -> Any:
    async def run() -> Any:
        connection = await asyncpg.connect(url)
        try:
            return await connection.fetchval(text)
        finally:
            await connection.close()

    return asyncio.run(run())
