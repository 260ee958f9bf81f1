"""A caller of the API for tests that are plain functions: one request, one exact answer.

    asker = Asker(url, token)
    asker.get("/app").json["data"]
    asker.post("/app", {"name": "Shop"}, idempotency_key="k").status

Sends exactly what it is told: no redirects, no retries, bytes as they are.
"""

import json
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from http.client import HTTPConnection, HTTPResponse
from io import BytesIO
from typing import Any, Final

from msgspec import Struct

WAIT_S_MAX: Final = 60.0
V1: Final = "/api/v1"


class Reply(Struct, frozen=True):
    """Header names are in lower case; several of one name are joined by commas."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Asker:
    """Calls one service with one token; an empty token sends none. `port` is where it listens."""

    def __init__(self, url: str, token: str = "") -> None:
        self.url = url
        self.token = token
        self.host, _, port = url.removeprefix("http://").rpartition(":")
        self.port = int(port)

    def with_token(self, token: str) -> "Asker":
        return Asker(self.url, token)

    def get(self, path: str, **headers: str) -> Reply:
        return self.ask("GET", path, **headers)

    def post(self, path: str, body: object = None, **headers: str) -> Reply:
        return self.ask("POST", path, body, **headers)

    def put(self, path: str, body: object = None, **headers: str) -> Reply:
        return self.ask("PUT", path, body, **headers)

    def patch(self, path: str, body: object = None, **headers: str) -> Reply:
        return self.ask("PATCH", path, body, **headers)

    def delete(self, path: str, **headers: str) -> Reply:
        return self.ask("DELETE", path, **headers)

    def ask(self, method: str, path: str, body: object = None, **headers: str) -> Reply:
        """A path that does not begin with `/api` or `//` comes after `/api/v1`.

        Bytes are sent as they are, other bodies as JSON. Underscores in header names are hyphens.
        """
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if self.token:
            sent.setdefault("authorization", f"Bearer {self.token}")
        content = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        whole = path if path.startswith("/api") else path[1:] if path[:2] == "//" else V1 + path
        return self.send(method, whole, content, sent)

    def send(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> Reply:
        """One request on a connection of its own."""
        connection = HTTPConnection(self.host, self.port, timeout=WAIT_S_MAX)
        try:
            connection.request(method, path, body=body, headers=headers)
            return _reply(connection.getresponse())
        finally:
            connection.close()

    def say(self, request: bytes) -> bytes:
        """Any bytes on a connection of their own, and the end; all that is said until it closes."""
        with socket.create_connection((self.host, self.port), timeout=WAIT_S_MAX) as connection:
            with suppress(OSError):  # It may have been refused in the middle, and closed.
                connection.sendall(request)
                connection.shutdown(socket.SHUT_WR)
            said = b""
            with suppress(ConnectionError):
                while part := connection.recv(65_536):
                    said += part
            return said

    def made(self, path: str, body: object, **headers: str) -> Any:
        """POST something that must succeed; its JSON."""
        reply = self.post(path, body, **headers)
        if not 200 <= reply.status < 300:
            raise AssertionError(f"POST {path}: {reply.status} {reply.body!r}")
        return reply.json

    def until(self, path: str, is_so: Callable[[Any], bool]) -> Any:
        """GET again and again until the JSON is as it should be. Raises AssertionError."""
        ends_s = time.monotonic() + WAIT_S_MAX
        while True:
            found = self.get(path).json
            if is_so(found):
                return found
            if time.monotonic() > ends_s:
                raise AssertionError(f"GET {path} stays {found}")


def reply_in(said: bytes, method: str = "GET") -> Reply:
    """What `say` heard, as the answer to a request of that method. Raises HTTPException."""
    response = HTTPResponse(_Heard(said), method=method)  # type: ignore[arg-type]
    response.begin()
    return _reply(response)


class _Heard:
    """As much of a socket as is needed to read from it."""

    def __init__(self, said: bytes) -> None:
        self._said = said

    def makefile(self, _mode: str) -> BytesIO:
        return BytesIO(self._said)


def _reply(response: HTTPResponse) -> Reply:
    names: dict[str, str] = {}
    for name, value in response.getheaders():
        seen = names.get(name.lower())
        names[name.lower()] = value if seen is None else f"{seen}, {value}"
    return Reply(response.status, names, response.read())
