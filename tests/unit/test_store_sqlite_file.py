"""The file: its owner, its damages, its limits."""

import asyncio
import os
import sqlite3
from pathlib import Path

import pytest

from ringback.config import Settings
from ringback.errors import (
    ConfigError,
    SchemaMismatch,
    StoreCorrupt,
    StoreOwned,
    StoreUnavailable,
)
from ringback.store.migrate import Applied, Migration, pending
from ringback.store.page import Page
from ringback.store.port import (
    MessageFilter,
)
from ringback.store.sqlite import migrate
from ringback.store.sqlite.backup import back_up
from ringback.store.sqlite.store import SqliteStore, open_store
from ringback.testing.stores import StillClock, World

SETTINGS = Settings(sqlite_readers=1)


def opened(path: Path, *, inline: bool = True) -> SqliteStore:
    return asyncio.run(open_store(path, SETTINGS, StillClock(), inline=inline))


def close(store: SqliteStore) -> None:
    asyncio.run(store.close())


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ringback.db"


# ---- owner --------------------------------------------------------------------------------------


def test_a_second_owner_is_refused_and_told_who_the_first_is(path: Path) -> None:
    store = opened(path)
    with pytest.raises(StoreOwned, match=f"process {os.getpid()};"):
        opened(path)
    with pytest.raises(StoreOwned):
        migrate.up(path, SETTINGS, StillClock())
    close(store)
    close(opened(path))


def test_what_could_not_be_opened_is_not_owned(path: Path) -> None:
    path.write_bytes(b"not a database" * 100)
    with pytest.raises(StoreCorrupt):
        opened(path)
    path.unlink()
    close(opened(path))


def test_only_its_owner_may_read_the_file(path: Path) -> None:
    close(opened(path))
    assert path.stat().st_mode & 0o077 == 0


# ---- damage -------------------------------------------------------------------------------------


def test_a_cut_off_file_is_noticed_at_once(path: Path) -> None:
    close(opened(path))
    os.truncate(path, path.stat().st_size - 4096)
    for attempt in (lambda: opened(path), lambda: migrate.status(path)):
        with pytest.raises(StoreCorrupt, match="restore a backup"):
            attempt()


def test_damage_found_later_is_reported_as_such(path: Path) -> None:
    close(opened(path))
    with sqlite3.connect(path) as connection:
        [(root,)] = connection.execute(
            "SELECT rootpage FROM sqlite_schema WHERE name = 'application_by_org'"
        )
    connection.close()
    with path.open("r+b") as file:
        file.seek((root - 1) * 4096)
        file.write(b"\xff" * 4096)
    with asyncio.Runner() as runner:
        store = runner.run(open_store(path, SETTINGS, StillClock()))
        with pytest.raises(StoreCorrupt):
            runner.run(store.resources.list_apps("org_1", Page(1)))
        runner.run(store.close())


def test_the_database_of_another_program_is_left_alone(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE theirs (id)")
    connection.close()
    before = path.read_bytes()
    copy = path.with_name("copy.db")
    for attempt in (
        lambda: opened(path),
        lambda: migrate.status(path),
        lambda: back_up(path, copy),
    ):
        with pytest.raises(ConfigError, match="another program"):
            attempt()
    assert path.read_bytes() == before
    assert not copy.exists()


def test_a_missing_directory_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="missing; create it first"):
        opened(tmp_path / "none" / "ringback.db")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_directory_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(StoreUnavailable, match="cannot be written"):
        opened(tmp_path / "ringback.db")
    tmp_path.chmod(0o700)


def test_a_directory_that_takes_no_files_is_named() -> None:
    with pytest.raises(StoreUnavailable, match="cannot be written"):
        opened(Path("/proc/ringback.db"))


def test_a_directory_is_no_database(path: Path) -> None:
    path.mkdir()
    with pytest.raises(StoreUnavailable, match="cannot be written"):
        opened(path)


# ---- a full disk --------------------------------------------------------------------------------


@pytest.mark.parametrize("inline", [True, False])
def test_a_full_disk_changes_nothing_and_passes(path: Path, inline: bool) -> None:
    with asyncio.Runner() as runner:
        store = runner.run(open_store(path, SETTINGS, StillClock(), inline=inline))
        world = World(runner, store, StillClock())
        app = world.app()
        endpoint = world.endpoint(app)
        big = [world.message(app, payload=b"x" * 50_000) for _ in range(50)]
        calls = [world.routed(message, app, waiting=[endpoint]) for message in big]
        limit_pages(world, store, 1)
        with pytest.raises(StoreUnavailable, match="full"):
            world.accept(*calls)
        listed = store.history.list_messages(app.id, Page(9), MessageFilter())
        assert world.run(listed).rows == []
        assert world.due() == []
        limit_pages(world, store, 1_000_000)
        assert len(world.accept(*calls)) == 50
        assert len(world.claim_all(endpoint)) == 50
        runner.run(store.close())


def limit_pages(world: World, store: SqliteStore, pages: int) -> None:
    """SQLite never goes below the present size, so 1 means: not one page more."""

    def run(connection: sqlite3.Connection) -> None:
        connection.execute(f"PRAGMA max_page_count = {pages}")

    world.run(store._database.write(run))


# ---- schema -------------------------------------------------------------------------------------


def test_a_new_file_is_brought_up_to_date_once(path: Path) -> None:
    states = migrate.up(path, SETTINGS, StillClock())
    assert [state.number for state in states] == list(range(1, len(states) + 1))
    assert None not in {state.applied_at_ms for state in states}
    assert migrate.up(path, SETTINGS, StillClock(at_ms=5)) == states
    close(opened(path))
    assert migrate.status(path) == states


def test_status_works_while_a_service_runs(path: Path) -> None:
    store = opened(path)
    assert migrate.status(path)[0].name == "initial"
    close(store)
    with pytest.raises(StoreUnavailable, match="no database"):
        migrate.status(path.with_name("other.db"))


@pytest.mark.parametrize(
    ("change", "hint"),
    [
        ("UPDATE migration SET checksum = 'x' WHERE number = 1", "not the one that was applied"),
        ("INSERT INTO migration VALUES (9999, 'future', 'x', 1)", "upgrade Ringback"),
    ],
)
def test_a_schema_of_another_version_is_not_touched(path: Path, change: str, hint: str) -> None:
    migrate.up(path, SETTINGS, StillClock())
    with sqlite3.connect(path) as connection:
        connection.execute(change)
    connection.close()
    for attempt in (lambda: opened(path), lambda: migrate.status(path)):
        with pytest.raises(SchemaMismatch, match=hint):
            attempt()


def test_migrations_are_applied_in_order_and_none_is_skipped() -> None:
    files = [Migration(number, f"m{number}", "-- nothing") for number in (1, 2, 3)]
    books = [Applied(one.number, one.name, one.checksum, 1) for one in files]
    assert pending(files, []) == files
    assert pending(files, books[:1]) == files[1:]
    assert pending(files, books) == []
    with pytest.raises(SchemaMismatch, match="skipped"):
        pending(files, [books[0], books[2]])
