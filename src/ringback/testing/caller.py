"""A caller of the API over one kept-alive connection: small, and exact about what is certain.

A call returns when its whole answer was read, or raises ConnectionError: `Refused` when the
request cannot have been received, `Broken` when nobody knows what became of it.
"""

import asyncio
from types import TracebackType
from typing import Any, Final, Self

import msgspec
from msgspec import Struct

HEAD_BYTES_MAX: Final = 64 * 1024
CALL_S_MAX: Final = 60.0


class Refused(ConnectionError):
    """There was no connection, so the request was not received."""


class Broken(ConnectionError):
    """The connection ended between request and answer: it may have been served."""


class Answer(Struct, frozen=True):
    """Header names are in lower case; of repeated ones, the last counts."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.body)


class Caller:
    """One connection, opened when it is needed; calls of several tasks take turns."""

    def __init__(self, url: str, token: str) -> None:
        host, _, port = url.removeprefix("http://").rpartition(":")
        self.url = url
        self._host, self._port = host.strip("[]"), int(port)
        self._head = f"Host: {host}\r\nAuthorization: Bearer {token}\r\n"
        self._lock = asyncio.Lock()
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].transport.abort()
            self._streams = None

    async def get(self, path: str) -> Answer:
        return await self.call("GET", path)

    async def post(self, path: str, body: object = b"", **headers: str) -> Answer:
        return await self.call("POST", path, body, **headers)

    async def made(self, path: str, body: object) -> Any:
        """POST something that must succeed; its JSON."""
        answer = await self.post(path, body)
        if not 200 <= answer.status < 300:
            raise AssertionError(f"POST {path}: {answer.status} {answer.body.decode()}")
        return answer.json

    async def changed(self, path: str, body: object) -> Any:
        """PATCH something that must succeed; its JSON."""
        answer = await self.call("PATCH", path, body)
        if not 200 <= answer.status < 300:
            raise AssertionError(f"PATCH {path}: {answer.status} {answer.body.decode()}")
        return answer.json

    async def call(self, method: str, path: str, body: object = b"", **headers: str) -> Answer:
        """`path` comes after `/api/v1`; a `body` that is not bytes is sent as JSON.

        Underscores in header names stand for hyphens. Raises Refused, Broken or TimeoutError.
        """
        content = body if isinstance(body, bytes) else msgspec.json.encode(body)
        lines = [f"{method} /api/v1{path} HTTP/1.1\r\n", self._head]
        lines += [f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items()]
        if content:
            lines.append("Content-Type: application/json\r\n")
        lines.append(f"Content-Length: {len(content)}\r\n\r\n")
        request = "".join(lines).encode("latin-1") + content
        async with self._lock:
            try:
                async with asyncio.timeout(CALL_S_MAX):
                    return await self._exchange(request)
            except BaseException:
                self.close()
                raise

    async def _exchange(self, request: bytes) -> Answer:
        reader, writer = self._streams or await self._connected()
        try:
            writer.write(request)
            await writer.drain()
            head = await reader.readuntil(b"\r\n\r\n")
            status, headers = _parsed(head)
            body = await reader.readexactly(int(headers.get("content-length", "0")))
        except (OSError, asyncio.IncompleteReadError) as error:
            raise Broken("the connection ended before the answer") from error
        if headers.get("connection", "") == "close":
            self.close()
        return Answer(status, headers, body)

    async def _connected(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        try:
            self._streams = await asyncio.open_connection(
                self._host, self._port, limit=HEAD_BYTES_MAX
            )
        except OSError as error:
            raise Refused("nobody listens") from error
        return self._streams


def _parsed(head: bytes) -> tuple[int, dict[str, str]]:
    first, *lines = head.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
    pairs = (line.partition(":") for line in lines)
    return int(first.split(" ")[1]), {name.lower(): value.strip() for name, _, value in pairs}
