"""`ringback token`: what it prints is a token that the API takes, and nothing else."""

import json
import os
import subprocess
import sys
from pathlib import Path

import jwt
import pytest
from click.testing import CliRunner, Result

from ringback.cli.dev_home import DEFAULT_ORG, keep_secret
from ringback.cli.token import command
from ringback.clock import Clock, decode_ksuid
from ringback.errors import ConfigError

KEY = "a key for tests that is long enough for HS256"


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RINGBACK_JWT_SECRET", raising=False)


def token(*arguments: str, key: str | None = KEY) -> Result:
    environment = {} if key is None else {"RINGBACK_JWT_SECRET": key}
    return CliRunner().invoke(command, arguments, env=environment, catch_exceptions=False)


def claims(result: Result, key: str = KEY) -> dict[str, object]:
    assert result.exit_code == 0, result.output
    assert result.output.count("\n") == 1
    found: dict[str, object] = jwt.decode(result.stdout.strip(), key, algorithms=["HS256"])
    return found


def lifetime_s(found: dict[str, object]) -> object:
    return int(str(found["exp"])) - int(str(found["iat"]))


def test_without_argument_it_is_for_the_default_organization() -> None:
    found = claims(token())
    assert found["sub"] == DEFAULT_ORG
    assert "org" not in found
    assert lifetime_s(found) == 10 * 365 * 86_400


def test_programs_are_told_whose_it_is_and_until_when() -> None:
    found = json.loads(token("--json", "--app", "app_1srOrx2ZWZBpBUvZwXKQmoEYga2").stdout)
    said = jwt.decode(found.pop("token"), KEY, algorithms=["HS256"])
    assert found == {
        "org_id": DEFAULT_ORG,
        "app_id": "app_1srOrx2ZWZBpBUvZwXKQmoEYga2",
        "expires_at_ms": said["exp"] * 1_000,
    }


def test_the_default_organization_has_a_well_formed_id() -> None:
    assert len(decode_ksuid(DEFAULT_ORG)) == 20


def test_another_organization_and_another_lifetime() -> None:
    found = claims(token("org_23rb8YdGqMT0qIzpgGwdXfHirMu", "--ttl", "12h"))
    assert found["sub"] == "org_23rb8YdGqMT0qIzpgGwdXfHirMu"
    assert lifetime_s(found) == 43_200


def test_an_application_token_lasts_a_week() -> None:
    found = claims(token("--app", "app_1srOrx2ZWZBpBUvZwXKQmoEYga2"))
    assert found["sub"] == "app_1srOrx2ZWZBpBUvZwXKQmoEYga2"
    assert found["org"] == DEFAULT_ORG
    assert lifetime_s(found) == 7 * 86_400


def test_beside_ringback_dev_no_setup_is_needed(tmp_path: Path) -> None:
    kept = keep_secret(tmp_path, Clock())
    assert claims(token(key=None), kept)["sub"] == DEFAULT_ORG


def test_without_a_key_nothing_is_printed_but_what_to_do() -> None:
    with pytest.raises(ConfigError, match="RINGBACK_JWT_SECRET"):
        token(key=None)


@pytest.mark.parametrize("ttl", ["0", "soon", "-5", "1w", "5 d", "99999999999d", "١d"])
def test_a_lifetime_that_is_none_is_refused(ttl: str) -> None:
    result = token("--ttl", ttl)
    assert result.exit_code == 2
    assert result.stdout == ""


@pytest.mark.filterwarnings("ignore:The HMAC key")
def test_a_key_that_can_be_guessed_is_told_in_our_words() -> None:
    result = token(key="short")
    assert result.exit_code == 0
    assert result.stdout.count(".") == 2
    assert result.stderr.startswith("ringback: warning: jwt_secret has 5 bytes")
    assert "openssl rand" in result.stderr


def test_the_library_says_nothing_of_its_own(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "ringback.cli", "token"],
        cwd=tmp_path,
        env={**os.environ, "RINGBACK_JWT_SECRET": "short"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert len(ended.stderr.splitlines()) == 1


def test_the_uid_of_an_application_is_not_its_id() -> None:
    result = token("--app", "my-shop")
    assert result.exit_code == 2
    assert "not its uid" in result.output


def test_what_is_no_organization_is_refused() -> None:
    with pytest.raises(ConfigError, match="organization"):
        token("acme")
