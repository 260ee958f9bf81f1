"""The server of `ringback listen`: reads requests, has them judged, and answers or misbehaves.

    head ─► before the body? ─► misbehave
      └───► body ─► judged ─► told ─► the right answer, or what the plan says

Owns its connections: leaving the context ends all of them, whatever they are in the middle of.
Everything that is read has a limit. Never stores anything; `tell` is called for each arrival.
"""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http import HTTPStatus
from types import TracebackType
from typing import Final, Self

from msgspec import Struct

from ringback.clock import Clock
from ringback.errors import CannotListen
from ringback.listen.arrival import Arrival, Finding, Judge, Seen
from ringback.listen.behaviours import BEFORE_BODY, BEHAVIOURS, Visit, chosen, response
from ringback.listen.request import HEAD_BYTES_MAX, Head, Unreadable, read_body, read_head
from ringback.sign.scheme import Reply

CONNECTIONS_MAX: Final = 512
BACKLOG: Final = 128
IDLE_S_MAX: Final = 1.0


class Plan(Struct, frozen=True):
    """What to do instead of answering rightly, and to which share of the requests (0 to 1).

    `behaviour` is a name of `behaviours`, with its argument (`status/503`); empty for none.
    """

    behaviour: str = ""
    share: float = 1.0


class Listener:
    """Listens while its context lasts. Raises CannotListen there."""

    def __init__(
        self,
        host: str,
        port: int,
        *,
        clock: Clock,
        tell: Callable[[Arrival], None],
        judge: Judge | None = None,
        plan: Plan = Plan(),  # noqa: B008  a frozen value
    ) -> None:
        self._host = host
        self.port = port
        self._clock = clock
        self._tell = tell
        self._judge = judge
        self._plan = plan
        self._seen = Seen()
        self._count = 0
        self._server: asyncio.Server | None = None
        self._visits: dict[asyncio.Task[None], Visit] = {}
        self._answering = 0
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def requests(self) -> range:
        """As many as were read to their end."""
        return range(self._count)

    def url(self, path: str = "/") -> str:
        """Where a program on this machine reaches it."""
        shown = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self._host, self._host)  # noqa: S104
        return f"http://{f'[{shown}]' if ':' in shown else shown}:{self.port}{path}"

    async def __aenter__(self) -> Self:
        try:
            self._server = await asyncio.start_server(
                self._visited, self._host, self.port, limit=HEAD_BYTES_MAX, backlog=BACKLOG
            )
        except (OSError, UnicodeError, OverflowError) as error:
            raise CannotListen(
                f"cannot listen on {self._host}:{self.port}"
                f" ({getattr(error, 'strerror', None) or error}); choose another port"
            ) from None
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
        tasks = list(self._visits)
        for task, visit in self._visits.items():
            visit.writer.transport.abort()
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for _ in range(3):  # Transports are gone a few turns of the loop later.
            await asyncio.sleep(0)

    async def idle(self) -> None:
        """Waits until what was read to its end is answered, but not for long: some never are."""
        with suppress(TimeoutError):
            async with asyncio.timeout(IDLE_S_MAX):
                await self._idle.wait()

    async def _visited(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        visit = Visit(self, reader, writer, len(self._visits))
        if task is None or len(self._visits) >= CONNECTIONS_MAX:
            visit.reset()
            return
        self._visits[task] = visit
        try:
            await self._serve(visit)
        except Unreadable as error:
            with suppress(ConnectionError):
                await visit.say(_written(Reply(error.status, body=str(error).encode()), "close"))
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        except asyncio.CancelledError:
            if self._server is not None and self._server.is_serving():
                raise
        finally:
            visit.close()
            del self._visits[task]

    async def _serve(self, visit: Visit) -> None:
        while not visit.writer.is_closing():
            head = await read_head(visit.reader)
            if head is None:
                return
            name, argument = chosen(self._misbehaviour())
            if name in BEFORE_BODY:
                await BEFORE_BODY[name](visit, argument)
                return
            if head.header("expect").lower() == "100-continue":
                await visit.say(b"HTTP/1.1 100 Continue\r\n\r\n")
            body = await read_body(visit.reader, head)
            visit.requests += 1
            self._count += 1
            with self._busy():
                finding = await self._take(head, body, f"{name}/{argument}".strip("/"))
                if name:
                    await BEHAVIOURS[name](visit, argument)
                else:
                    await visit.say(_written(finding.answer, "close" if head.is_last() else ""))
            if head.is_last():
                return

    @contextmanager
    def _busy(self) -> Iterator[None]:
        self._answering += 1
        self._idle.clear()
        try:
            yield
        finally:
            self._answering -= 1
            if not self._answering:
                self._idle.set()

    async def _take(self, head: Head, body: bytes, misbehaviour: str) -> Finding:
        number, at_ms = self._count, self._clock.now_ms()
        finding = Finding(Reply())
        if self._judge is not None:
            finding = await self._judge.find(head, body, now_s=at_ms / 1000)
        arrival = Arrival(
            number=number,
            at_ms=at_ms,
            head=head,
            body=body,
            finding=finding,
            is_repeated=self._seen.knew(finding.event_id),
            misbehaviour=misbehaviour,
        )
        self._tell(arrival)
        return finding

    def _misbehaviour(self) -> str:
        plan = self._plan
        return plan.behaviour if plan.share >= 1 or self._clock.random() < plan.share else ""


def _written(reply: Reply, connection: str) -> bytes:
    reason = HTTPStatus(reply.status).phrase if reply.status in set(HTTPStatus) else "Said So"
    lines = [f"{name}: {text}" for name, text in reply.headers]
    if connection:
        lines.append(f"Connection: {connection}")
    return response(f"{reply.status} {reason}", reply.body, *lines)
