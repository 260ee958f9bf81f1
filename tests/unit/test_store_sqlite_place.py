"""The database file under its name: what is answered when that changes while it is open."""

import asyncio
import os
import shutil
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest

from ringback.clock import Clock
from ringback.config import Settings
from ringback.errors import StoreCorrupt, StoreGone, StoreUnavailable
from ringback.store.nodes import NodeAbout
from ringback.store.sqlite.commit import Transaction, commit_together
from ringback.store.sqlite.file import connect, open_for_writing, prepare
from ringback.store.sqlite.guard import Guard
from ringback.store.sqlite.place import Place
from ringback.store.sqlite.store import SqliteStore, open_store
from ringback.store.trouble import CALM_S, REPEAT_S, Trouble


class HandClock(Clock):
    """Goes on when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.now_s = 100.0

    def monotonic(self) -> float:
        return self.now_s


class Opened:
    """A database as the store opens it, with one row for each commit."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.log = Path(f"{file}-wal")
        self.clock = HandClock()
        self.connection = open_for_writing(file, Settings())
        self.connection.execute("CREATE TABLE written (name TEXT) STRICT")
        self.trouble = Trouble(self.clock)
        self.place = Place(file, self.clock)
        self.guard = Guard(self.trouble, self.place)

    def write(self, name: str = "x") -> None:
        """Raises what the caller of a commit would get."""

        def run(connection: sqlite3.Connection) -> None:
            connection.execute("INSERT INTO written VALUES (?)", (name,))

        [outcome] = commit_together(self.connection, [Transaction(run)], self.guard)
        if outcome.error is not None:
            raise outcome.error

    def settle(self) -> None:
        """The directory has not changed for a while."""
        os.utime(self.file.parent, (1_000_000_000, 1_000_000_000))
        self.write()
        self.clock.now_s += 1
        self.write()

    def close(self) -> None:
        self.place.close()
        self.connection.close()


@pytest.fixture
def opened(tmp_path: Path) -> Opened:
    return Opened(tmp_path / "ringback.db")


def remove(file: Path) -> None:
    file.unlink()


def move(file: Path) -> None:
    file.rename(f"{file}.away")


def replace(file: Path) -> None:
    shutil.copy(file, f"{file}.copy")
    Path(f"{file}.copy").replace(file)


def move_directory(file: Path) -> None:
    file.parent.rename(f"{file.parent}.away")


def remove_all(file: Path) -> None:
    for each in file.parent.glob(f"{file.name}*"):
        each.unlink()


GONE = [remove, move, replace, move_directory, remove_all]


@pytest.mark.parametrize("is_settled", [True, False])
@pytest.mark.parametrize("happens", GONE)
def test_nothing_is_committed_to_a_file_without_its_name(
    happens: Callable[[Path], None], is_settled: bool, tmp_path: Path
) -> None:
    directory = tmp_path / "kept"
    directory.mkdir()
    opened = Opened(directory / "ringback.db")
    opened.write()
    if is_settled:
        opened.settle()
    happens(opened.file)
    for _ in range(2):
        with pytest.raises(StoreGone, match="database"):
            opened.write()
        with pytest.raises(StoreGone, match="database"):
            opened.guard.before_read()
    opened.close()


@pytest.mark.parametrize("happens", [remove, move, replace])
def test_a_log_that_went_is_noticed_and_what_it_held_is_saved(
    happens: Callable[[Path], None], opened: Opened, tmp_path: Path
) -> None:
    opened.write("a")
    happens(opened.log)
    with pytest.raises(StoreGone, match="-wal"):
        opened.write("b")
    shutil.copy(opened.file, tmp_path / "as it is now.db")
    with closing(connect(str(tmp_path / "as it is now.db"))) as after:
        assert after.execute("SELECT name FROM written").fetchall() == [("a",), ("b",)]
    opened.close()


def test_a_log_that_was_cut_off_is_noticed_before_more_is_written(opened: Opened) -> None:
    opened.write()
    os.truncate(opened.log, 0)
    with pytest.raises(StoreGone, match="cut off"):
        opened.write()
    assert opened.log.stat().st_size == 0
    opened.close()


def test_a_log_that_another_program_copied_into_the_file_is_no_trouble(opened: Opened) -> None:
    opened.write()
    with closing(sqlite3.connect(opened.file)) as other:
        other.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    assert opened.log.stat().st_size == 0
    opened.write()
    assert opened.trouble.fault is None
    opened.close()


def test_a_file_that_was_emptied_is_noticed_when_reading(opened: Opened) -> None:
    os.truncate(opened.file, 0)
    with pytest.raises(StoreGone, match="emptied"):
        opened.guard.before_read()
    opened.close()


def test_other_files_come_and_go(opened: Opened) -> None:
    opened.settle()
    (opened.file.parent / "other").touch()
    opened.write()
    opened.settle()
    (opened.file.parent / "other").unlink()
    opened.write()
    assert opened.trouble.fault is None
    opened.close()


def test_a_link_may_point_to_the_file(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    link = tmp_path / "ringback.db"
    link.symlink_to(tmp_path / "disk" / "ringback.db")
    opened = Opened(link)
    opened.settle()
    (tmp_path / "disk" / "ringback.db").unlink()
    with pytest.raises(StoreGone):
        opened.write()
    opened.close()


def test_closing_touches_nothing_of_a_file_that_came_in_its_place(opened: Opened) -> None:
    opened.write()
    remove_all(opened.file)
    with closing(connect(str(opened.file))) as successor:
        prepare(successor, cache_bytes=1 << 20)
        successor.execute("CREATE TABLE theirs (x)")
        opened.close()
        assert opened.log.stat().st_size > 0


# ---- through the store --------------------------------------------------------------------------


@asynccontextmanager
async def store_at(file: Path, *, inline: bool) -> AsyncIterator[SqliteStore]:
    store = await open_store(file, Settings(), Clock(), inline=inline)
    try:
        yield store
    finally:
        await store.close()


@pytest.mark.parametrize("inline", [False, True])
def test_a_store_whose_file_is_gone_reads_and_writes_nothing(tmp_path: Path, inline: bool) -> None:
    async def story() -> None:
        async with store_at(tmp_path / "ringback.db", inline=inline) as store:
            await store.path.next_due_at_ms()
            assert store.fault is None
            (tmp_path / "ringback.db").unlink()
            with pytest.raises(StoreGone):
                await store.path.next_due_at_ms()
            with pytest.raises(StoreGone):
                await store.nodes.join(NodeAbout("here"), lease_ms=1)
            assert isinstance(store.fault, StoreGone)

    asyncio.run(story())


# ---- damage and trouble -------------------------------------------------------------------------


def fault_of(code: int) -> sqlite3.Error:
    error = sqlite3.DatabaseError("as SQLite says it")
    error.sqlite_errorcode = code
    return error


@pytest.mark.parametrize("code", [sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB])
def test_damage_that_was_read_stops_writing_and_not_reading(opened: Opened, code: int) -> None:
    assert isinstance(opened.guard.noted(fault_of(code), is_writing=False), StoreCorrupt)
    for _ in range(2):
        with pytest.raises(StoreCorrupt, match="ringback doctor"):
            opened.write()
    opened.guard.before_read()
    opened.close()


def test_text_that_is_none_is_damage(opened: Opened) -> None:
    with pytest.raises(sqlite3.OperationalError) as raised:
        opened.connection.execute("SELECT CAST(x'ff' AS TEXT)").fetchall()
    assert isinstance(opened.guard.noted(raised.value, is_writing=False), StoreCorrupt)
    opened.close()


def test_a_file_that_may_not_be_written_is_trouble_that_passes(opened: Opened) -> None:
    opened.connection.execute("PRAGMA query_only = 1")
    with pytest.raises(StoreUnavailable, match="owner, mode and volume"):
        opened.write()
    assert opened.trouble.hindrance is not None
    opened.connection.execute("PRAGMA query_only = 0")
    opened.write()
    opened.clock.now_s += CALM_S
    opened.write()
    assert opened.trouble.hindrance is None
    opened.close()


def test_trouble_is_said_once_in_a_while_and_a_fault_once(
    capsys: pytest.CaptureFixture[str],
) -> None:
    clock = HandClock()
    trouble = Trouble(clock)

    def said() -> list[str]:
        out = capsys.readouterr().out
        return [name for name in out.split() if name.startswith("store_")]

    full = StoreUnavailable("the disk is full")
    for _ in range(3):
        trouble.met(full, is_writing=True)
    assert said() == ["store_unavailable"]
    clock.now_s += REPEAT_S
    trouble.met(full, is_writing=True)
    assert said() == ["store_unavailable"]
    trouble.over()
    assert said() == [], "it may not be over yet"
    clock.now_s += CALM_S
    trouble.over()
    trouble.over()
    assert said() == ["store_available"]
    trouble.met(full, is_writing=True)
    assert said() == ["store_unavailable"]
    assert trouble.condemn(StoreGone("gone"))
    assert not trouble.condemn(StoreCorrupt("damaged"))
    assert said() == ["store_refuses"]
    assert isinstance(trouble.refusal(), StoreGone)
    assert trouble.refusal() is not trouble.fault
