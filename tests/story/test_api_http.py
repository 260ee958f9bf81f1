"""What holds for every request: JSON errors, methods, slashes, CORS, limits, ids, draining."""

import asyncio
import re
import socket
from pathlib import Path
from typing import Any

import pytest

from ringback.api.app import create_app
from ringback.api.routes import ROUTES
from ringback.clock import Clock
from ringback.serve import Service, running
from ringback.testing.asker import Asker
from ringback.testing.background import Background, settings_for
from ringback.testing.process import token
from ringback.testing.quiet import QuietLog
from ringback.testing.stage import Live

BODY_BYTES_MAX = 10_000
SETTINGS = {"body_bytes_max": BODY_BYTES_MAX, "log_level": "debug"}


# ---- paths and methods --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path", ["//", "//x", "/nothing", "/app/a/b/c/d", "/api/v2/app", "//../etc/passwd", "/app//msg"]
)
def test_an_unknown_path_is_a_404_with_a_body(api: Asker, path: str) -> None:
    """SDKs parse the body of every error; an empty one would crash them."""
    reply = api.get(path)
    if path == "//":
        assert (reply.status, reply.headers["location"]) == (307, "/docs")
        return
    assert (reply.status, reply.json["code"]) == (404, "not_found")
    assert "/docs" in reply.json["detail"]
    assert reply.headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/auth/app/a/expire-all"),
        ("POST", "/auth/stream-portal-access/s"),
        ("GET", "/app/a/endpoint/e/transformation"),
        ("PATCH", "/app/a/endpoint/e/transformation"),
        ("POST", "/app/a/endpoint/e/replay-missing"),
        ("POST", "/app/a/endpoint/e/bulk-replay"),
        ("POST", "/event-type/import/openapi"),
        ("POST", "/environment/export"),
        ("POST", "/app/a/msg/bulk-expunge"),
        ("POST", "/app/a/msg/expunge-all-contents"),
        ("GET", "/app/a/poller/s"),
        ("PUT", "/stats/usage/event-types"),
        ("GET", "/background-task"),
        ("GET", "/operational-webhook/endpoint"),
        ("GET", "/operational-webhook/endpoint/e/secret"),
        ("GET", "/app/a/integration"),
        ("POST", "/app/a/integration/i/key/rotate"),
        ("GET", "/connector"),
        ("GET", "/stream"),
        ("POST", "/stream/s/events"),
        ("GET", "/app/a/destination"),
        ("GET", "//ingest/api/v1/source"),
    ],
)
def test_what_svix_has_and_we_have_not_says_what_to_do(api: Asker, method: str, path: str) -> None:
    reply = api.ask(method, path, {} if method != "GET" else None)
    assert (reply.status, reply.json["code"]) == (501, "not_implemented"), reply.body
    assert len(reply.json["detail"]) > 30


def allowed(path: str) -> set[str]:
    methods = {route.method for route in ROUTES if route.path == path}
    return methods | ({"HEAD"} if "GET" in methods else set())


PATHS = sorted({route.path for route in ROUTES})


@pytest.mark.parametrize("path", PATHS)
def test_a_wrong_method_is_405_and_says_which_are_right(api: Asker, path: str) -> None:
    place = re.sub(r"\{\w+\}", "x", path)
    for method in {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "TRACE"} - allowed(path):
        reply = api.ask(method, place)
        assert reply.status == 405, method
        assert set(reply.headers["allow"].split(", ")) == allowed(path)
        if method != "HEAD":
            assert reply.json["code"] == "method_not_allowed"


@pytest.mark.parametrize("path", PATHS)
def test_a_trailing_slash_is_the_same_path_without_a_redirect(api: Asker, path: str) -> None:
    place = re.sub(r"\{\w+\}", "x", path)
    [method, *_] = sorted(allowed(path) - {"HEAD"})
    plain, slashed = api.ask(method, place, {}), api.ask(method, place + "/", {})
    assert slashed.status == plain.status
    assert not 300 <= slashed.status < 400


def test_an_application_called_msg_is_an_application(api: Asker) -> None:
    api.made("/app", {"name": "Shop", "uid": "msg"})
    assert api.post("/app/msg", {}).status == 405
    assert api.get("/app/msg").json["uid"] == "msg"
    assert api.post("/app/msg/msg", {"eventType": "e", "payload": {}}).status == 202


def test_head_is_get_without_the_body(api: Asker) -> None:
    app = api.made("/app", {"name": "Shop"})["id"]
    for path in (f"/app/{app}", "/app/none", "/nothing", "/health", "//docs"):
        got, head = api.get(path), api.ask("HEAD", path)
        assert (head.status, head.body) == (got.status, b"")
        if path != "/health":
            assert head.headers["content-length"] == str(len(got.body))


def test_a_name_is_decoded_once(api: Asker) -> None:
    api.made("/event-type", {"name": "a.b-c", "description": ""})
    assert api.get("/event-type/a%2Eb%2Dc").json["name"] == "a.b-c"
    assert api.get("/event-type/a%252Eb-c").status == 404
    app = api.made("/app", {"name": "Shop", "uid": "dots.in.it"})["id"]
    assert api.get("/app/dots%2ein.it").json["id"] == app
    assert api.get("/app/dots%2Fin").status == 404


# ---- CORS, ids, log -----------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/app", "/app/a/msg", "/nothing", "/health"])
def test_any_origin_may_call(api: Asker, path: str) -> None:
    asked = {
        "origin": "https://shop.example",
        "access-control-request-method": "PATCH",
        "access-control-request-headers": "authorization,idempotency-key",
    }
    preflight = api.with_token("").ask("OPTIONS", path, None, **asked)
    assert (preflight.status, preflight.body) == (204, b"")
    assert preflight.headers["access-control-allow-origin"] == "*"
    assert "PATCH" in preflight.headers["access-control-allow-methods"]
    assert preflight.headers["access-control-allow-headers"] == "authorization,idempotency-key"
    assert preflight.headers["access-control-max-age"] == "600"
    reply = api.get(path, origin="https://shop.example")
    assert reply.headers["access-control-allow-origin"] == "*"
    assert "access-control-allow-credentials" not in reply.headers


def test_every_answer_has_an_id(api: Asker) -> None:
    seen = {api.get(path).headers["x-request-id"] for path in ("/app", "/app", "/nothing")}
    assert len(seen) == 3
    assert api.get("/app", x_request_id="mine-1.2_3").headers["x-request-id"] == "mine-1.2_3"
    for forged in ("a b", "x" * 129, "é", "<script>"):
        given = api.send("GET", "/api/v1/app", None, {"x-request-id": forged})
        assert given.headers["x-request-id"].startswith("req_")


LARGE = b" " * (BODY_BYTES_MAX + 1)
ANSWERS: list[tuple[str, str, object, int]] = [
    ("GET", "/app", None, 200),
    ("HEAD", "/app", None, 200),
    ("OPTIONS", "/app", None, 204),
    ("GET", "/health/ping", None, 204),
    ("POST", "/app", {"name": "Shop"}, 201),
    ("POST", "/app/{app}/msg", {"eventType": "e", "payload": {}}, 202),
    ("GET", "//", None, 307),
    ("GET", "//docs", None, 200),
    ("GET", "/openapi.json", None, 200),
    ("GET", "/app?limit=x", None, 400),
    ("GET", "/app/none", None, 404),
    ("GET", "/nothing", None, 404),
    ("DELETE", "/app", None, 405),
    ("POST", "/app", LARGE, 413),
    ("POST", "/app/{app}/msg", LARGE, 413),
    ("POST", "/app", {}, 422),
    ("POST", "/app/{app}/msg", {}, 422),
    ("GET", "/stream", None, 501),
]


@pytest.mark.parametrize(("method", "path", "body", "status"), ANSWERS)
def test_no_answer_is_guessed_to_be_something_else(
    api: Asker, method: str, path: str, body: object, status: int
) -> None:
    app = api.made("/app?get_if_exists=true", {"name": "Shop", "uid": "sniffed"})["id"]
    reply = api.ask(method, path.format(app=app), body)
    assert (reply.status, reply.headers["x-content-type-options"]) == (status, "nosniff")
    stranger = api.with_token("").ask(method, path.format(app=app), body)
    assert stranger.headers["x-content-type-options"] == "nosniff"


def settle(service: Service, loop: Background[Any]) -> None:
    """A line is written in the same step as its answer: when the loop turns again, it is there."""
    loop.run(service.engine.health())


def test_the_log_says_who_and_what_and_no_secret(live: Live[Service], api: Asker) -> None:
    settle(live.value.service, live)
    live.value.log.lines.clear()
    given = "whsec_" + "S" * 32
    app = api.made("/app", {"name": "Shop"})["id"]
    api.made(f"/app/{app}/endpoint?q=visible", {"url": "http://a.example/p", "secret": given})
    api.post("/app", {"name": "Shop"}, authorization="Bearer wrong")
    api.made(f"/app/{app}/msg", {"eventType": "e", "payload": {"private": 1}})
    api.get("/health/ping")
    settle(live.value.service, live)
    requests = [line for line in live.value.log.lines if line[1] == "request"]
    levels = [(level, facts["status"]) for level, _, facts in requests]
    assert levels == [
        ("info", 201),
        ("info", 201),
        ("info", 401),
        ("debug", 202),
        ("debug", 204),
    ]
    text = repr(live.value.log.lines)
    for secret in (given, "private", "visible", api.token, "Bearer"):
        assert secret not in text


def test_what_succeeds_thousands_of_times_a_second_is_not_logged(tmp_path: Path) -> None:
    log = QuietLog()
    with Background(running(settings_for(tmp_path), log=log)) as background:
        api = Asker(background.value.url, token())
        app = api.made("/app", {"name": "Shop"})["id"]
        settle(background.value, background)
        log.lines.clear()
        api.made(f"/app/{app}/msg", {"eventType": "e", "payload": {}})
        api.get("/health/ping")
        api.post(f"/app/{app}/msg", {})
        settle(background.value, background)
        assert [facts["status"] for _, event, facts in log.lines if event == "request"] == [422]


# ---- bodies -------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/api/v1/app", "/api/v1/app/a/msg"])
@pytest.mark.parametrize("is_chunked", [True, False])
def test_a_body_beyond_the_limit_is_413_however_it_is_sent(
    api: Asker, path: str, is_chunked: bool
) -> None:
    content = b"x" * (BODY_BYTES_MAX + 1)
    head = (
        f"POST {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
        f"Authorization: Bearer {api.token}\r\n"
    ).encode()
    if is_chunked:
        request = head + b"Transfer-Encoding: chunked\r\n\r\n"
        request += b"%x\r\n%b\r\n0\r\n\r\n" % (len(content), content)
    else:
        request = head + b"Content-Length: %d\r\n\r\n" % len(content) + content
    said = api.say(request)
    assert said.startswith(b"HTTP/1.1 413 ")
    assert b'"code":"payload_too_large"' in said


def test_a_chunked_body_is_a_body(api: Asker) -> None:
    request = (
        "POST /api/v1/app HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
        f"Authorization: Bearer {api.token}\r\nTransfer-Encoding: chunked\r\n\r\n"
        '7\r\n{"name"\r\n7\r\n:"Shop"\r\n1\r\n}\r\n0\r\n\r\n'
    )
    assert api.say(request.encode()).startswith(b"HTTP/1.1 201 ")


def test_a_caller_who_hangs_up_gets_nothing_done(live: Live[Service], api: Asker) -> None:
    app = api.made("/app", {"name": "Shop"})["id"]
    for path in ("/api/v1/app", f"/api/v1/app/{app}/msg"):
        with socket.create_connection((api.host, api.port), timeout=60) as connection:
            connection.sendall(
                f"POST {path} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {api.token}\r\n"
                'Content-Length: 100\r\n\r\n{"name":"Half"'.encode()
            )
    assert api.get(f"/app/{app}/msg").json["data"] == []
    assert "Half" not in api.get("/app?limit=250").body.decode()


@pytest.mark.parametrize("content_type", ["application/json", "text/plain", "multipart/form-data"])
def test_what_counts_is_the_body_and_not_what_it_calls_itself(
    api: Asker, content_type: str
) -> None:
    assert api.post("/app", {"name": "Shop"}, content_type=content_type).status == 201


# ---- draining -----------------------------------------------------------------------------------


async def asked_directly(app: Any, method: str, path: str) -> tuple[int, dict[bytes, bytes]]:
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"{}"}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {"type": "http", "method": method, "path": path, "query_string": b"", "headers": []}
    await app(scope, receive, send)
    return sent[0]["status"], dict(sent[0]["headers"])


def test_a_service_that_stops_turns_requests_away(live: Live[Service]) -> None:
    service = live.value.service
    log = QuietLog()
    app = create_app(service.store, service.engine, service.settings, Clock(), log=log)
    status, _ = live.run(asked_directly(app, "GET", "/api/v1/health/ping"))
    assert status == 204
    app.drain()
    for method, path in (
        ("POST", "/api/v1/app/a/msg"),
        ("GET", "/api/v1/app"),
        ("GET", "/api/v1/health"),
        ("OPTIONS", "/api/v1/app"),
    ):
        status, headers = live.run(asked_directly(app, method, path))
        assert (status, headers[b"retry-after"], headers[b"connection"]) == (503, b"1", b"close")
        assert headers[b"x-content-type-options"] == b"nosniff"
    assert log.errors == []


def test_a_web_socket_is_refused_and_lifespan_is_acknowledged(live: Live[Service]) -> None:
    service = live.value.service
    app: Any = create_app(service.store, service.engine, service.settings, Clock())

    async def story() -> list[str]:
        sent: list[str] = []
        events = asyncio.Queue[dict[str, Any]]()

        async def send(message: dict[str, Any]) -> None:
            sent.append(message["type"])

        for kind in ("lifespan.startup", "lifespan.shutdown"):
            events.put_nowait({"type": kind})
        await app({"type": "websocket"}, events.get, send)
        await app({"type": "lifespan"}, events.get, send)
        return sent

    assert live.run(story()) == [
        "websocket.close",
        "lifespan.startup.complete",
        "lifespan.shutdown.complete",
    ]
