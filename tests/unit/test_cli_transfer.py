"""What `ringback transfer` says while it works and when it has done."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from ringback.cli.exits import Exit
from ringback.cli.transfer import command
from ringback.cli.transfer_progress import BAR_CHARS, Progress, line_of
from ringback.config import Settings
from ringback.errors import ConfigError
from ringback.store.sqlite import store as sqlite
from ringback.store.transfer.walk import Step
from ringback.testing.postgres import database
from ringback.testing.stores import StillClock, World


@pytest.fixture
def url() -> Iterator[str]:
    with database() as url:
        yield url


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "ringback.db"
    with asyncio.Runner() as runner:
        store = runner.run(sqlite.open_store(path, Settings(), StillClock(), inline=True))
        world = World(runner, store, StillClock())
        world.sent(world.app())
        runner.run(store.close())
    return path


def test_people_are_told_what_is_there_and_what_to_do(file: Path, url: str) -> None:
    said = CliRunner().invoke(command, [str(file), "--to", url])
    assert said.exit_code == 0, said.output
    assert "application              1" in said.stdout
    assert "never again on the file" in said.stdout
    assert "comparing message     [########################] 100%  2/2" in said.stderr
    assert "nothing was done" in CliRunner().invoke(command, [str(file), "--to", url]).stdout


def test_programs_are_told_in_json_lines(file: Path, url: str) -> None:
    said = CliRunner().invoke(command, [str(file), "--to", url, "--json"])
    steps = [json.loads(line) for line in said.stderr.splitlines()]
    assert {step["phase"] for step in steps} == {"copy", "verify"}
    [done] = [json.loads(line) for line in said.stdout.splitlines()]
    assert {one["table"]: one["rows"] for one in done["tables"]}["message"] == 1
    assert (done["event"], done["was_done"], done["replaced"]) == ("done", False, 0)


def test_where_from_and_where_to_must_be_said(file: Path) -> None:
    assert CliRunner().invoke(command, []).exit_code == Exit.USAGE
    both = [str(file), "--from-svix", "postgresql://x"]
    assert CliRunner().invoke(command, both).exit_code == Exit.USAGE
    refused = CliRunner().invoke(command, [str(file)]).exception
    assert isinstance(refused, ConfigError)
    assert "--to postgresql://" in str(refused)


def test_a_bar_moves_and_says_how_long_it_takes() -> None:
    line = line_of(Step("copy", "message", 250, 1_000), done=200, took_s=2.0)
    assert line == f"copying   message     [{'#' * 6}{'.' * 18}]  25%  250/1,000  100/s  0:08 left"
    empty = line_of(Step("copy", "task", 0, 0, is_last=True), done=0, took_s=0.0)
    assert empty == f"copying   task        [{'#' * BAR_CHARS}] 100%  0/0  0/s"


def test_a_terminal_is_drawn_on_and_then_left(capsys: pytest.CaptureFixture[str]) -> None:
    clock = StillClock()
    progress = Progress(clock, is_terminal=True, as_json=False)
    for done in range(4):
        clock.at_ms += 60
        progress.step(Step("copy", "message", done, 4))
    progress.end()
    drawn = capsys.readouterr().err
    assert drawn.count("copying") == 1  # the others came too soon after one another
    assert drawn.endswith(" \r")
