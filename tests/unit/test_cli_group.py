"""The command line as a whole: the list of commands, its speed by what it loads, its exit codes."""

import errno
import subprocess
import sys
from importlib import import_module

import click
import pytest

from ringback import __version__
from ringback.cli.exits import Exit, Failure, code_of
from ringback.cli.group import COMMANDS, ringback, run
from ringback.cli.serve import run as run_server
from ringback.config import Settings
from ringback.errors import (
    CannotListen,
    ConfigError,
    EngineStopped,
    NotFound,
    RingbackError,
    StoreOwned,
)

HEAVY = {"uvicorn", "starlette", "uvloop", "structlog", "jwt", "cryptography", "asyncio", "sqlite3"}


@pytest.mark.parametrize(
    "program",
    [
        "import ringback",
        "import sys; sys.argv[1:] = ['--help']; import ringback.cli; ringback.cli.main()",
    ],
    ids=["import", "help"],
)
def test_what_must_be_quick_loads_no_framework(program: str) -> None:
    report = "lambda: print(*sys.modules, file=sys.stderr)"
    loaded = printed(f"import sys, atexit; atexit.register({report}); {program}").stderr.split()
    assert "ringback" in loaded
    assert HEAVY.isdisjoint(loaded)


def test_import_ringback_loads_nothing_of_ours_or_others() -> None:
    loaded = printed("import sys, ringback; print(*sys.modules)").stdout.split()
    heads = {name.partition(".")[0] for name in loaded if name != "ringback"}
    assert heads.isdisjoint({"ringback", "msgspec", "click", "cryptography"})


@pytest.mark.parametrize("name", list(COMMANDS))
def test_every_listed_command_loads_and_explains_itself(name: str) -> None:
    command: click.Command = import_module(f"ringback.cli.{name}").command
    assert command.help
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.help, parameter.name


@pytest.mark.parametrize("name", list(COMMANDS))
def test_every_command_prints_json_for_a_program(name: str) -> None:
    command: click.Command = import_module(f"ringback.cli.{name}").command
    assert any("--json" in parameter.opts for parameter in command.params)


def test_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert ended(["--help"]) == Exit.OK
    printed = capsys.readouterr().out
    assert all(f"  {name} " in printed for name in COMMANDS)
    assert max(map(len, printed.splitlines())) <= 80


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert ended(["--version"]) == Exit.OK
    assert capsys.readouterr().out == f"ringback {__version__}\n"


def test_without_arguments_the_help_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert ended([]) == Exit.USAGE
    assert "Commands:" in "".join(capsys.readouterr())


@pytest.mark.parametrize("arguments", [["nope"], ["config", "--nope"], ["send"]])
def test_a_wrong_command_line_is_a_usage_error(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert ended(arguments) == Exit.USAGE
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("raised", "code", "line"),
    [
        (ConfigError("listen: no"), Exit.USAGE, "ringback: listen: no\n"),
        (StoreOwned("in use"), Exit.STORE, "ringback: in use\n"),
        (NotFound(), Exit.REJECTED, "ringback: Entity not found\n"),
        (Failure(Exit.NETWORK, "no answer"), Exit.NETWORK, "ringback: no answer\n"),
        (click.FileError("a.json", "gone"), 1, "ringback: Could not open file 'a.json': gone\n"),
        (
            OSError(errno.ENAMETOOLONG, "File name too long", "x" * 300),
            Exit.USAGE,
            "ringback: a path is longer than this system allows; choose a shorter one\n",
        ),
        (KeyboardInterrupt(), Exit.INTERRUPTED, "ringback: interrupted\n"),
    ],
)
def test_what_fails_on_purpose_is_one_line_and_a_code(
    raised: BaseException,
    code: int,
    line: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise raised

    monkeypatch.setattr(ringback, "main", fail)
    assert ended([]) == code
    assert capsys.readouterr() == ("", line)


def test_what_only_a_server_fails_at_has_codes_too(monkeypatch: pytest.MonkeyPatch) -> None:
    raised: list[Exception] = [CannotListen("taken"), EngineStopped("dead")]

    def fail(*_: object, **__: object) -> None:
        raise raised.pop()

    monkeypatch.setattr("ringback.serve.serve", fail)
    for code in (Exit.FAILED, Exit.NETWORK):
        with pytest.raises(Failure) as caught:
            run_server(Settings())
        assert caught.value.code is code


def test_the_json_of_serve_is_its_log(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[Settings] = []
    monkeypatch.setattr("ringback.serve.serve", lambda settings, **_: started.append(settings))
    ended(["serve", "--json"])
    ended(["serve", "--set", "log_format=text"])
    assert [settings.log_format for settings in started] == ["json", "text"]


def test_no_error_of_ours_is_without_a_code() -> None:
    assert code_of(ConfigError("x")) is Exit.USAGE
    assert code_of(RingbackError("x")) is Exit.USAGE


def test_without_click_the_line_says_what_to_install() -> None:
    program = "import sys; sys.modules['click'] = None; import ringback.cli; ringback.cli.main()"
    result = printed(program)
    assert (result.returncode, result.stdout) == (2, "")
    assert 'pip install "ringback[serve]"' in result.stderr


def ended(arguments: list[str]) -> int:
    with pytest.raises(SystemExit) as caught:
        run(arguments)
    return 0 if caught.value.code is None else int(caught.value.code)


def printed(program: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60
    )
