"""What one adapter does and the others do not: streams, disconnections, handlers, connections."""

import asyncio
import gzip
import json
import sqlite3
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, closing
from io import BytesIO
from pathlib import Path
from typing import Annotated, Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from fastapi import Depends, FastAPI, HTTPException, Request, Response
from flask import Flask, request
from starlette.applications import Starlette
from starlette.routing import Route

from ringback.errors import Misconfigured
from ringback.receive import Draft, Inbox, Signed, VerifiedEvent, sign
from ringback.receive.aiohttp import webhook as aiohttp_webhook
from ringback.receive.asgi import webhook as asgi_webhook
from ringback.receive.fastapi import webhook as fastapi_webhook
from ringback.receive.flask import webhook as flask_webhook
from ringback.receive.wsgi import webhook as wsgi_webhook

SECRET = "whsec_" + "5" * 32
SLACK = "8f742231b10e8888abcd99yyyzzz85a5"

Message = dict[str, Any]
Asgi = Callable[[Any, Any, Any], Awaitable[None]]


def event(body: bytes = b'{"id":"evt_1","type":"order.paid"}') -> Signed:
    return sign("stripe", Draft(body=body, timestamp_s=int(time.time())), SECRET)


def challenge() -> Signed:
    body = b'{"type":"url_verification","challenge":"abc"}'
    return sign("slack", Draft(body=body, timestamp_s=int(time.time())), SLACK)


async def nothing(_: VerifiedEvent) -> None:
    """A function that is content with every event."""


def visit(
    app: Asgi, made: Signed, messages: list[Message] | None = None, *, path: str = "/webhooks"
) -> tuple[int, bytes]:
    """Status and body; (0, b"") if the app says nothing. The last message comes again for ever."""
    told = messages or [{"type": "http.request", "body": made.body}]
    sent: list[Message] = []

    async def receive() -> Message:
        return told.pop(0) if len(told) > 1 else told[0]

    async def send(message: Message) -> None:
        sent.append(message)

    headers = [(name.lower().encode(), value.encode()) for name, value in made.headers]
    scope = {
        "type": "http",
        "method": made.method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": headers,
    }
    asyncio.run(app(scope, receive, send))  # type: ignore[arg-type]
    if not sent:
        return 0, b""
    return sent[0]["status"], b"".join(message.get("body", b"") for message in sent[1:])


# ---- ASGI ---------------------------------------------------------------------------------------


def test_asgi_takes_a_body_in_pieces() -> None:
    made = event()
    pieces: list[Message] = [
        {"type": "http.request", "body": made.body[:5], "more_body": True},
        {"type": "http.request", "more_body": True},
        {"type": "http.request", "body": made.body[5:]},
    ]
    app = asgi_webhook("stripe", secrets=SECRET)(nothing)
    assert visit(app, made, pieces) == (200, b"")


def test_asgi_answers_nobody_who_has_gone() -> None:
    made = event()
    gone: list[Message] = [
        {"type": "http.request", "body": made.body, "more_body": True},
        {"type": "http.disconnect"},
    ]
    assert visit(asgi_webhook("stripe", secrets=SECRET)(nothing), made, gone) == (0, b"")


def test_asgi_stops_at_its_limit_whatever_was_announced() -> None:
    endless = [{"type": "http.request", "body": b"x" * 60, "more_body": True}]
    app = asgi_webhook("stripe", secrets=SECRET, body_bytes_max=100)(nothing)
    assert visit(app, event(), endless) == (413, b'{"error":"too_large"}')


def test_asgi_takes_nothing_but_http() -> None:
    app = asgi_webhook("stripe", secrets=SECRET)(nothing)
    with pytest.raises(RuntimeError, match="nothing but HTTP"):
        asyncio.run(app({"type": "websocket"}, None, None))  # type: ignore[arg-type]


def test_an_inbox_that_is_away_is_a_503(tmp_path: Path) -> None:
    inbox = Inbox(f"sqlite:///{tmp_path}/no/such/place/shop.db")
    app = asgi_webhook("stripe", secrets=SECRET, inbox=inbox)
    assert visit(app, event()) == (503, b'{"error":"inbox_unavailable"}')


def test_asgi_is_found_by_a_route_and_mounted_behind_a_slash() -> None:
    """What the page says of Starlette, which could change."""
    stripe = asgi_webhook("stripe", secrets=SECRET)(nothing)
    mounted, fastapi = Starlette(), FastAPI()
    for app in (mounted, fastapi):
        app.mount("/webhooks", stripe)
    routed = Starlette(routes=[Route("/webhooks", stripe)])
    assert visit(routed, event()) == visit(stripe, event()) == (200, b"")
    for app in (mounted, fastapi):
        assert visit(app, event())[0] == 307
        assert visit(app, event(), path="/webhooks/") == (200, b"")


# ---- WSGI ---------------------------------------------------------------------------------------


def call(app: Any, made: Signed, **environ: Any) -> tuple[int, bytes]:
    """Status and body of a WSGI app."""
    statuses: list[str] = []
    fields = {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in made.headers}
    usual = {
        "REQUEST_METHOD": made.method,
        "CONTENT_LENGTH": str(len(made.body)),
        "QUERY_STRING": "",
        "wsgi.input": BytesIO(made.body),
    }
    body = b"".join(app({**fields, **usual, **environ}, lambda status, _: statuses.append(status)))
    return int(statuses[0][:3]), body


def wsgi_app() -> Any:
    return wsgi_webhook("stripe", secrets=SECRET)(lambda _: None)


def test_wsgi_reads_to_the_end_only_where_there_is_one() -> None:
    made = event()
    chunked = {"CONTENT_LENGTH": "", "HTTP_TRANSFER_ENCODING": "chunked"}
    assert call(wsgi_app(), made, **chunked, **{"wsgi.input_terminated": True}) == (200, b"")
    assert call(wsgi_app(), made, **chunked) == (411, b'{"error":"length_required"}')


def test_wsgi_does_not_take_the_environment_for_headers() -> None:
    everything = {f"NAME_{number}": "value" for number in range(600)}
    assert call(wsgi_app(), event(), **everything) == (200, b"")


def test_without_an_event_loop_an_inbox_needs_a_connection() -> None:
    options: Any = {"secrets": SECRET, "inbox": Inbox("sqlite:///shop.db")}
    with pytest.raises(Misconfigured, match="`connect`"):
        wsgi_webhook("stripe", **options)


@pytest.fixture
def inbox(tmp_path: Path) -> tuple[Inbox, Path]:
    """With its tables."""
    path = tmp_path / "shop.db"
    found = Inbox(f"sqlite:///{path}")
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(found.ddl())
    return found, path


def test_wsgi_keeps_events_on_a_connection_of_the_apps(inbox: tuple[Inbox, Path]) -> None:
    kept, path = inbox

    def connect() -> AbstractContextManager[sqlite3.Connection]:
        return closing(sqlite3.connect(path))

    app = wsgi_webhook("stripe", secrets=SECRET, inbox=kept, connect=connect, source="eu")
    for _ in range(2):
        assert call(app, event()) == (200, b"")
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute("SELECT source, dedupe_id FROM ringback_inbox").fetchall()
    assert rows == [("eu", "evt_1")]


def test_wsgi_acknowledges_nothing_without_a_connection(inbox: tuple[Inbox, Path]) -> None:
    def connect() -> AbstractContextManager[sqlite3.Connection]:
        raise sqlite3.OperationalError("unable to open database file")

    app = wsgi_webhook("stripe", secrets=SECRET, inbox=inbox[0], connect=connect)
    assert call(app, event()) == (503, b'{"error":"inbox_unavailable"}')


# ---- FastAPI ------------------------------------------------------------------------------------


def test_an_app_with_handlers_of_its_own_gets_the_same_answers() -> None:
    app = FastAPI()

    @app.exception_handler(HTTPException)
    async def own(_: Request, error: HTTPException) -> Response:
        return Response("mine", error.status_code)

    slack = Depends(fastapi_webhook("slack", secrets=SLACK))

    @app.post("/webhooks")
    async def told(event: Annotated[VerifiedEvent, slack]) -> None:
        raise AssertionError("a handshake is not an event")

    assert visit(app, challenge()) == (200, b"abc")
    forged = Signed("POST", "", (), challenge().body)
    assert visit(app, forged) == (401, b'{"error":"missing"}')


def test_an_endpoint_that_also_wants_the_body_gets_both() -> None:
    app = FastAPI()
    stripe = Depends(fastapi_webhook("stripe", secrets=SECRET))

    @app.post("/webhooks")
    async def told(order: dict[str, str], event: Annotated[VerifiedEvent, stripe]) -> str:
        assert order == event.payload
        return event.id

    made = event()
    typed = Signed("POST", "", (*made.headers, ("Content-Type", "application/json")), made.body)
    assert visit(app, typed) == (200, b'"evt_1"')


# ---- Flask --------------------------------------------------------------------------------------


def flask_app() -> Flask:
    app = Flask("shop")

    @app.post("/webhooks/<shop>")
    @flask_webhook("stripe", secrets=SECRET)
    def paid(event: VerifiedEvent, shop: str) -> dict[str, str]:
        return {"shop": shop, "event": event.id}

    return app


def test_flask_gives_what_the_route_has() -> None:
    made = event()
    answer = flask_app().test_client().post("/webhooks/eu", data=made.body, headers=made.headers)
    assert (answer.status_code, answer.json) == (200, {"shop": "eu", "event": "evt_1"})


def test_flask_awaits_a_function_that_is_async() -> None:
    app = Flask("shop")
    made = event()

    @app.post("/webhooks")
    @flask_webhook("stripe", secrets=SECRET)
    async def paid(event: VerifiedEvent) -> str:
        return event.id

    answer = app.test_client().post("/webhooks", data=made.body, headers=made.headers)
    assert answer.text == "evt_1"


def test_a_body_that_flask_has_parsed_is_not_taken_for_an_empty_one() -> None:
    app, made = flask_app(), event(b"id=1")

    @app.before_request
    def look() -> None:
        assert request.form["id"] == "1"

    form = [(name, value) for name, value in made.headers if name != "content-type"]
    form.append(("Content-Type", "application/x-www-form-urlencoded"))
    answer = app.test_client().post("/webhooks/eu", data=made.body, headers=form)
    assert (answer.status_code, answer.json) == (400, {"error": "incomplete"})


# ---- aiohttp ------------------------------------------------------------------------------------


def test_aiohttp_verifies_packed_bodies_as_they_came_if_it_does_not_unpack() -> None:
    body = gzip.compress(json.dumps({"id": "evt_1"}).encode(), mtime=0)
    seen: list[bytes] = []

    @aiohttp_webhook("stripe", secrets=SECRET)
    async def paid(_: web.Request, event: VerifiedEvent) -> None:
        seen.append(event.body)

    made = event(body)

    async def story() -> list[int]:
        statuses = []
        for unpacks, coding in ((False, "gzip"), (True, "gzip"), (True, "deflate")):
            packed = {**dict(made.headers), "Content-Encoding": coding}
            app = web.Application()
            app.add_routes([web.post("/webhooks", paid)])
            runner = web.AppRunner(app, auto_decompress=unpacks)
            await runner.setup()
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            host, port = runner.addresses[0][:2]
            try:
                async with (
                    aiohttp.ClientSession() as session,
                    session.post(
                        f"http://{host}:{port}/webhooks", data=made.body, headers=packed
                    ) as answer,
                ):
                    statuses.append(answer.status)
            finally:
                await runner.cleanup()
        return statuses

    assert asyncio.run(story()) == [200, 401, 400]
    assert seen == [body]


# ---- handshakes by HEAD -------------------------------------------------------------------------

HEAD = Signed("HEAD", "", (), b"")
DJANGO = """
from django.conf import settings
settings.configure()
from django.test import RequestFactory
from ringback.receive.django import webhook
view = webhook("intercom", secrets="a client secret")(None)
print(view(RequestFactory().head("/webhooks")).status_code)
"""


def test_a_handshake_by_head_is_answered_where_the_route_takes_it() -> None:
    options: Any = {"secrets": "a client secret"}
    assert visit(asgi_webhook("intercom", **options)(nothing), HEAD) == (200, b"")
    wsgi: Any = wsgi_webhook("intercom", **options)
    assert call(wsgi(lambda _: None), HEAD) == (200, b"")

    fastapi = FastAPI()
    intercom = Depends(fastapi_webhook("intercom", **options))

    @fastapi.api_route("/webhooks", methods=["HEAD", "POST"])
    async def told(event: Annotated[VerifiedEvent, intercom]) -> None:
        raise AssertionError("a handshake is not an event")

    assert visit(fastapi, HEAD) == (200, b"")

    flask = Flask("shop")
    flask_view: Any = flask_webhook("intercom", **options)
    flask.add_url_rule("/webhooks", "intercom", flask_view(lambda _: ""), methods=["HEAD", "POST"])
    assert flask.test_client().head("/webhooks").status_code == 200


def test_a_handshake_by_head_is_answered_in_django() -> None:
    shown = subprocess.run(
        [sys.executable, "-c", DJANGO], capture_output=True, check=True, timeout=60
    )
    assert shown.stdout == b"200\n", shown.stderr


def test_a_handshake_by_head_is_answered_in_aiohttp() -> None:
    @aiohttp_webhook("intercom", secrets="a client secret")
    async def told(_: web.Request, event: VerifiedEvent) -> None:
        raise AssertionError("a handshake is not an event")

    async def story() -> int:
        app = web.Application()
        app.router.add_route("*", "/webhooks", told)
        async with TestClient(TestServer(app)) as client:
            return (await client.head("/webhooks")).status

    assert asyncio.run(story()) == 200


# ---- what an adapter loads ----------------------------------------------------------------------


def modules_after(program: str) -> set[str]:
    shown = subprocess.run(
        [sys.executable, "-c", f"import sys, {program}; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return set(shown.stdout.split())


@pytest.mark.parametrize("name", ["wsgi", "asgi"])
def test_plain_adapters_load_no_framework(name: str) -> None:
    frameworks = {"aiohttp", "django", "fastapi", "flask", "starlette", "werkzeug"}
    others = {"asyncio", "cryptography", "ssl", "ringback.wire", "ringback.receive.inbox"}
    assert modules_after(f"ringback.receive.{name}") & (frameworks | others) == set()


def test_the_adapter_for_fastapi_needs_starlette_alone() -> None:
    assert "fastapi" not in modules_after("ringback.receive.fastapi")
