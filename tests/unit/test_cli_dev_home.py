"""The key that `ringback dev` keeps in a directory."""

import stat
from pathlib import Path

import pytest

from ringback.cli.dev_home import FILE, keep_secret, read_secret, with_secret
from ringback.clock import Clock
from ringback.config import Settings
from ringback.errors import ConfigError


def test_the_key_is_made_once_and_readable_by_its_owner_only(tmp_path: Path) -> None:
    secret = keep_secret(tmp_path, Clock())
    assert len(secret) >= 32
    assert stat.S_IMODE((tmp_path / FILE).stat().st_mode) == 0o600
    assert keep_secret(tmp_path, Clock()) == secret == read_secret(tmp_path)


def test_a_directory_without_the_file_has_no_key(tmp_path: Path) -> None:
    assert read_secret(tmp_path) is None


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "{}", '{"jwt_secret": 5}', '{"jwt_secret": ""}']
)
def test_a_file_that_makes_no_sense_is_refused_and_kept(tmp_path: Path, content: str) -> None:
    (tmp_path / FILE).write_text(content)
    with pytest.raises(ConfigError, match="delete it"):
        keep_secret(tmp_path, Clock())
    assert (tmp_path / FILE).read_text() == content


def test_a_directory_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot write"):
        keep_secret(tmp_path / "missing", Clock())


def test_the_setting_wins_over_the_kept_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    kept = keep_secret(tmp_path, Clock())
    assert with_secret(Settings()).jwt_secret == kept
    assert with_secret(Settings(jwt_secret="mine")).jwt_secret == "mine"


def test_with_neither_the_line_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match="RINGBACK_JWT_SECRET"):
        with_secret(Settings())
