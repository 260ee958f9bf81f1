"""Group commit: all or nothing each, results after the commit, faults for everybody."""

import asyncio
import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ringback.clock import Clock
from ringback.errors import StoreUnavailable
from ringback.store.sqlite import writer as writing
from ringback.store.sqlite.commit import Outcome, Transaction, commit_together
from ringback.store.sqlite.file import connect
from ringback.store.sqlite.guard import Guard
from ringback.store.sqlite.writer import Writer
from ringback.store.trouble import Trouble

Run = Callable[[sqlite3.Connection], object]


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    opened = connect(str(tmp_path / "commit.db"))
    opened.execute("CREATE TABLE written (name TEXT PRIMARY KEY)")
    yield opened
    opened.close()


def unguarded() -> Guard:
    """The file of these tests goes nowhere."""
    return Guard(Trouble(Clock()))


def writes(name: str) -> Run:
    def run(connection: sqlite3.Connection) -> str:
        connection.execute("INSERT INTO written VALUES (?)", (name,))
        return name

    return run


def fails(error: Exception, *, after: str = "") -> Run:
    def run(connection: sqlite3.Connection) -> None:
        if after:
            writes(after)(connection)
        raise error

    return run


def written(connection: sqlite3.Connection) -> list[str]:
    return [name for (name,) in connection.execute("SELECT name FROM written ORDER BY name")]


def test_one_that_raises_is_undone_alone(connection: sqlite3.Connection) -> None:
    error = KeyError("no")
    outcomes = commit_together(
        connection,
        [Transaction(writes("a")), Transaction(fails(error, after="x")), Transaction(writes("b"))],
        unguarded(),
    )
    assert outcomes == [Outcome("a"), Outcome(error=error), Outcome("b")]
    assert written(connection) == ["a", "b"]


def test_a_taken_key_harms_only_its_own(connection: sqlite3.Connection) -> None:
    outcomes = commit_together(
        connection,
        [Transaction(writes("a")), Transaction(writes("a")), Transaction(writes("b"))],
        unguarded(),
    )
    assert isinstance(outcomes[1].error, sqlite3.IntegrityError)
    assert written(connection) == ["a", "b"]


def test_a_checked_one_that_raises_before_it_writes_harms_nobody(
    connection: sqlite3.Connection,
) -> None:
    error = KeyError("no")
    outcomes = commit_together(
        connection,
        [Transaction(writes("a")), Transaction(fails(error), is_checked=True)],
        unguarded(),
    )
    assert outcomes == [Outcome("a"), Outcome(error=error)]
    assert written(connection) == ["a"]


def test_a_broken_promise_undoes_everything(connection: sqlite3.Connection) -> None:
    error = KeyError("no")
    first, second = commit_together(
        connection,
        [Transaction(writes("a")), Transaction(fails(error, after="x"), is_checked=True)],
        unguarded(),
    )
    assert isinstance(first.error, StoreUnavailable)
    assert second.error is error
    assert written(connection) == []


def test_a_full_disk_undoes_everything(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA max_page_count = 1")
    outcomes = commit_together(
        connection, [Transaction(writes("a")), Transaction(writes("b" * 100_000))], unguarded()
    )
    assert [type(outcome.error) for outcome in outcomes] == [StoreUnavailable] * 2
    assert written(connection) == []
    connection.execute("PRAGMA max_page_count = 100000")
    assert commit_together(connection, [Transaction(writes("c"))], unguarded()) == [Outcome("c")]


def test_a_locked_file_is_reported_and_left_alone(
    connection: sqlite3.Connection, tmp_path: Path
) -> None:
    connection.execute("PRAGMA busy_timeout = 0")
    other = connect(str(tmp_path / "commit.db"))
    other.execute("BEGIN IMMEDIATE")
    [outcome] = commit_together(connection, [Transaction(writes("a"))], unguarded())
    assert isinstance(outcome.error, StoreUnavailable)
    other.execute("ROLLBACK")
    other.close()
    assert commit_together(connection, [Transaction(writes("a"))], unguarded()) == [Outcome("a")]


# ---- the thread ---------------------------------------------------------------------------------


def test_what_queues_up_is_committed_together(
    connection: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []

    def counted(db: sqlite3.Connection, group: list[Transaction], guard: Guard) -> list[Outcome]:
        sizes.append(len(group))
        return commit_together(db, group, guard)

    monkeypatch.setattr(writing, "commit_together", counted)
    has_begun, is_open = threading.Event(), threading.Event()

    def hold(_connection: sqlite3.Connection) -> None:
        has_begun.set()
        is_open.wait()

    async def story() -> list[object]:
        writer = Writer(connection, unguarded())
        slow = asyncio.create_task(writer.run(hold))
        await asyncio.sleep(0)
        await asyncio.to_thread(has_begun.wait)
        calls = [asyncio.create_task(writer.run(writes(name))) for name in "abcdef"]
        await asyncio.sleep(0)
        is_open.set()
        names = await asyncio.gather(slow, *calls)
        await writer.close()
        return names

    assert asyncio.run(story()) == [None, *"abcdef"]
    assert sizes == [1, 6]


def test_closing_finishes_what_was_handed_in(tmp_path: Path) -> None:
    path = str(tmp_path / "close.db")

    async def story() -> None:
        opened = connect(path)
        opened.execute("CREATE TABLE written (name TEXT PRIMARY KEY)")
        writer = Writer(opened, unguarded())
        calls = [asyncio.create_task(writer.run(writes(name))) for name in "ab"]
        await asyncio.sleep(0)
        await writer.close()
        await writer.close()
        assert await asyncio.gather(*calls) == ["a", "b"]
        with pytest.raises(StoreUnavailable, match="closed"):
            await writer.run(writes("c"))

    asyncio.run(story())
    after = connect(path)
    assert written(after) == ["a", "b"]
    after.close()


def test_a_caller_that_went_away_disturbs_nobody(connection: sqlite3.Connection) -> None:
    is_open = threading.Event()

    async def story() -> None:
        writer = Writer(connection, unguarded())
        slow = asyncio.create_task(writer.run(lambda _: is_open.wait()))
        gone = asyncio.create_task(writer.run(writes("gone")))
        stays = asyncio.create_task(writer.run(writes("stays")))
        await asyncio.sleep(0)
        gone.cancel()
        is_open.set()
        assert await stays == "stays"
        assert gone.cancelled()
        await slow
        await writer.close()

    asyncio.run(story())


def test_the_queue_is_bounded(
    connection: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing, "QUEUE_MAX", 2)
    has_begun, is_open = threading.Event(), threading.Event()

    def hold(_connection: sqlite3.Connection) -> None:
        has_begun.set()
        is_open.wait()

    async def story() -> None:
        writer = Writer(connection, unguarded())
        calls = [asyncio.create_task(writer.run(hold))]
        await asyncio.sleep(0)
        await asyncio.to_thread(has_begun.wait)
        calls += [asyncio.create_task(writer.run(lambda _: None)) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(StoreUnavailable, match="too many writes"):
            await writer.run(lambda _: None)
        is_open.set()
        await asyncio.gather(*calls)
        await writer.close()

    asyncio.run(story())


# ---- light groups, on the event loop ------------------------------------------------------------


def thread_of(threads: list[int]) -> Run:
    return lambda _connection: threads.append(threading.get_ident())


@pytest.mark.parametrize(
    ("is_checked", "rows", "is_on_the_loop"),
    [
        (True, 1, True),
        (True, writing.LIGHT_ROWS_MAX, True),
        (True, writing.LIGHT_ROWS_MAX + 1, False),
        (True, 0, False),  # nobody knows how long it takes
        (False, 1, False),
    ],
)
def test_only_light_work_is_done_on_the_event_loop(
    connection: sqlite3.Connection, is_checked: bool, rows: int, is_on_the_loop: bool
) -> None:
    threads: list[int] = []

    async def story() -> None:
        writer = Writer(connection, unguarded())
        await writer.run(thread_of(threads), is_checked=is_checked, rows=rows)
        await writer.close()

    asyncio.run(story())
    assert [one == threading.get_ident() for one in threads] == [is_on_the_loop]


def test_one_heavy_transaction_takes_its_group_off_the_event_loop(
    connection: sqlite3.Connection,
) -> None:
    threads: list[int] = []

    async def story() -> None:
        writer = Writer(connection, unguarded())
        await asyncio.gather(
            writer.run(thread_of(threads), is_checked=True, rows=1),
            writer.run(thread_of(threads), is_checked=True, rows=writing.LIGHT_ROWS_MAX),
        )
        await writer.close()

    asyncio.run(story())
    assert len(threads) == 2
    assert threading.get_ident() not in threads


def test_the_event_loop_never_waits_for_another_program(
    connection: sqlite3.Connection, tmp_path: Path
) -> None:
    other = connect(str(tmp_path / "commit.db"))
    other.execute("BEGIN IMMEDIATE")
    threads: list[int] = []

    async def story() -> None:
        writer = Writer(connection, unguarded())
        call = asyncio.create_task(writer.run(thread_of(threads), is_checked=True, rows=1))
        # The loop goes on meanwhile, else nobody would ever let go of the lock.
        await asyncio.to_thread(lambda: None)
        assert not threads
        other.execute("COMMIT")
        await call
        await writer.close()

    asyncio.run(story())
    other.close()
    assert threads
    assert threading.get_ident() not in threads


def test_a_light_write_that_fails_raises_and_leaves_nothing(tmp_path: Path) -> None:
    opened = connect(str(tmp_path / "light.db"))
    opened.execute("CREATE TABLE written (name TEXT PRIMARY KEY)")

    async def story() -> None:
        writer = Writer(opened, unguarded())
        with pytest.raises(KeyError):
            await writer.run(fails(KeyError("no")), is_checked=True, rows=1)
        undone = await asyncio.gather(
            writer.run(writes("a"), is_checked=True, rows=1),
            writer.run(fails(KeyError("late"), after="b"), is_checked=True, rows=1),
            return_exceptions=True,
        )
        assert [type(one) for one in undone] == [StoreUnavailable, KeyError]
        assert await writer.run(writes("c"), is_checked=True, rows=1) == "c"
        await writer.close()

    asyncio.run(story())
    after = connect(str(tmp_path / "light.db"))
    assert written(after) == ["c"]
    after.close()
