"""The floor: the whole path with nothing in it.

A bare ASGI app under uvicorn that takes a message and posts its payload to every URL of its
application over kept connections. It validates, signs, stores, retries and limits nothing, and
loses everything at its end. What a real server costs more than this is the price of what it does.
Messages to an application without endpoints measure bare accepts.
"""

import asyncio
import sys
from collections import deque
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final, cast
from urllib.parse import urlsplit

import httptools
import msgspec
import uvicorn

Message = MutableMapping[str, Any]
CONNECTIONS_PER_ORIGIN: Final = 64
PAYLOAD: Final = b'"payload":'
JSON: Final = [(b"content-type", b"application/json")]
ACCEPTED: Final = {"id": "msg_0", "eventType": "", "payload": {}, "timestamp": ""}


class Sender(asyncio.Protocol):
    """One kept connection to a receiver, one request at a time."""

    def __init__(self, origin: "Origin") -> None:
        self._origin = origin
        self._parser = httptools.HttpResponseParser(self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._origin.is_free(self)

    def send(self, request: bytes) -> None:
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_complete(self) -> None:
        self._origin.is_free(self)


class Origin:
    """A receiver's host and port, its connections and what waits for one."""

    def __init__(self, host: str, port: int) -> None:
        self._host, self._port = host, port
        self._free: list[Sender] = []
        self._waiting: deque[bytes] = deque()
        self._opening: set[asyncio.Task[Any]] = set()
        self._opened = 0

    def post(self, request: bytes) -> None:
        if self._free:
            self._free.pop().send(request)
            return
        self._waiting.append(request)
        if self._opened < CONNECTIONS_PER_ORIGIN:
            self._opened += 1
            loop = asyncio.get_running_loop()
            opening = loop.create_task(
                loop.create_connection(lambda: Sender(self), self._host, self._port)
            )
            self._opening.add(opening)
            opening.add_done_callback(self._opening.discard)

    def is_free(self, sender: Sender) -> None:
        if self._waiting:
            sender.send(self._waiting.popleft())
        else:
            self._free.append(sender)


class Relay:
    """The ASGI app: just enough of the API for the benchmarks."""

    def __init__(self) -> None:
        self._origins: dict[tuple[str, int], Origin] = {}
        self._targets: dict[str, list[tuple[Origin, bytes]]] = {}

    async def __call__(
        self,
        scope: Message,
        receive: Callable[[], Awaitable[Message]],
        send: Callable[[Message], Awaitable[None]],
    ) -> None:
        body = b""
        while True:
            message = await receive()
            body += message["body"]
            if not message.get("more_body"):
                break
        status, answer = self._handle(scope["path"], body)
        await send({"type": "http.response.start", "status": status, "headers": JSON})
        await send({"type": "http.response.body", "body": answer})

    def _handle(self, path: str, body: bytes) -> tuple[int, bytes]:
        match path.strip("/").split("/"):
            case [_, _, "app", app, "msg"]:
                self._relay(app, body)
                return 202, msgspec.json.encode(ACCEPTED)
            case [_, _, "app", app, "endpoint"]:
                self._add(app, msgspec.json.decode(body)["url"])
                return 201, b'{"id":"ep_0"}'
            case [_, _, "app"]:
                app = f"app_{len(self._targets)}"
                self._targets[app] = []
                return 201, msgspec.json.encode({"id": app})
            case [_, _, "health", "ping"]:
                return 204, b""
        return 404, b"{}"

    def _add(self, app: str, url: str) -> None:
        parts = urlsplit(url)
        key = parts.hostname or "", parts.port or 80
        origin = self._origins.setdefault(key, Origin(*key))
        head = f"POST {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Length: "
        self._targets[app].append((origin, head.encode()))

    def _relay(self, app: str, body: bytes) -> None:
        payload = body[body.index(PAYLOAD) + len(PAYLOAD) : -1]
        rest = b"%d\r\n\r\n%b" % (len(payload), payload)
        for origin, head in self._targets[app]:
            origin.post(head + rest)


if __name__ == "__main__":
    uvicorn.run(
        Relay(),
        host="127.0.0.1",
        port=int(sys.argv[1]),
        loop="uvloop",
        http="httptools",
        log_level="warning",
        access_log=False,
        lifespan="off",
    )
