"""`ringback send`: the request it makes, and what it says of each answer."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from ringback.cli.call import Answer, Server, call, complaint
from ringback.cli.exits import Exit, Failure
from ringback.cli.send import command

ACCEPTED = (202, b'{"id": "msg_1", "eventType": "a.b", "payload": {}}')


class Stub(ThreadingHTTPServer):
    """Answers everything the same way and keeps what it was asked."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answer = ACCEPTED
        self.asked: list[tuple[str, str, dict[str, str], bytes]] = []
        self.url = f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: Stub

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.asked.append((self.command, self.path, headers, body))
        status, answer = self.server.answer
        self.send_response(status)
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture
def stub() -> Iterator[Stub]:
    server = Stub()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def send(stub: Stub, *arguments: str, stdin: str | bytes | None = None) -> Result:
    environment = {"RINGBACK_URL": stub.url, "RINGBACK_TOKEN": "tok"}
    return CliRunner().invoke(
        command, arguments, env=environment, input=stdin, catch_exceptions=False
    )


def test_the_id_alone_is_printed(stub: Stub) -> None:
    result = send(stub, "dev", "a.b", '{"n": 1}')
    assert (result.exit_code, result.output) == (0, "msg_1\n")


def test_the_message_is_posted_with_the_token(stub: Stub) -> None:
    send(
        stub,
        "my/app",
        "a.b",
        '{"n": 1}',
        "--event-id=e1",
        "--channel=x",
        "--channel=y",
        "--idempotency-key=k",
    )
    ((method, path, headers, body),) = stub.asked
    assert (method, path) == ("POST", "/api/v1/app/my%2Fapp/msg?with_content=false")
    assert headers["authorization"] == "Bearer tok"
    assert headers["idempotency-key"] == "k"
    assert headers["content-type"] == "application/json"
    assert json.loads(body) == {
        "eventType": "a.b",
        "payload": {"n": 1},
        "eventId": "e1",
        "channels": ["x", "y"],
    }


def test_the_payload_goes_out_as_it_was_written(stub: Stub) -> None:
    send(stub, "dev", "a.b", '{"z":1.10,  "a":12345678901234567890123, "z":"é"}')
    assert '{"z":1.10,  "a":12345678901234567890123, "z":"é"}'.encode() in stub.asked[0][3]


def test_the_payload_can_come_from_a_file_or_stdin(stub: Stub, tmp_path: Path) -> None:
    file = tmp_path / "order.json"
    file.write_text('{"from": "file"}')
    send(stub, "dev", "a.b", f"@{file}")
    send(stub, "dev", "a.b", "-", stdin='{"from": "stdin"}')
    send(stub, "dev", "a.b")
    payloads = [json.loads(body)["payload"] for _, _, _, body in stub.asked]
    assert payloads == [{"from": "file"}, {"from": "stdin"}, {}]


def test_json_prints_the_whole_answer(stub: Stub) -> None:
    assert json.loads(send(stub, "dev", "a.b", "{}", "--json").output)["eventType"] == "a.b"


@pytest.mark.parametrize("payload", ["", "{", "3", "[]", "null", "@/nowhere/at/all.json"])
def test_what_is_no_json_object_is_not_sent(stub: Stub, payload: str) -> None:
    assert send(stub, "dev", "a.b", payload).exit_code == 2
    assert stub.asked == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("dev", "a.b", "@latin-1.json"), "not UTF-8"),
        (("dev", "a.b", "@."), "cannot read"),
        (("dev", "a.b", "-"), "not UTF-8"),
        (("dev", "a.b", '{"n": "\udcff"}'), "not UTF-8"),
        (("d\udcffv", "a.b"), "not UTF-8"),
        (("dev", "a.\udcff"), "not UTF-8"),
        (("dev", "a.b", '{"n":' * 5_000 + "1" + "}" * 5_000), "nested too deeply"),
        (("dev", "a.b", "--event-id=\udcff"), "not UTF-8"),
        (("dev", "a.b", "--channel=\udcff"), "not UTF-8"),
        (("dev", "a.b", "--idempotency-key=k\nX-Forged: 1"), "no Idempotency-Key header"),
        (("dev", "a.b", "--idempotency-key=€"), "no Idempotency-Key header"),
        (("dev", "a.b", "--token=€"), "no Authorization header"),
        (("dev", "a.b", "--url=http://127.0.0.1:1/a b"), "is not a URL"),
    ],
)
def test_what_cannot_be_sent_is_a_usage_error(
    stub: Stub,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    words: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("latin-1.json").write_bytes(b'{"n": "\xff"}')
    result = send(stub, *arguments, stdin=b'{"n": "\xff"}')
    assert result.exit_code == Exit.USAGE
    assert words in result.output
    assert stub.asked == []


@pytest.mark.parametrize(
    ("status", "answer", "line"),
    [
        (401, b'{"code":"authentication_failed","detail":"Invalid token"}', "401: Invalid token"),
        (404, b'{"code":"not_found","detail":"Entity not found"}', "404: Entity not found"),
        (
            422,
            b'{"detail":[{"loc":["body","eventType"],"msg":"too long","type":"value_error"}]}',
            "422: body.eventType: too long",
        ),
        (500, b"{}", "500: {}"),
        (503, b"", "503: it did not say why"),
        (502, b"<html>", '502: "<html>"'),
    ],
)
def test_a_refusal_is_one_line(stub: Stub, status: int, answer: bytes, line: str) -> None:
    stub.answer = (status, answer)
    with pytest.raises(Failure, match="the server answered") as caught:
        send(stub, "dev", "a.b", "{}")
    assert caught.value.code is Exit.REJECTED
    assert str(caught.value) == f"the server answered {line}"


def test_no_answer_is_one_line_that_names_the_url() -> None:
    closed = Stub()
    closed.server_close()
    with pytest.raises(Failure, match=f"no answer from {closed.url}") as caught:
        call(Server(closed.url), "GET", "/health/ping")
    assert caught.value.code is Exit.NETWORK


@pytest.mark.parametrize(
    "url",
    [
        "",
        "127.0.0.1:8071",
        "ftp://x",
        "http://",
        "http://[::1",
        "http://a:b",
        "http://a b:1",
        "http://a/ b",
        "http://a/é",
        "http://a..b",
        f"http://{'a' * 64}",
        "http://\udcff",
    ],
)
def test_what_is_no_url_is_a_usage_error(url: str) -> None:
    with pytest.raises(click.UsageError, match="is not a URL like"):
        call(Server(url), "GET", "/health/ping")


@pytest.mark.parametrize("path", ["", "/", "/api/v1", "/api/v1/"])
def test_a_url_may_name_the_api_or_the_server(stub: Stub, path: str) -> None:
    call(Server(stub.url + path), "POST", "/x", body=b"{}")
    assert stub.asked[0][1] == "/api/v1/x"


def test_a_violation_of_an_unknown_shape_is_shown_all_the_same() -> None:
    assert complaint(Answer(422, {"detail": ["odd"]})) == "odd"


def test_a_server_does_not_show_its_token() -> None:
    assert "tok" not in repr(Server("http://x", token="tok"))
