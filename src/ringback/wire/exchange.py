"""One connection: a request out, its response in, one at a time, over and over.

    idle ──send──▶ waiting ──bytes──▶ heard ──response complete──▶ idle, or closed
                      │                  │
                      └─── lost · late · over a limit · not HTTP ───▶ closed

Owns sending, and the decision whether the connection may be used again. Opens nothing, retries
nothing, knows no policy. Every `send` is answered by exactly one Reply or Failure.

Invariants: nothing may arrive on an idle connection (if it does, the connection is closed, so that
it is never taken for the answer to the next request); after a limit, an error or an answer that
came before the request was sent, the connection is closed.
"""

import asyncio
from collections.abc import Callable
from typing import Final, NamedTuple

from ringback.config import Settings
from ringback.model import Timings
from ringback.wire.port import Failure, Reason, Reply, Request
from ringback.wire.response import ResponseReader

SLICE_BYTES: Final = 64 * 1024

Setup = tuple[float | None, float | None, float | None]
_NO_SETUP: Final[Setup] = (None, None, None)


class Origin(NamedTuple):
    """What a connection leads to: the checked address, and the name for which it was opened.

    The name is part of it without TLS too, so that two names on one address share nothing.
    """

    address: str
    port: int
    host: str
    is_tls: bool


class Connection(asyncio.Protocol):
    """The protocol of one connection. `on_free` and `on_lost` tell the pool about it.

    `is_stale` says that it was lost as a reused connection before anything was heard.
    """

    def __init__(
        self,
        origin: Origin,
        *,
        settings: Settings,
        now: Callable[[], float],
        on_free: Callable[["Connection"], None],
        on_lost: Callable[["Connection"], None],
    ) -> None:
        self.origin = origin
        self.is_stale = False
        self._timeout_s = settings.delivery_timeout_s
        self._now = now
        self._on_free = on_free
        self._on_lost = on_lost
        self._loop = asyncio.get_running_loop()
        self._reader: ResponseReader | None = ResponseReader(settings)
        self._waiter: asyncio.Future[Reply | Failure] | None = None
        self._unsent: memoryview | None = None
        self._heard_at: float | None = None
        self._received_at = 0.0
        self._is_reused = False
        self._is_paused = False
        self.transport: asyncio.Transport | None = None

    @property
    def is_open(self) -> bool:
        return self.transport is not None and not self.transport.is_closing()

    # What the client does

    def send(
        self, request: Request, started: float, setup: Setup = _NO_SETUP
    ) -> asyncio.Future[Reply | Failure]:
        """Starts an exchange. `started` is when the attempt began, `setup` its DNS, TCP and TLS."""
        self._waiter = waiter = self._loop.create_future()
        self._started = started
        self._setup = setup
        self._heard_at = None
        if self.transport is None or self._reader is None:
            self._lose()
            return waiter
        self._reader.begin()
        head, body = request.target.head, request.body
        if len(body) <= SLICE_BYTES:
            self.transport.write(
                b"%b%bContent-Length: %d\r\n\r\n%b" % (head, request.headers, len(body), body)
            )
        else:
            self.transport.write(
                b"%b%bContent-Length: %d\r\n\r\n" % (head, request.headers, len(body))
            )
            self._unsent = memoryview(body)
            self._pump()
        return waiter

    def fail(self, reason: Reason, detail: str) -> None:
        """Ends the exchange, if there is one, and closes the connection."""
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(Failure(reason, detail, self._timings(self._now())))
        self.abort()

    def expire(self) -> None:
        """The attempt's time is up."""
        late = "no response" if self._heard_at is None else "the response was not complete"
        self.fail(Reason.TIMEOUT, f"{late} within {self._timeout_s:g} s")

    def abort(self) -> None:
        """Closes at once, without waiting for the other side."""
        self._waiter = None
        if self.transport is not None:
            self.transport.abort()

    # What the transport tells

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]

    def data_received(self, chunk: bytes) -> None:
        reader = self._reader
        if self._waiter is None or reader is None:
            self.abort()
            return
        self._received_at = now = self._now()
        if self._heard_at is None:
            self._heard_at = now
        reader.feed(chunk)
        if reader.is_done:
            self._answer(reader)
        elif reader.error is not None:
            self.fail(Reason.BAD_RESPONSE, reader.error)

    def eof_received(self) -> None:
        if self._waiter is not None and self._reader is not None:
            self._reader.end()
            if self._reader.is_done:
                self._answer(self._reader)
            else:
                self._lose()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._waiter is not None:
            self._lose()
        self.transport = None
        self._reader = None  # It and its parser refer to one another; this frees them at once.
        self._unsent = None
        self._on_lost(self)

    def pause_writing(self) -> None:
        self._is_paused = True

    def resume_writing(self) -> None:
        self._is_paused = False
        self._pump()

    # Details

    def _pump(self) -> None:
        """Writes what is unsent, slice by slice, for as long as the transport takes it."""
        while self._unsent is not None and not self._is_paused and self.transport is not None:
            part, rest = self._unsent[:SLICE_BYTES], self._unsent[SLICE_BYTES:]
            self._unsent = rest if rest else None
            self.transport.write(part)

    def _answer(self, reader: ResponseReader) -> None:
        waiter, self._waiter = self._waiter, None
        reply = reader.reply(self._timings(self._received_at))
        if reader.is_last or self._unsent is not None or not self.is_open:
            self.abort()
        else:
            self._is_reused = True
            self._on_free(self)
        if waiter is not None and not waiter.done():
            waiter.set_result(reply)

    def _lose(self) -> None:
        self.is_stale = self._is_reused and self._heard_at is None
        if self._heard_at is not None:
            reason, when = Reason.RESET, "in the middle of its response"
        elif self._unsent is None:
            reason, when = Reason.RESET, "without a response"
        else:
            reason, when = Reason.SEND, "before it had the whole request"
        self.fail(reason, f"the receiver closed the connection {when}")

    def _timings(self, now: float) -> Timings:
        dns_ms, connect_ms, tls_ms = self._setup
        heard = self._heard_at
        return Timings(
            dns_ms,
            connect_ms,
            tls_ms,
            None if heard is None else milliseconds(heard - self._started),
            milliseconds(now - self._started),
        )


def milliseconds(seconds: float) -> float:
    """Cut to whole microseconds, so that they are short when stored."""
    return int(seconds * 1_000_000) / 1_000
