"""One HTTP/1.1 connection, served one request at a time.

    reading ──request complete──▶ serving ──answered──▶ reading, or closed
                                     ▲ │
        more requests came meanwhile └─┘ they wait, up to PIPELINE_MAX, then nothing is read

A request reaches the app as a whole: bodies are small here and bounded, so an app never waits for
the rest of one. Owns framing, limits and keep-alive (RFC 9112); the parser (llhttp, strict) refuses
what could be read in two ways. Knows nothing of paths and methods.

Invariants: every request is answered once, in order, or the connection is closed. A request that is
too large is answered as soon as that is known; the rest of it is read and thrown away, up to
DISCARDED_BYTES_MAX, because closing before would take the answer from whoever is still sending.
Bodies that are not answered yet count, over all connections, as `held_bytes` of the listener; where
they would be more than it allows, a request is answered 503 and its body is thrown away.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, MutableMapping
from http import HTTPStatus
from typing import Any, Final, Protocol
from urllib.parse import unquote

import httptools
import structlog

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Scope]]
Send = Callable[[Scope], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

HEAD_BYTES_MAX: Final = 64 * 1024
HEADERS_MAX: Final = 100
PIPELINE_MAX: Final = 16
WITHOUT_BODY: Final = frozenset({204, 304})  # RFC 9110, 6.4.1
DISCARDED_BYTES_MAX: Final = 16 * 1024 * 1024

log = structlog.get_logger()


def _status_line(status: int) -> bytes:
    phrase = HTTPStatus(status).phrase if status in HTTPStatus._value2member_map_ else ""
    return b"HTTP/1.1 %d %b\r\n" % (status, phrase.encode())


_STATUS_LINES: Final = {status: _status_line(status) for status in range(100, 600)}
_ASGI: Final = {"version": "3.0", "spec_version": "2.3"}
_PROBLEM: Final = (
    b"%b%bcontent-type: application/json\r\nx-content-type-options: nosniff\r\n"
    b"content-length: %d\r\nconnection: close\r\n\r\n%b"
)


class Owner(Protocol):
    """What a connection needs of its listener."""

    app: App
    body_bytes_max: int
    bodies_bytes_max: int
    held_bytes: int  # of bodies that are being read or served, all connections
    date: bytes  # the Date header, with its CRLF
    is_leaving: bool  # each answer is the last one of its connection
    tasks: set[asyncio.Task[None]]

    def opened(self, connection: "Connection") -> bool: ...
    def closed(self, connection: "Connection") -> None: ...
    def now_s(self) -> float: ...


class Connection(asyncio.Protocol):
    def __init__(self, owner: Owner, loop: asyncio.AbstractEventLoop) -> None:
        self._owner = owner
        self._loop = loop
        self._parser = httptools.HttpRequestParser(self)
        self._waiting: deque[_Request] = deque()
        self._serving: _Request | None = None
        self._can_write: asyncio.Future[None] | None = None
        self._is_last = False
        self._is_paused = False
        self._is_enqueued = False
        self._is_reading = False
        self._held_bytes = 0
        self.transport: asyncio.Transport
        self.blocked_since_s: float | None = None
        self.idle_since_s: float | None = owner.now_s()

    # ---- what the listener does -----------------------------------------------------------------

    def finish(self) -> None:
        """Close as soon as nothing is being served, nor a request half here."""
        self._is_last = True
        self._waiting.clear()
        if self._serving is None and not self._is_reading:
            self.transport.close()

    # ---- what the transport tells ---------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]
        if not self._owner.opened(self):
            self._refuse(503, "too many connections; try again later")

    def data_received(self, chunk: bytes) -> None:
        try:
            self._parser.feed_data(chunk)
        except httptools.HttpParserUpgrade:
            self._is_last = True  # we speak nothing else: answer the request, then hang up
        except httptools.HttpParserCallbackError as error:
            self._refuse(431, str(error.__context__ or error))
        except httptools.HttpParserError as error:
            self._refuse(400, f"not an HTTP/1.1 request: {error}")

    def eof_received(self) -> bool:
        """The other side sends no more. It may still read what is under way, or be gone."""
        self._is_last = True
        if self._serving is None:
            return False
        self._serving.hang_up()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        self._owner.closed(self)
        self._waiting.clear()
        self._let_go(self._held_bytes)
        self.resume_writing()
        if self._serving is not None:
            self._serving.lose()

    def pause_writing(self) -> None:
        self.blocked_since_s = self._owner.now_s()
        self._can_write = self._loop.create_future()

    def resume_writing(self) -> None:
        self.blocked_since_s = None
        can_write, self._can_write = self._can_write, None
        if can_write is not None and not can_write.done():
            can_write.set_result(None)

    # ---- what the parser tells ------------------------------------------------------------------

    def on_message_begin(self) -> None:
        self._is_enqueued = False
        self._is_reading = True
        self._url = b""
        self._headers: Headers = []
        self._body: list[bytes] = []
        self._head_bytes = 0
        self._body_bytes = 0

    def on_url(self, url: bytes) -> None:
        self._url += url
        self._count_head(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name.lower(), value))
        self._count_head(len(name) + len(value))

    def on_headers_complete(self) -> None:
        is_awaited = False
        for name, value in self._headers:
            if name == b"content-length" and int(value) > self._owner.body_bytes_max:
                self._enqueue_too_large()
            elif name == b"expect" and value.lower() == b"100-continue":
                is_awaited = True
        if is_awaited and not self._is_enqueued:
            self.transport.write(_STATUS_LINES[100] + b"\r\n")

    def on_body(self, chunk: bytes) -> None:
        self._body_bytes += len(chunk)
        if not self._is_enqueued:
            self._body.append(chunk)
            self._held_bytes += len(chunk)
            self._owner.held_bytes += len(chunk)
            if self._body_bytes > self._owner.body_bytes_max:
                self._enqueue_too_large()
            elif self._owner.held_bytes > self._owner.bodies_bytes_max:
                self._enqueue_unread()
        elif self._body_bytes > DISCARDED_BYTES_MAX:
            self.transport.abort()

    def on_message_complete(self) -> None:
        self._is_reading = False
        if not self._is_enqueued:
            self._enqueue()
        elif self._serving is None:
            self.transport.close()

    def _enqueue_too_large(self) -> None:
        """The app refuses it, by its Content-Length or by what has come."""
        self._is_last = True
        self._enqueue()

    def _enqueue_unread(self) -> None:
        """There is no memory for it: it is answered without the app."""
        self._is_last = True
        self._let_go(sum(map(len, self._body)))
        self._body = []
        self._enqueue(_no_room)

    def _let_go(self, size: int) -> None:
        self._held_bytes -= size
        self._owner.held_bytes -= size

    def _count_head(self, size: int) -> None:
        self._head_bytes += size
        if self._head_bytes > HEAD_BYTES_MAX or len(self._headers) > HEADERS_MAX:
            raise ValueError(
                f"the head of a request may have {HEAD_BYTES_MAX} bytes and {HEADERS_MAX} headers"
            )

    # ---- serving --------------------------------------------------------------------------------

    def _enqueue(self, app: App | None = None) -> None:
        self._is_enqueued = True
        parser = self._parser
        body = self._body[0] if len(self._body) == 1 else b"".join(self._body)
        version = parser.get_http_version()
        is_kept = version != "1.0" and parser.should_keep_alive()
        app = app or self._owner.app
        request = _Request(self, app, self._scope(version), body, is_kept=is_kept)
        self._body = []
        if self._serving is None:
            self._serve(request)
        else:
            self._waiting.append(request)
            if len(self._waiting) >= PIPELINE_MAX and not self._is_paused:
                self._is_paused = True
                self.transport.pause_reading()

    def _scope(self, version: str) -> Scope:
        target, _, query = self._url.partition(b"?")
        if not target.startswith(b"/"):  # absolute form (RFC 9112, 3.2.2), or `*`
            target = httptools.parse_url(self._url).path or b"/"
        path = target.decode("latin-1")
        return {
            "type": "http",
            "asgi": _ASGI,
            "http_version": version,
            "method": self._parser.get_method().decode("ascii"),
            "scheme": "http",
            "path": unquote(path) if "%" in path else path,
            "raw_path": target,
            "query_string": query.partition(b"#")[0],
            "root_path": "",
            "headers": self._headers,
            "server": self.transport.get_extra_info("sockname"),
            "client": self.transport.get_extra_info("peername"),
        }

    def _serve(self, request: "_Request") -> None:
        self._serving = request
        self.idle_since_s = None
        task = self._loop.create_task(request.run())
        self._owner.tasks.add(task)
        task.add_done_callback(self._owner.tasks.discard)

    def answered(self, request: "_Request", *, is_whole: bool) -> None:
        """A request is done with; go on to the next."""
        self._serving = None
        self._let_go(request.size)
        self.idle_since_s = self._owner.now_s()
        if not is_whole:
            self.transport.abort()
        elif self._waiting and request.is_kept:
            self._serve(self._waiting.popleft())
            self._resume()
        elif not request.is_kept or (self._is_last and not self._is_discarding):
            self.transport.close()

    @property
    def _is_discarding(self) -> bool:
        """The rest of a refused request is still coming."""
        return self._is_enqueued and self._is_reading

    def _resume(self) -> None:
        if self._is_paused and not self._waiting and not self.transport.is_closing():
            self._is_paused = False
            self.transport.resume_reading()

    async def write(self, chunk: bytes) -> None:
        """Send, and wait while the other side is slow to read."""
        self.transport.write(chunk)
        while self._can_write is not None:
            await self._can_write

    def head(self, request: "_Request", status: int, headers: Headers) -> bytes:
        lines = [_STATUS_LINES[status], self._owner.date]
        if self._owner.is_leaving:
            self._is_last = True
        for name, value in headers:
            if name == b"connection" and value.lower() == b"close":
                request.is_kept = False
            else:
                lines += (name, b": ", value, b"\r\n")
        if not request.is_kept or (self._is_last and not self._waiting):
            lines.append(b"connection: close\r\n")
        lines.append(b"\r\n")
        return b"".join(lines)

    def _refuse(self, status: int, detail: str) -> None:
        """Answer what cannot be served, and hang up. In the shape of the API's errors."""
        self._is_last = True
        self._waiting.clear()
        if self._serving is None:
            text = detail.replace("\\", "/").replace('"', "'")
            body = b'{"code":"bad_request","detail":"%b"}' % text.encode("ascii", "replace")
            head = _STATUS_LINES[status], self._owner.date
            self.transport.write(_PROBLEM % (*head, len(body), body))
            self.transport.close()


class _Request:
    """One call of the app: its `receive` and `send`."""

    __slots__ = (
        "_app",
        "_body",
        "_connection",
        "_gone",
        "_is_chunked",
        "_is_hung_up",
        "_start",
        "_state",
        "is_kept",
        "scope",
        "size",
    )

    def __init__(
        self, connection: Connection, app: App, scope: Scope, body: bytes, *, is_kept: bool
    ) -> None:
        self._connection = connection
        self._app = app
        self._body: bytes | None = body
        self._gone: asyncio.Event | None = None
        self._start: Scope | None = None
        self._is_chunked = False
        self._is_hung_up = False
        self._state = "new"  # new, begun (the head is out), whole, lost (cut off), gone
        self.scope = scope
        self.size = len(body)
        self.is_kept = is_kept

    async def run(self) -> None:
        try:
            await self._app(self.scope, self.receive, self.send)
        except asyncio.CancelledError:
            self._state = "lost"  # being cut off is an end, not an error
        except Exception:
            log.exception("request_broke", path=self.scope["path"])
        if self._state == "new":
            await self._answer_500()
        if self._state != "gone":
            self._connection.answered(self, is_whole=self._state == "whole")

    def lose(self) -> None:
        """The connection is gone."""
        self._state = "gone"
        self.hang_up()

    def hang_up(self) -> None:
        """Nothing more will come: an app that waits for that hears it."""
        self._is_hung_up = True
        if self._gone is not None:
            self._gone.set()

    async def receive(self) -> Scope:
        if self._body is not None:
            body, self._body = self._body, None
            return {"type": "http.request", "body": body, "more_body": False}
        if not self._is_hung_up:
            self._gone = asyncio.Event()
            await self._gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Scope) -> None:
        if self._state == "gone":
            return
        if message["type"] == "http.response.start":
            self._start = message
            return
        body: bytes = message.get("body", b"")
        has_more: bool = message.get("more_body", False)
        if self._state == "new":
            body = self._begin(len(body), has_more=has_more) + self._framed(body)
        else:
            body = self._framed(body)
        if not has_more:
            self._state = "whole"
            if self._is_chunked:
                body += b"0\r\n\r\n"
        await self._connection.write(body)

    def _begin(self, size: int, *, has_more: bool) -> bytes:
        """The head, once it is known whether the body comes in one piece."""
        if self._start is None:
            raise RuntimeError("an answer begins with its head")
        status: int = self._start["status"]
        headers: Headers = list(self._start["headers"])
        names = {name for name, _ in headers}
        if b"content-length" not in names and status not in WITHOUT_BODY:
            if has_more:
                self._is_chunked = True
                headers.append((b"transfer-encoding", b"chunked"))
            else:
                headers.append((b"content-length", b"%d" % size))
        self._state = "begun"
        return self._connection.head(self, status, headers)

    def _framed(self, body: bytes) -> bytes:
        if not self._is_chunked or not body:
            return body
        return b"%x\r\n%b\r\n" % (len(body), body)

    async def _answer_500(self) -> None:
        body = b'{"code":"server_error","detail":"The server could not answer; see its log."}'
        await _answer(self.send, 500, body, (b"connection", b"close"))


async def _no_room(_scope: Scope, _receive: Receive, send: Send) -> None:
    """An app for requests whose body finds no place in memory."""
    body = b'{"code":"unavailable","detail":"Too much is being received; try again shortly."}'
    await _answer(send, 503, body, (b"retry-after", b"1"))


async def _answer(send: Send, status: int, body: bytes, *more: tuple[bytes, bytes]) -> None:
    headers = [
        (b"content-type", b"application/json"),
        (b"x-content-type-options", b"nosniff"),
        (b"content-length", b"%d" % len(body)),
        *more,
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
