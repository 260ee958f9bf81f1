"""`ringback` as real processes: starting, refusing to start, draining, and a first try of `dev`."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from types import TracebackType
from typing import IO, Self

import pytest

from ringback.cli.exits import Exit
from ringback.testing.process import token, unused_port

ROOT = Path(__file__).parent.parent.parent
KEY = "a key for tests, long enough for HS256 to be happy"
SERVE = ("serve", "--listen", "127.0.0.1:0", "--set", f"jwt_secret={KEY}")
WAIT_S = 60


class Program:
    """One `ringback` process in a directory of its own. Leaving the context ends it."""

    def __init__(self, directory: Path, *arguments: str, **environment: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "ringback.cli", *arguments],
            cwd=directory,
            env=clean_environment() | environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        self.stdout: IO[str] = self._process.stdout
        self.stderr: IO[str] = self._process.stderr

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.communicate()

    def signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def logged(self, event: str) -> dict[str, object]:
        """Wait for a log line. Everything before it is passed over."""
        for line in self.stderr:
            if line.startswith("{") and (found := json.loads(line))["event"] == event:
                return dict(found)
        raise AssertionError(f"it ended without {event!r}")

    def printed(self, words: str) -> str:
        """Wait for a line on stdout that has these words."""
        for line in self.stdout:
            if words in line:
                return line
        raise AssertionError(f"it ended without {words!r}: {self.stderr.read()}")

    def ended(self) -> tuple[int, str, str]:
        """Wait for the end: exit code, and stdout and stderr as far as they were not read."""
        stdout, stderr = self._process.communicate(timeout=WAIT_S)
        return self._process.returncode, stdout, stderr


def clean_environment() -> dict[str, str]:
    ours = {name: value for name, value in os.environ.items() if not name.startswith("RINGBACK_")}
    return ours | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}


def status_of(url: str, path: str) -> int:
    connection = HTTPConnection(url.removeprefix("http://"), timeout=WAIT_S)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    finally:
        connection.close()


# ---- serve --------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_serve_is_ready_answers_and_stops_with_zero(tmp_path: Path, number: signal.Signals) -> None:
    with Program(tmp_path, *SERVE) as program:
        url = str(program.logged("ready")["url"])
        assert status_of(url, "/api/v1/health/ping") == 204
        assert status_of(url, "/api/v1/health") == 200
        program.signal(number)
        program.logged("stopping")
        program.logged("stopped")
        code, stdout, _ = program.ended()
    assert (code, stdout) == (Exit.OK, "")
    assert (tmp_path / "ringback.db").exists()


def test_serve_starts_again_after_a_kill(tmp_path: Path) -> None:
    for _ in range(2):
        with Program(tmp_path, *SERVE) as program:
            program.logged("ready")
            program.signal(signal.SIGKILL)
            assert program.ended()[0] == -signal.SIGKILL


@contextmanager
def unfinished_request(url: str) -> Iterator[None]:
    """A request whose body never comes: it is in progress for as long as the server lets it."""
    head = (
        "POST /api/v1/app/x/msg HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n"
        f"Authorization: Bearer {token(secret=KEY)}\r\nExpect: 100-continue\r\n\r\n"
    )
    host, _, port = url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=WAIT_S) as connection:
        connection.sendall(head.encode())
        # The answer to Expect comes when the server has begun to read the body.
        assert connection.recv(64).startswith(b"HTTP/1.1 100")
        yield


def test_a_second_signal_ends_it_at_once(tmp_path: Path) -> None:
    with (
        Program(tmp_path, *SERVE, "--set", "drain_timeout_s=600") as program,
        unfinished_request(str(program.logged("ready")["url"])),
    ):
        program.signal(signal.SIGTERM)
        program.logged("stopping")
        program.signal(signal.SIGTERM)
        assert program.ended()[0] == Exit.INTERRUPTED


def test_a_drain_ends_in_time_whatever_callers_do(tmp_path: Path) -> None:
    with (
        Program(tmp_path, *SERVE, "--set", "drain_timeout_s=0.1") as program,
        unfinished_request(str(program.logged("ready")["url"])),
    ):
        program.signal(signal.SIGTERM)
        assert program.logged("requests_cut_off")["count"] == 1
        assert program.ended()[0] == Exit.OK


def refused(directory: Path, *arguments: str, **environment: str) -> tuple[int, str]:
    """A program that must end by itself: its exit code and its one line."""
    with Program(directory, *arguments, **environment) as program:
        code, stdout, stderr = program.ended()
    assert stdout == ""
    assert stderr.startswith("ringback: ")
    assert stderr.count("\n") == 1
    return code, stderr


def test_a_port_that_is_taken(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, line = refused(tmp_path, *SERVE, "--listen", f"127.0.0.1:{port}")
    assert code == Exit.NETWORK
    assert "already in use" in line
    assert not (tmp_path / "ringback.db").exists()


def test_a_database_that_another_process_owns(tmp_path: Path) -> None:
    with Program(tmp_path, *SERVE) as owner:
        owner.logged("ready")
        for command in (SERVE, ("migrate", "up")):
            code, line = refused(tmp_path, *command)
            assert code == Exit.STORE
            assert "owned by process" in line


def test_a_database_that_is_damaged(tmp_path: Path) -> None:
    (tmp_path / "ringback.db").write_bytes(b"this was a database once" * 1_000)
    code, line = refused(tmp_path, *SERVE)
    assert code == Exit.STORE
    assert "backup" in line


def test_a_directory_that_is_missing(tmp_path: Path) -> None:
    code, line = refused(tmp_path, *SERVE, "--database", "sqlite:///nowhere/ringback.db")
    assert code == Exit.USAGE
    assert "create it" in line


def test_a_configuration_that_makes_no_sense(tmp_path: Path) -> None:
    (tmp_path / "ringback.toml").write_text("listen = [")
    code, line = refused(tmp_path, *SERVE, "--config", "ringback.toml")
    assert code == Exit.USAGE
    assert "ringback.toml" in line


def test_a_secret_that_is_missing(tmp_path: Path) -> None:
    code, line = refused(tmp_path, "serve", "--listen", "127.0.0.1:0")
    assert code == Exit.USAGE
    assert "ringback dev" in line
    assert "openssl rand" in line


def test_a_misspelt_variable_is_told_when_it_starts(tmp_path: Path) -> None:
    with Program(tmp_path, *SERVE, RINGBACK_MAIN_SECERT="x" * 32) as program:
        told = program.logged("unknown_setting")
        program.logged("ready")
    assert told["variable"] == "RINGBACK_MAIN_SECERT"
    assert "RINGBACK_MAIN_SECRET " in str(told["why"])


def test_a_backup_is_taken_while_the_service_runs(tmp_path: Path) -> None:
    with Program(tmp_path, *SERVE) as owner:
        owner.logged("ready")
        with Program(tmp_path, "backup", "copy.db") as backup:
            assert backup.ended()[0] == Exit.OK
        assert refused(tmp_path, "backup", "copy.db")[0] == Exit.USAGE
        with Program(tmp_path, "backup", "other.db", "--json") as backup:
            said = json.loads(backup.ended()[1])
        assert said == {"path": "other.db", "bytes": (tmp_path / "other.db").stat().st_size}
        with Program(tmp_path, "migrate", "--database", "sqlite:///copy.db") as status:
            code, stdout, _ = status.ended()
    assert code == Exit.OK
    assert "pending" not in stdout


# ---- dev ----------------------------------------------------------------------------------------


class Dev(Program):
    """`ringback dev`, until its welcome has been printed."""

    def __init__(self, directory: Path, port: int, **environment: str) -> None:
        super().__init__(directory, "dev", "--listen", f"127.0.0.1:{port}", **environment)
        self.url = f"http://127.0.0.1:{port}"
        self.receiver = self.printed("Receiver").split()[1]
        self.welcome = ""
        for line in self.stdout:
            self.welcome += line
            if line.startswith("What arrives"):
                break


@pytest.fixture
def dev(tmp_path: Path) -> Iterator[Dev]:
    with Dev(tmp_path, unused_port()) as program:
        yield program


def run(directory: Path, *command: str, **environment: str) -> str:
    ended = subprocess.run(
        command,
        cwd=directory,
        env=clean_environment() | environment,
        capture_output=True,
        text=True,
        timeout=WAIT_S,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def ringback(directory: Path, *arguments: str) -> str:
    return run(directory, sys.executable, "-m", "ringback.cli", *arguments)


def test_what_is_sent_arrives_verified(dev: Dev, tmp_path: Path) -> None:
    payload = '{"invoice": "in_42"}'
    sent = ringback(tmp_path, "send", "dev", "invoice.paid", payload, "--url", dev.url).strip()
    line = dev.printed(sent)
    assert "verified" in line
    assert payload in line
    dev.signal(signal.SIGTERM)
    assert dev.ended()[0] == Exit.OK


def test_a_program_is_told_when_dev_is_ready_and_what_arrives(tmp_path: Path) -> None:
    with Program(tmp_path, "dev", "--json", "--listen", "127.0.0.1:0") as dev:
        ready = json.loads(dev.stdout.readline())
        assert ready["event"] == "ready"
        where = ("--url", ready["url"], "--token", ready["token"])
        sent = ringback(tmp_path, "send", ready["app"], "a.b", '{"n": 1}', *where)
        arrived = json.loads(dev.stdout.readline())
    assert (arrived["event"], arrived["id"]) == ("arrived", sent.strip())
    assert arrived["is_verified"]
    assert arrived["body"] == '{"n": 1}'


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
def test_the_printed_curl_works_as_it_is(dev: Dev, tmp_path: Path) -> None:
    command = re.search(r"curl -s .*?'\{.*?\}'\n", dev.welcome, re.DOTALL)
    assert command is not None
    answer = json.loads(run(tmp_path, "sh", "-c", command.group()))
    assert "verified" in dev.printed(answer["id"])


@pytest.mark.parametrize("path", [str(Path(sys.executable).parent), ""])
def test_the_printed_command_works_as_it_is(path: str, tmp_path: Path) -> None:
    """Also where the environment of the program is on no path, as in a clone."""
    path = os.pathsep.join(filter(None, [path, "/usr/bin", "/bin"]))
    with Dev(tmp_path, unused_port(), PATH=path) as dev:
        command = dev.welcome.partition("in this directory:  ")[2].partition("\n")[0]
        sent = run(tmp_path, "/bin/sh", "-c", command, PATH=path)
        assert "verified" in dev.printed(sent.strip())


def test_the_next_run_goes_on_where_the_last_one_ended(tmp_path: Path) -> None:
    port = unused_port()
    with Dev(tmp_path, port) as first:
        bearer = ringback(tmp_path, "token").strip()
        receiver = first.receiver
    with Dev(tmp_path, port) as second:
        assert second.receiver == receiver
        where = ("--url", second.url, "--token", bearer)
        sent = ringback(tmp_path, "send", "dev", "a.b", *where)
        assert "verified" in second.printed(sent.strip())


def test_the_receiver_makes_do_with_another_port(tmp_path: Path) -> None:
    port = unused_port()
    with Dev(tmp_path, port):
        pass
    with socket.create_server(("127.0.0.1", port + 1)), Dev(tmp_path, port) as dev:
        assert dev.receiver != f"http://127.0.0.1:{port + 1}/"
        sent = ringback(tmp_path, "send", "dev", "a.b", "--url", dev.url)
        assert "verified" in dev.printed(sent.strip())


def test_doctor_finds_nothing_wrong_beside_it(dev: Dev, tmp_path: Path) -> None:
    found = json.loads(
        ringback(
            tmp_path,
            "doctor",
            "--json",
            "--server",
            dev.url,
            "--url",
            dev.receiver,
            "--set",
            "egress_allow=127.0.0.1/32",
        )
    )
    levels = {finding["subject"]: finding["level"] for finding in found}
    assert {"jwt_secret", "database", "disk", "clock", "server", "endpoint"} <= levels.keys()
    assert "fail" not in levels.values()


# ---- README -------------------------------------------------------------------------------------


def examples(language: str) -> list[str]:
    """The code blocks of the README that say of themselves that they run."""
    text = (ROOT / "README.md").read_text()
    return re.findall(rf"<!-- runs -->\n```{language}\n(.*?)```", text, re.DOTALL)


def test_the_examples_of_the_readme_run_as_pasted(dev: Dev, tmp_path: Path) -> None:
    if shutil.which("curl") is None:
        pytest.skip("needs curl")
    (shell,), (python,) = examples("shell"), examples("python")
    places = {"http://127.0.0.1:8071": dev.url, "http://127.0.0.1:8072/": dev.receiver}
    for place, actual in places.items():
        assert place in shell + python
        shell, python = shell.replace(place, actual), python.replace(place, actual)
    posted = json.loads(run(tmp_path, "sh", "-ec", shell))
    assert "verified" in dev.printed(posted["id"])
    bearer = ringback(tmp_path, "token").strip()
    sent = run(tmp_path, sys.executable, "-c", python, RINGBACK_URL=dev.url, RINGBACK_TOKEN=bearer)
    assert "verified" in dev.printed(sent.strip())
