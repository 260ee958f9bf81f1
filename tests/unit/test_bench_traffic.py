"""The benchmarks' own HTTP: request bytes, the sink's parsing and answers, one real exchange."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import httptools
import msgspec
import pytest
from bench import mark
from bench.generator import Load
from bench.plan import Plan, template
from bench.relay import Relay
from bench.sink import OK, Command, Connection, Report, Sink, behaviour, open_counter, response
from hypothesis import given
from hypothesis import strategies as st

sequences = st.integers(0, 10**10 - 1)
PLAN = Plan(host="127.0.0.1", port=1, paths=("/api/v1/app/app_1/msg",), run=7, token="t%s")


class Wire:
    """A transport that keeps what is written."""

    def __init__(self) -> None:
        self.written = b""
        self.is_closed = False

    def write(self, answer: bytes) -> None:
        self.written += answer

    def close(self) -> None:
        self.is_closed = True

    def abort(self) -> None:
        self.is_closed = True

    def is_closing(self) -> bool:
        return self.is_closed


class Timers:
    """A loop's clock and timers, moved by hand; timers of one time fire in order."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self._timers: list[tuple[float, int, Callable[[], None]]] = []

    def time(self) -> float:
        return self.now_s

    def call_at(self, when_s: float, call: Callable[..., None], *arguments: object) -> None:
        self._timers.append((when_s, len(self._timers), lambda: call(*arguments)))

    def move_to(self, now_s: float) -> None:
        self.now_s = now_s
        due = sorted(timer for timer in self._timers if timer[0] <= now_s)
        self._timers = [timer for timer in self._timers if timer[0] > now_s]
        for _, _, call in due:
            call()


def connected(sink: Sink) -> tuple[Connection, Wire, Timers]:
    wire, timers = Wire(), Timers()
    connection = Connection(sink, cast("asyncio.AbstractEventLoop", timers))
    connection.connection_made(cast("asyncio.Transport", wire))
    return connection, wire, timers


def fresh_sink(fan: int = 1) -> Sink:
    sink = Sink()
    sink.begin(7, fan)
    return sink


def delivery(sequence: int, path: str = "/ok/0") -> bytes:
    pattern, _ = template(msgspec.structs.replace(PLAN, is_bare=True, token=""), path)
    return pattern % (7, sequence, 123)


def chunked(sequence: int) -> bytes:
    body = b'{"mark":"%b"}' % mark.write(7, sequence, 123)
    pieces = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (body[:9], body[9:]))
    return b"POST /ok/0 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" + pieces + b"0\r\n\r\n"


class Parsed:
    """A request as a strict parser sees it."""

    def __init__(self, request: bytes) -> None:
        self.headers: dict[bytes, bytes] = {}
        self.body = b""
        self.is_complete = False
        self.parser = httptools.HttpRequestParser(self)
        self.parser.feed_data(request)

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers[name.lower()] = value

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        self.is_complete = True


@given(st.integers(0, mark.RUNS_MAX), sequences, st.integers(0, 10**19 - 1))
def test_a_mark_survives_reserialisation(run: int, sequence: int, sent_ns: int) -> None:
    text = mark.write(run, sequence, sent_ns)
    assert len(text) == mark.WIDTH
    before, after = mark.payload(300)
    payload = before + text + after
    assert len(payload) == 300
    rewritten = json.dumps(json.loads(payload), sort_keys=True, indent=2).encode()
    assert mark.read(payload) == mark.read(rewritten) == (run, sequence, sent_ns)


@pytest.mark.parametrize("body", [b"", b"{}", b'{"mark":"~12.34"}', b'"~'])
def test_a_body_without_a_mark_has_none(body: bytes) -> None:
    assert mark.read(body) is None


@given(sequences, st.booleans(), st.booleans(), st.integers(mark.PAYLOAD_BYTES_MIN, 5_000))
def test_requests_are_whole_and_say_their_length(
    sequence: int, has_key: bool, is_bare: bool, size_bytes: int
) -> None:
    plan = msgspec.structs.replace(
        PLAN, has_idempotency=has_key, is_bare=is_bare, payload_bytes=size_bytes
    )
    pattern, keys = template(plan, plan.paths[0])
    request = Parsed(pattern % ((7, sequence) * keys + (7, sequence, 123)))
    assert request.is_complete
    assert request.parser.get_method() == b"POST"
    assert request.headers[b"authorization"] == b"Bearer t%s"
    assert int(request.headers[b"content-length"]) == len(request.body)
    assert (b"idempotency-key" in request.headers) == has_key
    message = json.loads(request.body)
    payload = message if is_bare else message["payload"]
    assert len(json.dumps(payload, separators=(",", ":"))) == size_bytes
    assert mark.read(request.body) == (7, sequence, 123)


def test_idempotency_keys_differ_by_message() -> None:
    pattern, _ = template(msgspec.structs.replace(PLAN, has_idempotency=True), "/")
    keys = {
        Parsed(pattern % (7, number, 7, number, 1)).headers[b"idempotency-key"]
        for number in range(5)
    }
    assert len(keys) == 5
    assert all(key.startswith(b"auto_") for key in keys)


@given(st.lists(st.integers(1, 400), max_size=40))
def test_the_sink_reads_pipelined_requests_however_they_are_split(cuts: list[int]) -> None:
    sink = fresh_sink()
    connection, wire, _ = connected(sink)
    stream = delivery(0) + chunked(1) + delivery(2) + delivery(1)
    for cut in cuts:
        connection.data_received(stream[:cut])
        stream = stream[cut:]
    connection.data_received(stream)
    assert (sink.ledger.arrived, sink.ledger.duplicates, sink.stray) == (3, 1, 0)
    assert wire.written == OK * 4
    assert not wire.is_closed


def test_the_sink_closes_when_asked_to_and_on_nonsense() -> None:
    for stream, answers in [
        (b"POST /ok/0 HTTP/1.1\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", OK),
        (b"nonsense\r\n\r\n", b""),
    ]:
        connection, wire, _ = connected(fresh_sink())
        connection.data_received(stream)
        assert wire.written == answers
        assert wire.is_closed


def test_slow_answers_come_later_and_are_not_overtaken() -> None:
    sink = fresh_sink()
    connection, wire, timers = connected(sink)
    connection.data_received(delivery(0, "/slow/200/0") + delivery(1, "/status/503/0"))
    connection.data_received(delivery(2))
    assert wire.written == b""
    timers.move_to(0.1)
    assert wire.written == b""
    timers.move_to(0.2)
    assert wire.written == OK + response(503) + OK
    assert (sink.ledger.arrived, sink.failed) == (2, 1)
    connection.data_received(delivery(3))
    assert wire.written.endswith(OK + OK)


def test_a_hanging_path_silences_its_connection() -> None:
    sink = fresh_sink()
    connection, wire, _ = connected(sink)
    connection.data_received(delivery(0) + delivery(1, "/hang/3") + delivery(2))
    assert wire.written == OK
    assert (sink.hung, sink.ledger.arrived) == (1, 2)


@pytest.mark.parametrize("path", [b"/", b"/no", b"/ok/x", b"/slow", b"/slow/x/1"])
def test_paths_that_mean_nothing_are_strays(path: bytes) -> None:
    assert behaviour(path).kind == "unknown"


def test_the_sink_tells_its_number_of_arrivals_in_shared_memory(tmp_path: Path) -> None:
    path = tmp_path / "arrived"
    sink = Sink(open_counter(path, create=True))
    sink.begin(7, 1)
    connection, _, _ = connected(sink)
    connection.data_received(delivery(0) + delivery(1) + delivery(1))
    assert open_counter(path)[0] == 2


def exchange(sink: Sink, **changes: Any) -> tuple[Any, list[str]]:
    """A generator against a sink, both real, in one loop."""

    async def run() -> tuple[Any, list[str]]:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: Connection(sink, loop), "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        plan = Plan(
            host="127.0.0.1", port=port, run=7, warmup_s=0, is_bare=True, status=200,
            connections=3, **{"paths": ("/ok/0",), **changes},
        )  # fmt: skip
        events: list[str] = []
        sent = await Load(plan).run(events.append)
        server.close()
        await server.wait_closed()
        return sent, events

    return asyncio.run(run())


def test_the_closed_loop_sends_what_it_was_told_to_and_all_arrives() -> None:
    sink = fresh_sink()
    sent, events = exchange(sink, messages_max=50, window_s=30)
    assert (sent.sent, sent.accepted, sent.broken, sent.unanswered) == (50, 50, 0, 0)
    assert events == ["window", "end"]
    report = sink.obey(Command("report", messages=50, start_ns=sent.window_ns, end_ns=sent.end_ns))
    assert isinstance(report, Report)
    assert (report.arrived, report.account.missing, report.stray) == (50, 0, 0)
    assert sum(report.window.per_second) == report.window.latency.count == 50


def test_the_open_loop_sends_what_was_due() -> None:
    sent, _ = exchange(fresh_sink(), rate=5_000, messages_max=20, window_s=30)
    assert sent.sent == sent.accepted == sent.late.count == 20


def test_what_the_server_refuses_is_named() -> None:
    sent, _ = exchange(fresh_sink(), paths=("/status/503",), messages_max=3, window_s=30)
    assert sent.statuses == {503: 3}
    assert sorted(sent.refused) == [0, 1, 2]
    assert (sent.accepted, sent.accept.count) == (0, 0)


def test_what_never_gets_an_answer_is_unanswered() -> None:
    sent, _ = exchange(fresh_sink(), paths=("/hang",), window_s=0.01, grace_s=0.01)
    assert (sent.sent, sent.unanswered, sent.accepted) == (3, 3, 0)


def test_the_relay_takes_what_a_benchmark_sets_up() -> None:
    relay = Relay()
    answers: list[Any] = []

    async def post(path: str, body: object) -> Any:
        async def receive() -> dict[str, Any]:
            return {"body": msgspec.json.encode(body), "more_body": False}

        async def send(message: Any) -> None:
            answers.append(message)

        await relay({"path": path}, receive, send)
        return answers[-2]["status"], answers[-1]["body"]

    status, body = asyncio.run(post("/api/v1/app", {"name": "x"}))
    app = json.loads(body)["id"]
    assert status == 201
    endpoint = asyncio.run(post(f"/api/v1/app/{app}/endpoint", {"url": "http://127.0.0.1:1/ok"}))
    assert endpoint[0] == 201
    other = json.loads(asyncio.run(post("/api/v1/app", {"name": "y"}))[1])["id"]
    message = {"eventType": "a", "payload": {"b": 1}}
    assert asyncio.run(post(f"/api/v1/app/{other}/msg", message))[0] == 202
    assert asyncio.run(post("/api/v1/nothing", {}))[0] == 404
