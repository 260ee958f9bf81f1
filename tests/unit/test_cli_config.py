"""`ringback config`, and the options by which every command is told its settings."""

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from ringback.cli.config import command, page
from ringback.cli.options import Chosen
from ringback.config import Settings
from ringback.errors import ConfigError


def show(*arguments: str, environment: dict[str, str] | None = None) -> Result:
    return CliRunner().invoke(command, arguments, env=environment, catch_exceptions=False)


def shown(*arguments: str, environment: dict[str, str] | None = None) -> dict[str, dict[str, Any]]:
    result = show("--json", *arguments, environment=environment)
    assert result.exit_code == 0, result.output
    return {row["name"]: row for row in json.loads(result.stdout)}


def test_every_setting_is_shown_with_value_and_source() -> None:
    rows = shown()
    assert list(rows) == list(Settings.__struct_fields__)
    assert rows["queue_max"] == {
        "name": "queue_max",
        "value": 10_000,
        "source": "default",
        "variable": "RINGBACK_QUEUE_MAX",
        "about": "Deliveries that wait in memory, all endpoints.",
    }


def test_each_source_is_named(tmp_path: Path) -> None:
    file = tmp_path / "ringback.toml"
    file.write_text("queue_max = 7\nlanes_max = 8\n")
    rows = shown(
        "--config",
        str(file),
        "--database",
        "sqlite:///other.db",
        "--set",
        "lanes-max=9",
        "--set",
        "retry_schedule=1,2.5",
        environment={"RINGBACK_LOG_LEVEL": "debug"},
    )
    told = {name: (row["value"], row["source"]) for name, row in rows.items()}
    assert told["queue_max"] == (7, str(file))
    assert told["lanes_max"] == (9, "flag")
    assert told["database"] == ("sqlite:///other.db", "flag")
    assert told["retry_schedule"] == ([1, 2.5], "flag")
    assert told["log_level"] == ("debug", "RINGBACK_LOG_LEVEL")


def test_secrets_and_passwords_are_not_shown() -> None:
    hidden = "correct-horse-battery-staple-correct"
    result = show(
        environment={
            "RINGBACK_JWT_SECRET": hidden,
            "RINGBACK_MAIN_SECRET": hidden,
            "RINGBACK_DATABASE": f"postgresql://me:{hidden}@db/ringback",
            "RINGBACK_PROXY": f"http://me:{hidden}/@{hidden}@proxy:3128",
        }
    )
    assert hidden not in result.output
    assert "proxy = http://me:***@proxy:3128 " in result.output
    assert "postgresql://me:***@db/ringback" in result.output
    assert "jwt_secret = (set, not shown)" in result.output


def test_programs_get_values_and_no_secret() -> None:
    hidden = "correct-horse-battery-staple-correct"
    rows = shown(
        environment={
            "RINGBACK_JWT_SECRET": hidden,
            "RINGBACK_DATABASE": f"postgresql://me:{hidden}@db/ringback",
        }
    )
    told = {name: row["value"] for name, row in rows.items()}
    assert told["jwt_secret"] == "(set, not shown)"
    assert told["main_secret"] is None
    assert told["database"] == "postgresql://me:***@db/ringback"
    assert told["postgres_pgbouncer"] is False
    assert told["drain_timeout_s"] == 20
    assert told["egress_allow"] == []


def test_the_page_lists_defaults_only() -> None:
    result = show("--markdown", environment={"RINGBACK_QUEUE_MAX": "3"})
    assert result.stdout == page()
    assert "| `queue_max` | `10000` |" in result.stdout


def test_an_assignment_without_a_value_is_a_usage_error() -> None:
    result = show("--set", "queue_max")
    assert result.exit_code == 2
    assert "NAME=VALUE" in result.output


def test_a_refused_value_is_a_config_error() -> None:
    with pytest.raises(ConfigError, match="queue_max"):
        show("--set", "queue_max=0")


def test_other_defaults_give_way_to_every_source(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RINGBACK_LOG_LEVEL", "debug")
    chosen = Chosen(flags={"listen": "127.0.0.1:1"}, file=None)
    settings = chosen.load_over({"log_level": "warning", "listen": "::1:2", "log_format": "text"})
    assert (settings.log_level, settings.listen) == ("debug", "127.0.0.1:1")
    assert settings.log_format == "text"


def test_what_the_page_says_of_lists_is_true(tmp_path: Path) -> None:
    file = tmp_path / "ringback.toml"
    file.write_text("retry_schedule = [5, 60, 3600]\n")
    assert tomllib.loads(file.read_text())
    settings = Chosen(flags={}, file=file).load()
    assert settings.retry_schedule == (5.0, 60.0, 3600.0)
