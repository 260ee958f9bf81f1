"""Backups: whole, checked, taken while somebody writes, and never over something."""

import asyncio
import sqlite3
import threading
from pathlib import Path

import pytest

from ringback.config import Settings
from ringback.errors import ConfigError, StoreCorrupt, StoreUnavailable
from ringback.store.page import Page
from ringback.store.port import (
    MessageFilter,
)
from ringback.store.sqlite.backup import back_up
from ringback.store.sqlite.store import open_store
from ringback.testing.stores import StillClock, World

SETTINGS = Settings(sqlite_readers=1)


def test_a_backup_under_writes_is_of_one_instant(tmp_path: Path) -> None:
    source, target = tmp_path / "ringback.db", tmp_path / "copy.db"
    has_begun, has_written = threading.Event(), threading.Event()

    def progress(_left: int, _total: int) -> None:
        has_begun.set()
        assert has_written.wait(30)

    with asyncio.Runner() as runner:
        clock = StillClock()
        world = World(runner, runner.run(open_store(source, SETTINGS, clock)), clock)
        app = world.app()
        before = [world.sent(app, payload=b"x" * 20_000).id for _ in range(100)]
        copying = threading.Thread(
            target=back_up, args=(source, target), kwargs={"progress": progress}
        )
        copying.start()
        assert has_begun.wait(30)
        world.sent(app)
        has_written.set()
        copying.join()
        runner.run(world.store.close())
    assert listed(target, app.id) == before[::-1]
    assert sorted(path.name for path in tmp_path.glob("*copy*")) == ["copy.db", "copy.db.lock"]


def listed(path: Path, app_id: str) -> list[str]:
    async def story() -> list[str]:
        store = await open_store(path, SETTINGS, StillClock())
        page = await store.history.list_messages(app_id, Page(1_000), MessageFilter())
        await store.close()
        return [message.id for message in page.rows]

    return asyncio.run(story())


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    source, target = made(tmp_path), tmp_path / "copy.db"
    target.write_text("precious")
    with pytest.raises(ConfigError, match="exists"):
        back_up(source, target)
    assert target.read_text() == "precious"


def test_what_appears_meanwhile_is_not_overwritten_either(tmp_path: Path) -> None:
    source, target = made(tmp_path), tmp_path / "copy.db"

    def progress(_left: int, _total: int) -> None:
        target.write_text("precious")

    with pytest.raises(ConfigError, match="exists"):
        back_up(source, target, progress=progress)
    assert target.read_text() == "precious"
    assert [path.name for path in tmp_path.iterdir() if "copy" in path.name] == ["copy.db"]


def test_a_damaged_database_is_not_passed_off_as_a_backup(tmp_path: Path) -> None:
    source, target = made(tmp_path), tmp_path / "copy.db"
    connection = sqlite3.connect(source)
    [(root,)] = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'lane_due'")
    connection.close()
    with source.open("r+b") as file:
        file.seek((root - 1) * 4096)
        file.write(b"\xff" * 4096)
    with pytest.raises(StoreCorrupt):
        back_up(source, target)
    assert [path.name for path in tmp_path.iterdir() if "copy" in path.name] == []


def test_a_missing_source_or_directory_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match="no database"):
        back_up(tmp_path / "none.db", tmp_path / "copy.db")
    with pytest.raises(StoreUnavailable, match="backup directory"):
        back_up(made(tmp_path), tmp_path / "none" / "copy.db")


def made(directory: Path) -> Path:
    path = directory / "ringback.db"

    async def story() -> None:
        await (await open_store(path, SETTINGS, StillClock())).close()

    asyncio.run(story())
    return path
