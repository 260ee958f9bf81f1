"""A way to a PostgreSQL server that can be spoilt: slow, silent, cut, or cut at the worst moment.

    async with Gate.to(url) as gate:
        …  connect to gate.url(url)  …
        gate.cut()                               every connection is reset
        gate.is_silent = True                    nothing gets through, and nobody is told
        gate.lose(Loss.ANSWER, "accept_messages")

A loss strikes when a client runs a statement whose text holds a word. Its ANSWER: the server has
run the statement, and committed it, when the connection is reset. Its QUESTION: the statement never
got there.
"""

import asyncio
import struct
from enum import Enum
from types import TracebackType
from typing import Final, Self, cast
from urllib.parse import urlsplit, urlunsplit

HEADER: Final = struct.Struct("!cI")  # type and length of a message, the length without the type
LENGTH: Final = struct.Struct("!I")
START_WITHIN_S: Final = 60.0
LOST_WITHIN_S: Final = 60.0
DEFAULT_PORT: Final = 5432
SSL_REQUEST_BYTES: Final = 8


class Loss(Enum):
    ANSWER = "answer"
    QUESTION = "question"


class Gate:
    """Serves on a free loopback port. `opened` counts connections.

    `delay_s` holds up all that is answered.
    """

    def __init__(self, host: str, port: int) -> None:
        self.server = (host, port)
        self.port = 0
        self.delay_s = 0.0
        self.opened = 0
        self._server: asyncio.Server | None = None
        self._ways: set[_Way] = set()
        self._is_silent = False
        self._loss = Loss.ANSWER
        self._word = b""
        self._changed = asyncio.Event()

    @classmethod
    def to(cls, url: str) -> Self:
        """To the server of a database."""
        parts = urlsplit(url)
        return cls(parts.hostname or "127.0.0.1", parts.port or DEFAULT_PORT)

    def url(self, url: str) -> str:
        """The same database, through here."""
        parts = urlsplit(url)
        user, at, _ = parts.netloc.rpartition("@")
        return urlunsplit(parts._replace(netloc=f"{user}{at}127.0.0.1:{self.port}"))

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Front(self), "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._server is not None:
            self._server.close()
        self.cut()
        for _ in range(3):  # Transports are gone a few turns of the loop later.
            await asyncio.sleep(0)

    @property
    def is_silent(self) -> bool:
        return self._is_silent

    @is_silent.setter
    def is_silent(self, is_silent: bool) -> None:
        """What was swallowed meanwhile stays so: such connections are reset when it is over."""
        self._is_silent = is_silent
        if not is_silent:
            for way in [way for way in self._ways if way.has_swallowed]:
                way.reset()

    def cut(self) -> None:
        """Reset every connection."""
        for way in list(self._ways):
            way.reset()

    def lose(self, loss: Loss, word: str) -> None:
        """Let it happen to the next statement that holds the word."""
        self._loss, self._word = loss, word.encode()

    async def has_lost(self) -> None:
        """Wait until it has happened. Raises TimeoutError."""
        async with asyncio.timeout(LOST_WITHIN_S):
            while self._word:
                self._changed.clear()
                await self._changed.wait()

    # ---- what the ways ask ----------------------------------------------------------------------

    def entered(self, way: "_Way") -> None:
        self.opened += 1
        self._ways.add(way)

    def left(self, way: "_Way") -> None:
        self._ways.discard(way)

    def strikes(self, text: bytes) -> Loss | None:
        """Whether a statement is to be lost."""
        if not self._word or self._word not in text:
            return None
        self._word = b""
        self._changed.set()
        return self._loss


class _Way:
    """One client and its connection to the server."""

    def __init__(self, gate: Gate, client: asyncio.Transport) -> None:
        self._gate = gate
        self._client = client
        self._server: asyncio.Transport | None = None
        self._early = bytearray()
        self._statements = _Statements()
        self._is_answer_lost = False
        self.has_swallowed = False
        self._dialling = asyncio.get_running_loop().create_task(self._dial())
        gate.entered(self)

    async def _dial(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(START_WITHIN_S):
                transport, _ = await loop.create_connection(lambda: _Back(self), *self._gate.server)
        except OSError:
            self.reset()
            return
        self._server = transport
        transport.write(bytes(self._early))

    def asked(self, sent: bytes) -> None:
        if self._gate.is_silent:
            self.has_swallowed = True
            return
        loss = None
        for text in self._statements.run_by(sent):
            loss = loss or self._gate.strikes(text)
        if loss is Loss.QUESTION:
            self.reset()
            return
        self._is_answer_lost |= loss is Loss.ANSWER
        if self._server is None:
            self._early += sent
        else:
            self._server.write(sent)

    def answered(self, sent: bytes) -> None:
        if self._is_answer_lost:
            self.reset()
        elif self._gate.is_silent:
            self.has_swallowed = True
        elif self._gate.delay_s:
            loop = asyncio.get_running_loop()
            loop.call_later(self._gate.delay_s, self._client.write, sent)
        else:
            self._client.write(sent)

    def reset(self) -> None:
        """Both ends are told, at once."""
        self._gate.left(self)
        self._dialling.cancel()
        for transport in (self._client, self._server):
            if transport is not None:
                transport.abort()


class _Front(asyncio.Protocol):
    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._way: _Way | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._way = _Way(self._gate, cast(asyncio.Transport, transport))

    def data_received(self, received: bytes) -> None:
        if self._way is not None:
            self._way.asked(received)

    def connection_lost(self, error: Exception | None) -> None:
        if self._way is not None:
            self._way.reset()


class _Back(asyncio.Protocol):
    def __init__(self, way: _Way) -> None:
        self._way = way

    def data_received(self, received: bytes) -> None:
        self._way.answered(received)

    def connection_lost(self, error: Exception | None) -> None:
        self._way.reset()


class _Statements:
    """Reads what a client sends, and knows the text of what it runs.

    The extended protocol: Parse gives a text a name, Bind runs the text of a name.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._has_begun = False
        self._texts: dict[bytes, bytes] = {}

    def run_by(self, sent: bytes) -> list[bytes]:
        self._buffer += sent
        if not self._has_begun and not self._begin():
            return []
        texts = []
        while len(self._buffer) >= HEADER.size:
            kind, length = HEADER.unpack_from(self._buffer)
            if len(self._buffer) < length + 1:
                break
            body = bytes(self._buffer[HEADER.size : length + 1])
            del self._buffer[: length + 1]
            if kind == b"P":
                name, text, _ = body.split(b"\0", 2)
                self._texts[name] = text
            elif kind == b"B":
                _, name, _ = body.split(b"\0", 2)
                texts.append(self._texts.get(name, b""))
            elif kind == b"Q":
                texts.append(body)
        return texts

    def _begin(self) -> bool:
        """Requests for TLS and the startup message have no type."""
        while len(self._buffer) >= LENGTH.size:
            (length,) = LENGTH.unpack_from(self._buffer)
            if len(self._buffer) < length:
                return False
            del self._buffer[:length]
            if length != SSL_REQUEST_BYTES:
                self._has_begun = True
                return True
        return False
