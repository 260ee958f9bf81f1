"""Which file a `database` URL means."""

from pathlib import Path

import pytest

from ringback.config import Settings
from ringback.database import sqlite_path
from ringback.errors import ConfigError


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("sqlite:///ringback.db", "ringback.db"),
        ("sqlite:///some/where.db", "some/where.db"),
        ("sqlite:////var/lib/ringback.db", "/var/lib/ringback.db"),
        ("sqlite:///50% off?.db", "50% off?.db"),
    ],
)
def test_three_slashes_are_relative_and_four_absolute(url: str, path: str) -> None:
    assert sqlite_path(Settings(database=url)) == Path(path)


@pytest.mark.parametrize(
    ("url", "advice"),
    [
        ("postgresql://db/ringback", "pg_dump"),
        ("postgres://db/ringback", "pg_dump"),
        ("postgres:/db/ringback", "postgresql://USER"),
        ("postgresql:db", "postgresql://USER"),
        ("ringback.db", "sqlite:///ringback.db"),
        ("sqlite://ringback.db", "sqlite:///ringback.db"),
        ("mysql://db/ringback", "sqlite:///ringback.db"),
        ("", "sqlite:///ringback.db"),
        ("sqlite:///", "names no file"),
        ("sqlite:///:memory:", "must survive a restart"),
        ("sqlite:///a\0b", "names no file"),
    ],
)
def test_what_means_no_file_is_one_line_that_says_what_to_write(url: str, advice: str) -> None:
    with pytest.raises(ConfigError) as caught:
        sqlite_path(Settings(database=url))
    assert advice in str(caught.value)
    assert "\n" not in str(caught.value)
