"""What `ringback doctor` finds, and that it says what to do about it."""

import asyncio
import os
import shutil
import sqlite3
from collections import namedtuple
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from msgspec.structs import replace

from ringback.cli import checks
from ringback.cli.check_endpoint import answered, clock_against, endpoint
from ringback.cli.checks import Finding, Level
from ringback.cli.doctor import command
from ringback.clock import Clock
from ringback.config import Settings
from ringback.front import Front
from ringback.model import Timings
from ringback.store.sqlite.migrate import up
from ringback.store.sqlite.store import open_store
from ringback.testing.stores import StillClock, World
from ringback.wire.port import Reply

STRONG = "x" * 32
Usage = namedtuple("Usage", "total used free")


def levels(findings: Any) -> dict[str, Level]:
    return {finding.subject: finding.level for finding in findings}


def test_a_misspelt_variable_is_noticed() -> None:
    variables = {
        "RINGBACK_LISTNE": "127.0.0.1:1",
        "RINGBACK_LISTEN": "127.0.0.1:1",
        "RINGBACK_JWT_SECRET_FILE": "/run/secret",
        "PATH": "/bin",
    }
    (finding,) = checks.environment(variables)
    assert finding.level == "warn"
    assert finding.detail.startswith("RINGBACK_LISTNE: ")


@pytest.mark.parametrize(
    ("settings", "has_dev_secret", "expected"),
    [
        (Settings(), False, {"jwt_secret": "fail", "main_secret": "warn"}),
        (Settings(), True, {"jwt_secret": "ok", "main_secret": "warn"}),
        (Settings(jwt_secret="short"), False, {"jwt_secret": "warn", "main_secret": "warn"}),
        (
            Settings(jwt_secret=STRONG, jwt_algorithm="HS512"),
            False,
            {"jwt_secret": "warn", "main_secret": "warn"},
        ),
        (
            Settings(jwt_secret=STRONG, main_secret=STRONG),
            False,
            {"jwt_secret": "ok", "main_secret": "ok"},
        ),
    ],
)
def test_secrets(settings: Settings, has_dev_secret: bool, expected: dict[str, Level]) -> None:
    found = list(checks.secrets(settings, has_dev_secret=has_dev_secret))
    assert levels(found) == expected
    assert all(STRONG not in finding.detail for finding in found)


def at(path: Path) -> Settings:
    return Settings(database=f"sqlite:///{path}")


def test_a_database_that_is_yet_to_be_made_is_fine_and_is_not_made(tmp_path: Path) -> None:
    path = tmp_path / "ringback.db"
    assert levels(checks.database(at(path))) == {"database": "ok", "disk": "ok"}
    assert list(tmp_path.iterdir()) == []


def test_a_database_in_use_is_sound(tmp_path: Path) -> None:
    path = tmp_path / "ringback.db"
    up(path, at(path), Clock())
    found = list(checks.database(at(path)))
    assert levels(found) == {"database": "ok", "disk": "ok"}
    assert "up to date" in found[0].detail


def test_what_was_not_checked_is_not_called_sound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "ringback.db"
    up(path, at(path), Clock())
    monkeypatch.setattr(checks, "CHECK_S_MAX", 0.0)
    monkeypatch.setattr(checks, "STEPS_PER_LOOK", 1)
    (finding, _) = checks.database(at(path))
    assert finding.level == "warn"
    assert "sound" not in finding.detail
    assert "not all of it was checked" in finding.detail


def test_a_database_that_is_damaged_fails(tmp_path: Path) -> None:
    path = tmp_path / "ringback.db"
    up(path, at(path), Clock())
    with path.open("r+b") as file:
        # The second page: the schema stays readable, its first table is not.
        file.seek(4096)
        file.write(os.urandom(4096))
    (finding, _) = checks.database(at(path))
    assert finding.level == "fail"
    assert "backup" in finding.detail


def test_what_is_no_database_fails(tmp_path: Path) -> None:
    path = tmp_path / "ringback.db"
    path.write_bytes(b"no database at all" * 1_000)
    (finding, _) = checks.database(at(path))
    assert finding.level == "fail"
    assert finding.detail.endswith("is damaged (file is not a database); restore a backup")


def test_the_database_of_another_program_fails(tmp_path: Path) -> None:
    path = tmp_path / "ringback.db"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE theirs (id)")
    connection.close()
    (finding, _) = checks.database(at(path))
    assert finding.level == "fail"
    assert "another program" in finding.detail


def test_secrets_of_another_main_secret_fail(tmp_path: Path) -> None:
    path = tmp_path / "ringback.db"
    ours = replace(at(path), main_secret=STRONG)
    assert list(checks.sealed(ours)) == []
    with asyncio.Runner() as runner:
        store = runner.run(open_store(path, ours, Clock()))
        world = World(runner, store, StillClock())
        world.endpoint(world.app())
        runner.run(store.close())

    assert list(checks.sealed(ours)) == []
    (finding,) = checks.sealed(at(path))
    assert (finding.level, finding.subject) == ("fail", "main_secret")
    assert "start with that one" in finding.detail


def test_a_missing_directory_fails(tmp_path: Path) -> None:
    (finding,) = checks.database(at(tmp_path / "missing" / "ringback.db"))
    assert finding.level == "fail"
    assert "create it" in finding.detail


@pytest.mark.parametrize(
    ("free", "level"), [(2**40, "ok"), (500 * 2**20, "warn"), (50 * 2**20, "fail")]
)
def test_room_on_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, level: Level
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(2**41, 0, free))
    assert levels(checks.database(at(tmp_path / "ringback.db")))["disk"] == level


def test_a_clock_that_is_years_behind_fails() -> None:
    assert checks.clock(Clock().now_ms()).level == "ok"
    assert checks.clock(0).level == "fail"


def test_open_files_are_compared_with_what_the_settings_may_need() -> None:
    assert checks.open_files(Settings(inflight_max=1, connections_idle_max=1)).level == "ok"
    assert checks.open_files(Settings(inflight_max=2**40)).level in {"warn", "ok"}


def reply(status: int, **headers: str) -> Reply:
    return Reply(
        status=status,
        headers=tuple(headers.items()),
        body=b"",
        is_truncated=False,
        timings=Timings(total_ms=12.4),
    )


@pytest.mark.parametrize(
    ("status", "has_secret", "level"),
    [
        (204, False, "ok"),
        (401, False, "ok"),
        (401, True, "warn"),
        (302, False, "fail"),
        (404, False, "warn"),
        (500, True, "warn"),
    ],
)
def test_the_answer_to_a_test_delivery(status: int, has_secret: bool, level: Level) -> None:
    finding = answered(reply(status), has_secret=has_secret)
    assert finding.level == level
    assert f"answered {status} in 12 ms" in finding.detail


@pytest.mark.parametrize(
    ("date", "expected"),
    [
        ("Thu, 01 Jan 1970 00:16:40 GMT", ["ok"]),
        ("Thu, 01 Jan 1970 00:17:40 GMT", ["warn"]),
        ("Thu, 01 Jan 1970 01:16:40 GMT", ["fail"]),
        ("yesterday", []),
    ],
)
def test_the_clock_is_compared_with_the_receivers(date: str, expected: list[Level]) -> None:
    found = clock_against(reply(204, date=date), 1_000_000)
    assert [finding.level for finding in found] == expected


def test_an_answer_without_a_date_says_nothing_of_the_clock() -> None:
    assert clock_against(reply(204), 1_000_000) == []


def deliver(url: str, settings: Settings, *, secret: str | None = None) -> list[Finding]:
    return asyncio.run(endpoint(url, settings, secret=secret))


def test_an_address_that_policy_denies_is_not_reached() -> None:
    (finding,) = deliver("http://127.0.0.1/", Settings())
    assert finding.level == "fail"
    assert "egress_allow" in finding.detail


@pytest.mark.parametrize("url", ["", "ftp://example.com", "http://127.0.0.1:22/", "not a url"])
def test_what_is_no_endpoint_url_fails(url: str) -> None:
    assert levels(deliver(url, Settings())) == {"endpoint": "fail"}


def test_a_secret_that_is_none_fails() -> None:
    assert levels(deliver("http://127.0.0.1/", Settings(), secret="x")) == {"endpoint": "fail"}


def test_a_delivery_that_arrives_is_fine() -> None:
    async def app(scope: Any, _receive: Any, send: Any) -> None:
        names = {name for name, _ in scope["headers"]}
        is_signed = {b"webhook-id", b"webhook-timestamp", b"webhook-signature"} <= names
        status = 204 if is_signed else 500
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def story() -> list[Finding]:
        front = Front(Clock())
        url = await front.bind("127.0.0.1", 0)
        await front.open(app)
        try:
            return await endpoint(url, Settings(egress_allow=("127.0.0.1/32",)), secret=None)
        finally:
            await front.close(1.0)

    assert levels(asyncio.run(story())) == {"endpoint": "ok", "clock": "ok"}


def test_settings_that_make_no_sense_are_a_finding_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(command, ["--set", "queue_max=0"], catch_exceptions=False)
    assert result.exit_code == 1
    assert "fail  settings      queue_max" in result.output
