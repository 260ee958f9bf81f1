"""Every adapter, as its example shows it, behind that framework's real server.

The requests are Stripe's, into an inbox that is processed, and Slack's, into a function.
"""

import gzip
import json
import socket
import sqlite3
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct

from ringback.receive import Draft, Signed, sign
from ringback.receive.body import BODY_BYTES_MAX
from ringback.testing.process import unused_port
from ringback.testing.program import listens, program, until

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples" / "receive"
STRIPE = "whsec_" + "5" * 32
SLACK = "8f742231b10e8888abcd99yyyzzz85a5"

SERVERS = {
    "fastapi": ["-m", "uvicorn", "fastapi_app:app", "--log-level", "warning", "--port"],
    "asgi": ["-m", "uvicorn", "asgi_app:app", "--log-level", "warning", "--port"],
    "wsgi": ["-m", "wsgi_app"],
    "flask": ["-m", "flask", "--app", "flask_app", "run", "--port"],
    "django under ASGI": ["-m", "uvicorn", "django_app:asgi", "--log-level", "warning", "--port"],
    "django under WSGI": ["-m", "ringback.testing.wsgi_server", "django_app:wsgi"],
    "aiohttp": ["-m", "aiohttp.web", "aiohttp_app:make_app", "-H", "127.0.0.1", "-P"],
}
SLOW = """
from aiohttp import web
from ringback.receive.aiohttp import webhook as aiohttp_webhook
from ringback.receive.asgi import webhook

async def nothing(*_): ...

terms = {"secrets": "whsec_" + "5" * 32, "body_s_max": 0.2}
app = webhook("stripe", **terms)(nothing)

def make_app(argv):
    found = web.Application()
    found.router.add_post("/", aiohttp_webhook("stripe", **terms)(nothing))
    return found
"""
CHUNKED = ("Transfer-Encoding", "chunked")
TAKES_CHUNKS = {"fastapi", "asgi", "flask", "django under ASGI", "aiohttp"}
REFUSED = {0, 400, 401, 411}
NEED_A_WORKER = {"wsgi", "flask", "django under ASGI", "django under WSGI"}


class Answer(Struct, frozen=True):
    status: int
    body: bytes
    headers: dict[str, str]


class Server:
    """A framework's server, its inbox and what has shipped."""

    def __init__(self, kind: str, port: int, database: Path, log: Path) -> None:
        self.kind = kind
        self.port = port
        self.database = database
        self.log = log

    def send(
        self, request: Signed, *more: tuple[str, str | bytes], path: str = "/stripe"
    ) -> Answer:
        return self.ask(request.method, path, [*request.headers, *more], request.body)

    def ask(self, method: str, path: str, headers: Any = (), body: bytes = b"") -> Answer:
        with closing(HTTPConnection("127.0.0.1", self.port, timeout=30)) as connection:
            connection.putrequest(method, f"/webhooks{path}")
            for name, value in (*headers, ("Content-Length", str(len(body)))):
                connection.putheader(name, value)
            with suppress(ConnectionError):  # It may answer before it has seen all of the body.
                connection.endheaders(body)
            answer = connection.getresponse()
            fields = {name.lower(): value for name, value in answer.headers.items()}
            return Answer(answer.status, answer.read(), fields)

    def speak(self, request: Signed, *more: tuple[str, str], body: bytes) -> int:
        """The status of the answer to these very bytes; 0 if the connection is closed instead."""
        fields = "".join(f"{name}: {value}\r\n" for name, value in (*request.headers, *more))
        head = f"POST /webhooks/stripe HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{fields}\r\n"
        with socket.create_connection(("127.0.0.1", self.port), timeout=30) as connection:
            try:
                connection.sendall(head.encode() + body)
                return int(connection.recv(65_536)[9:12] or 0)
            except ConnectionError:
                return 0

    def shipped(self, order: str) -> int:
        """How often, as soon as it has."""
        return until(lambda: self._shipped(order))

    def _shipped(self, order: str) -> int:
        asked = "SELECT count(*) FROM shipped WHERE order_id = ?"
        with closing(sqlite3.connect(self.database)) as connection:
            try:
                return int(connection.execute(asked, (order,)).fetchone()[0])
            except sqlite3.OperationalError:  # no table, before anything has shipped
                return 0

    def kept(self, event: str) -> int:
        """How often the inbox has an event."""
        asked = "SELECT count(*) FROM ringback_inbox WHERE dedupe_id = ?"
        with closing(sqlite3.connect(self.database)) as connection:
            return int(connection.execute(asked, (event,)).fetchone()[0])


@pytest.fixture(scope="module", params=SERVERS)
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    place, port = tmp_path_factory.mktemp("receive"), unused_port()
    settings = {
        "SHOP_DATABASE": str(place / "shop.db"),
        "STRIPE_WEBHOOK_SECRET": STRIPE,
        "SLACK_SIGNING_SECRET": SLACK,
    }
    with ExitStack() as stack:
        if request.param in NEED_A_WORKER:
            stack.enter_context(program("-m", "orders", place=place, path=EXAMPLES, **settings))
            until(
                lambda: any(b"ringback_inbox" in part.read_bytes() for part in place.glob("*.db*"))
            )
        command = [*SERVERS[request.param], str(port)]
        log = stack.enter_context(program(*command, place=place, path=EXAMPLES, **settings))
        until(lambda: listens(port))
        yield Server(request.param, port, place / "shop.db", log)


def paid(order: str, *, event: str = "", age_s: int = 0, secret: str = STRIPE) -> Signed:
    payload = {
        "id": event or f"evt_{order}",
        "type": "payment_intent.succeeded",
        "data": {"object": {"metadata": {"order_id": order}}},
    }
    body = json.dumps(payload).encode()
    return sign("stripe", Draft(body=body, timestamp_s=int(time.time()) - age_s), secret)


def slack(payload: dict[str, Any], secret: str = SLACK) -> Signed:
    body = json.dumps(payload).encode()
    return sign("slack", Draft(body=body, timestamp_s=int(time.time())), secret)


def chunked(body: bytes, *trailers: str) -> bytes:
    """In two chunks."""
    halves = [part for part in (body[:50], body[50:]) if part]
    chunks = [b"%x\r\n%s\r\n" % (len(part), part) for part in halves]
    lines = [f"{trailer}\r\n".encode() for trailer in trailers]
    return b"".join([*chunks, b"0\r\n", *lines, b"\r\n"])


def dripped(connection: socket.socket) -> bytes:
    """The answer, if there is one; else a byte more is sent."""
    with suppress(BlockingIOError):
        return connection.recv(65_536)
    connection.send(b".")
    return b""


def with_body(request: Signed, body: bytes) -> Signed:
    return Signed(request.method, request.url, request.headers, body)


def test_a_good_event_is_kept_and_processed(server: Server) -> None:
    answer = server.send(paid("good"))
    assert (answer.status, answer.body) == (200, b"")
    assert server.shipped("good") == 1


def test_an_event_that_comes_again_has_one_effect(server: Server) -> None:
    for _ in range(3):
        assert server.send(paid("once", event="evt_twice")).status == 200
    assert server.kept("evt_twice") == 1
    assert server.shipped("once") == 1


def test_what_is_not_proven_is_refused_with_one_word(server: Server) -> None:
    good = paid("forged")
    forged = [
        (paid("forged", secret="whsec_" + "6" * 32), "mismatch"),
        (with_body(good, good.body.replace(b"forged", b"fooled")), "mismatch"),
        (paid("forged", age_s=3_600), "stale"),
        (paid("forged", age_s=-3_600), "stale"),
        (Signed("POST", good.url, (), good.body), "missing"),
        (Signed("POST", good.url, (("Stripe-Signature", "t=1,v1=zz"),), good.body), "malformed"),
    ]
    for request, word in forged:
        answer = server.send(request)
        assert (answer.status, json.loads(answer.body)) == (401, {"error": word})
        assert answer.headers["content-type"] == "application/json"
    assert server.kept("evt_forged") == 0
    assert STRIPE not in server.log.read_text()


def test_a_signature_that_is_sent_twice_proves_nothing(server: Server) -> None:
    request = paid("twice")
    again = [pair for pair in request.headers if pair[0] == "Stripe-Signature"]
    assert len(again) == 1
    assert server.send(request, *again).status == 401


def test_letters_of_any_kind_in_headers_do_no_harm(server: Server) -> None:
    assert server.send(paid("umlaut"), ("X-Customer", "J\xfcrgen".encode("latin-1"))).status == 200
    request = paid("umlaut")
    broken = Signed("POST", request.url, (("Stripe-Signature", "t=1,v1=\xfc"),), request.body)
    assert server.send(broken).status in (400, 401)


def test_a_body_that_is_too_large_is_refused(server: Server) -> None:
    answer = server.send(with_body(paid("large"), b" " * (BODY_BYTES_MAX + 1)))
    assert (answer.status, json.loads(answer.body)) == (413, {"error": "too_large"})
    assert "raise `body_bytes_max`" in server.log.read_text()


def test_a_body_that_ends_early_is_no_body(server: Server) -> None:
    request = paid("early")
    head = "".join(f"{name}: {value}\r\n" for name, value in request.headers)
    announced = f"Content-Length: {len(request.body) + 1}\r\n"
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
        text = f"POST /webhooks/stripe HTTP/1.1\r\nHost: 127.0.0.1\r\n{head}{announced}\r\n"
        connection.sendall(text.encode() + request.body)
        connection.shutdown(socket.SHUT_WR)
        answer = connection.recv(65_536)
    assert answer == b"" or b" 400 " in answer.partition(b"\r\n")[0]
    assert server.send(paid("late")).status == 200
    assert (server.kept("evt_early"), server.kept("evt_late")) == (0, 1)


def test_a_body_that_unpacks_to_a_bomb_is_not_unpacked(server: Server) -> None:
    """65: eight kilobytes that are eight megabytes. aiohttp unpacks by itself, up to the limit."""
    bomb = gzip.compress(b" " * 2 * BODY_BYTES_MAX, mtime=0)
    answer = server.send(with_body(paid("bomb"), bomb), ("Content-Encoding", "gzip"))
    assert answer.status == (413 if server.kind == "aiohttp" else 401)
    assert server.send(paid("spark")).status == 200


def test_a_trailer_makes_nothing_good_that_was_forged(server: Server) -> None:
    """66: a body in chunks, and a signature behind it. Some servers take no chunks, or no trailers.

    uvicorn puts trailers among the headers, so there two signatures came, which prove nothing; and
    one that is good proves as much as a header.
    """
    good, forged = paid("chunks"), paid("chunks", secret="whsec_" + "6" * 32)
    signature = dict(good.headers)["Stripe-Signature"]
    bare = Signed("POST", good.url, (), good.body)
    behind = chunked(good.body, f"Stripe-Signature: {signature}")

    spoilt = server.speak(good, CHUNKED, body=chunked(good.body, "Stripe-Signature: t=1,v1=0"))
    assert spoilt == 200 if server.kind == "aiohttp" else spoilt in REFUSED
    assert server.speak(forged, CHUNKED, body=behind) in REFUSED
    if "uvicorn" not in SERVERS[server.kind]:
        assert server.speak(bare, CHUNKED, body=behind) in REFUSED
    if server.kind in TAKES_CHUNKS:
        assert server.speak(good, CHUNKED, body=chunked(good.body)) == 200


def test_a_body_that_is_framed_twice_is_refused_or_what_was_signed(server: Server) -> None:
    """68: by its length and in chunks, with another request in what one of the two leaves over."""
    good = paid("framed")
    twice = (CHUNKED, ("Content-Length", str(len(good.body))))
    hidden = chunked(b"") + b"POST /webhooks/stripe HTTP/1.1\r\nContent-Length: 0\r\n\r\n"

    taken = [server.speak(good, *twice, body=body) for body in (chunked(good.body), good.body)]
    assert all(status == 200 or status in REFUSED for status in taken)
    assert server.kept("evt_framed") == (200 in taken)
    smuggled = server.speak(good, *twice, body=hidden.ljust(len(good.body)))
    assert smuggled in REFUSED
    assert server.send(paid("plain")).status == 200


@pytest.mark.parametrize("kind", ["asgi", "aiohttp"])
def test_a_body_that_drips_is_not_waited_for(kind: str, tmp_path: Path) -> None:
    """70: a byte now and then, which would go on for minutes."""
    (tmp_path / "slow.py").write_text(SLOW)
    port = unused_port()
    command = [argument.replace(f"{kind}_app", "slow") for argument in SERVERS[kind]]
    with program(*command, str(port), place=tmp_path):
        until(lambda: listens(port))
        with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
            connection.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9999\r\n\r\n")
            connection.setblocking(False)
            answer = until(lambda: dripped(connection))
        assert answer.startswith(b"HTTP/1.1 408 ")


def test_an_answer_to_a_handshake_is_given_to_its_provider_alone(server: Server) -> None:
    asked = {"type": "url_verification", "challenge": "3eZbrw1aB"}
    answer = server.send(slack(asked), path="/slack")
    assert (answer.status, answer.body) == (200, b"3eZbrw1aB")
    forged = server.send(slack(asked, "another secret of another app"), path="/slack")
    assert (forged.status, json.loads(forged.body)) == (401, {"error": "mismatch"})


def test_a_function_gets_the_event(server: Server) -> None:
    told = {"type": "event_callback", "event_id": "Ev1", "event": {"type": "app_mention"}}
    answer = server.send(slack(told), path="/slack")
    assert answer.status == 200
    assert not answer.body or json.loads(answer.body) == {"text": "got app_mention"}


def test_a_get_is_refused(server: Server) -> None:
    for path in ("/stripe", "/slack", "/stripe?challenge=1"):
        answer = server.ask("GET", path)
        assert answer.status == 405
        assert "POST" in answer.headers["allow"]


def test_the_bytes_are_verified_as_they_came(
    server: Server, request: pytest.FixtureRequest
) -> None:
    if "aiohttp" in request.node.name:
        pytest.skip("aiohttp's server unpacks; its page says how to turn that off")
    assert server.send(paid("packed"), ("Content-Encoding", "gzip")).status == 200
