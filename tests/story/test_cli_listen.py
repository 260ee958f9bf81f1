"""`ringback listen` and `ringback torture` as programs: what they print, keep and end with."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from click.testing import CliRunner
from msgspec import structs

from ringback.cli.exits import Exit, Failure, code_of
from ringback.cli.listen import command as listen
from ringback.cli.torture import command as torture
from ringback.errors import RingbackError
from ringback.testing.requests import SignedRequest, Webhooks

WAIT_S = 60
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
STANDARD = ("--provider", "standard", "--secret", SECRET)


@contextmanager
def listening(directory: Path, *arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The process and its URL."""
    process = subprocess.Popen(
        [sys.executable, "-m", "ringback.cli", "listen", "0", *arguments],
        cwd=directory,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stderr is not None
        greeting = process.stderr.readline()
        assert greeting.startswith("Listening: http://127.0.0.1:"), greeting
        yield process, greeting.split()[1]
    finally:
        process.kill()
        process.communicate()


def posted(url: str, request: SignedRequest, **changes: str) -> int:
    connection = HTTPConnection(urlsplit(url).netloc, timeout=WAIT_S)
    try:
        connection.request("POST", "/in?a=1", request.body, {**request.headers, **changes})
        return connection.getresponse().status
    finally:
        connection.close()


@pytest.fixture
def event() -> SignedRequest:
    return Webhooks().standard("order.paid", {"amount": 1999}, secret=SECRET)


def test_what_arrives_is_verified_shown_kept_and_counted(
    tmp_path: Path, event: SignedRequest
) -> None:
    options = (*STANDARD, "--json", "--count", "3", "--keep", "kept/")
    with listening(tmp_path, *options) as (process, url):
        assert posted(url, event) == 200
        assert posted(url, event) == 200
        assert posted(url, event, **{"webhook-id": "evt_other"}) == 401
        stdout, stderr = process.communicate(timeout=WAIT_S)

    lines = [json.loads(line) for line in stdout.splitlines()]
    assert [line["verified"] for line in lines] == [True, True, False]
    assert [line["repeated"] for line in lines] == [False, True, False]
    assert lines[0]["id"] == event.id
    assert lines[0]["target"] == "/in?a=1"
    assert lines[2]["complaint"].startswith("Mismatch: ")
    assert process.returncode == Exit.FAILED
    assert "3 arrived, 2 verified, 1 not trusted, 1 repeated" in stderr
    kept = tmp_path / "kept"
    assert (kept / "000001.http").read_bytes().endswith(b"\r\n\r\n" + event.body)
    assert json.loads((kept / "000003.json").read_text()) == lines[2]
    assert os.stat(kept / "000001.http").st_mode & 0o077 == 0


def test_a_file_grows_by_a_line_and_an_interrupt_ends_it_well(
    tmp_path: Path, event: SignedRequest
) -> None:
    for count in (1, 2):
        with listening(tmp_path, "--keep", "kept.jsonl") as (process, url):
            assert posted(url, event) == 200
            process.send_signal(signal.SIGINT)
            _, stderr = process.communicate(timeout=WAIT_S)
        assert process.returncode == Exit.OK, stderr
        assert (tmp_path / "kept.jsonl").read_text().count("\n") == count


def test_it_misbehaves_as_told(tmp_path: Path, event: SignedRequest) -> None:
    with listening(tmp_path, *STANDARD, "--answer", "503", "--json", "--count", "1") as (
        process,
        url,
    ):
        assert posted(url, event) == 503
        stdout, _ = process.communicate(timeout=WAIT_S)
    line = json.loads(stdout)
    assert (line["verified"], line["status"], line["misbehaviour"]) == (True, None, "status/503")
    with listening(tmp_path, "--misbehave", "hang-up") as (_, url), pytest.raises(HTTPException):
        posted(url, event)


def test_flaky_misbehaves_for_its_share(tmp_path: Path, event: SignedRequest) -> None:
    for share, status in (("0", 200), ("1", 500)):
        with listening(tmp_path, "--flaky", share) as (_, url):
            assert posted(url, event) == status


@pytest.mark.parametrize(
    ("provider", "headers", "body"),
    [
        ("asana", {"X-Hook-Secret": "b537207f"}, b""),
        ("notion", {}, b'{"verification_token":"b537207f"}'),
    ],
)
def test_a_secret_that_comes_with_the_handshake_is_shown(
    provider: str, headers: dict[str, str], body: bytes, tmp_path: Path
) -> None:
    made = Webhooks()(provider, body=body)
    with listening(tmp_path, "--provider", provider, "--count", "1") as (process, url):
        assert posted(url, structs.replace(made, headers=headers)) == 200
        stdout, _ = process.communicate(timeout=WAIT_S)
    assert "handshake" in stdout
    assert "secret: b537207f" in stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--provider", "strip", "--secret", "x"], "no provider 'strip'"),
        (["--provider", "stripe"], "together"),
        (["--secret", "x"], "together"),
        (["--provider", "stripe", "--secret", "@nowhere"], "cannot read nowhere"),
        (["--provider", "twilio", "--secret", "x"], "--url"),
        (["--provider", "stripe", "--secret", "sk_live_x"], "another credential"),
        (["--hang", "--answer", "500"], "one misbehaviour"),
        (["--misbehave", "nonsense"], "--misbehave list"),
        (["--misbehave", "slow/soon"], "slow/NUMBER"),
        (["--misbehave", "status/99"], "status/NUMBER"),
        (["70000"], "70000"),
    ],
)
def test_wrong_arguments_are_explained(arguments: list[str], words: str) -> None:
    result = CliRunner().invoke(listen, arguments)
    if isinstance(result.exception, RingbackError):  # `group.run` makes it the same
        assert code_of(result.exception) == Exit.USAGE
        assert words in str(result.exception)
    else:
        assert result.exit_code == Exit.USAGE
        assert words in result.output


def test_the_list_of_misbehaviours_can_be_seen() -> None:
    result = CliRunner().invoke(listen, ["--misbehave", "list"])
    assert {"hang", "reset/body", "hang/request", "status"} <= set(result.output.split())


# ---- torture ------------------------------------------------------------------------------------


def test_listen_passes_torture_and_the_report_says_so(tmp_path: Path) -> None:
    with listening(tmp_path, *STANDARD) as (_, url):
        result = CliRunner().invoke(torture, [url, *STANDARD, "--json", "--only", "forged"])
    assert result.exit_code == Exit.OK, result.output
    report = json.loads(result.output)
    assert report["passed"]
    assert report["counts"]["wrong"] == 0
    assert {verdict["group"] for verdict in report["verdicts"]} == {"sound", "forged"}


def test_a_receiver_that_trusts_everybody_does_not_pass(tmp_path: Path) -> None:
    with listening(tmp_path) as (_, url):
        result = CliRunner().invoke(torture, [url, *STANDARD, "--only", "wrong-secret"])
    assert isinstance(result.exception, Failure)
    assert result.exception.code == Exit.FAILED
    assert "wrong    wrong-secret" in result.output
    assert "why: " in result.output
    assert "do:  " in result.output


def test_what_cannot_be_tried_is_a_usage_error() -> None:
    for arguments, words in (
        (["http://192.0.2.1/", *STANDARD], "yes-this-is-mine"),
        (["http://127.0.0.1:1/", "--provider", "plaid", "--secret", "sandbox"], "only it has"),
    ):
        result = CliRunner().invoke(torture, arguments)
        assert isinstance(result.exception, Failure)
        assert result.exception.code == Exit.USAGE
        assert words in str(result.exception)
    assert CliRunner().invoke(torture, ["http://127.0.0.1/"]).exit_code == Exit.USAGE
    deep = ("http://127.0.0.1:1/", *STANDARD, "--payload", "[" * 5_000)
    assert CliRunner().invoke(torture, deep).exit_code == Exit.USAGE
    assert CliRunner().invoke(torture, ["--new-key"]).exit_code == Exit.USAGE


@pytest.mark.parametrize(("provider", "options"), [("stripe", 1), ("discord", 2)])
def test_keys_can_be_made(provider: str, options: int) -> None:
    result = CliRunner().invoke(torture, ["--new-key", "--provider", provider])
    assert result.output.count("--") == options
    result = CliRunner().invoke(torture, ["--new-key", "--provider", provider, "--json"])
    assert len(set(json.loads(result.output).values())) == options
