"""What an acknowledgement costs and how long it takes: `python -m bench.inbox [postgresql://…]`.

    alone      nobody processes; senders wait for each receipt before they send the next event
    working    the same while a worker handles what comes, each event in a transaction
    hogging    SQLite: while handlers keep the transaction for as long as they may
    drained    how fast a backlog is worked through
    HTTP       Stripe's requests to an app in a process of its own, by the ASGI adapter behind
               uvicorn, which works through them meanwhile; from when each was due to its 200

Without a URL it runs on SQLite in the current directory's filesystem, and on a PostgreSQL server of
its own if there is one on this machine (which does not wait for the disk: see its settings).
"""

import asyncio
import contextlib
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

from ringback.receive.inbox import Inbox, InboxEvent, InboxSettings, Transaction
from ringback.testing.inbox import Table, all_done, an_event, inbox_database
from ringback.testing.inbox_process import InboxProcess, request_of, status_of

EVENTS = 6_000
SENDERS = (1, 32, 256)
PADDING = "x" * 600
TIGHTEST_BUDGET_MS = 1_250  # Wix
SLOW_S = 0.45
RATES = (50, 200, 500)
HTTP_S = 10
CONNECTIONS = 64


def main() -> None:
    urls = dict(_databases(sys.argv[1:]))
    print(f"{'':26}{'senders':>8}{'events/s':>10}{'p50 ms':>9}{'p99 ms':>9}{'max ms':>9}")
    for name, context in urls.items():
        with context as url:
            asyncio.run(_measure(name, url))


def _databases(given: list[str]) -> Iterator[tuple[str, Any]]:
    if given:
        yield "given", contextlib.nullcontext(given[0])
        return
    with contextlib.suppress(RuntimeError):
        directory = tempfile.TemporaryDirectory(dir=".", prefix="bench-inbox-")
        yield "SQLite", _sqlite(directory)
        yield "PostgreSQL", inbox_database("postgres", Path(directory.name))


@contextlib.contextmanager
def _sqlite(directory: tempfile.TemporaryDirectory[str]) -> Iterator[str]:
    with directory as name, inbox_database("sqlite", Path(name).absolute()) as url:
        yield url


async def _measure(name: str, url: str) -> None:
    settings = InboxSettings(receive_timeout_s=30)
    table = Table(url)
    await table.create()
    for senders in SENDERS:
        async with _opened(Inbox(url, settings=settings)) as inbox:
            await _send(f"{name} alone", inbox, senders=senders)
    backlog = EVENTS * len(SENDERS)
    inbox, is_drained = _handling(url, settings, table, backlog)
    started = time.perf_counter()
    async with inbox.running():
        await is_drained.wait()
        took_s = time.perf_counter() - started
        print(f"{name + ' drained':26}{'':8}{backlog / took_s:10,.0f}", flush=True)
        await _send(f"{name} working", inbox, senders=32)
        await all_done(inbox)
    await _over_http(name, url)
    if url.startswith("sqlite"):
        inbox = _hogging(url, settings, table)
        async with inbox.running():
            await _send(f"{name} hogging", inbox, senders=32, events=320)


async def _over_http(name: str, url: str) -> None:
    """An open loop: what is due is sent, however long earlier answers take."""
    with tempfile.TemporaryDirectory() as directory:
        async with InboxProcess(url, Path(directory)) as receiver:
            await receiver.start()
            await _post(receiver.port, rate=RATES[0], seconds=1)
            for rate in RATES:
                taken = await _post(receiver.port, rate=rate, seconds=HTTP_S)
                _show(f"{name} HTTP at {rate}/s", len(taken) / HTTP_S, taken)


async def _post(port: int, *, rate: int, seconds: int) -> list[float]:
    """Milliseconds from when a request was due until its answer."""
    loop, taken = asyncio.get_running_loop(), list[float]()
    begun, numbers = loop.time(), iter(range(rate * seconds))

    async def send() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for number in numbers:
            due = begun + number / rate
            await asyncio.sleep(max(due - loop.time(), 0))
            writer.write(request_of(f"evt_{time.time_ns()}_{number}", padding=PADDING))
            if await status_of(reader) != 200:
                raise RuntimeError("the receiver refused an event")
            taken.append((loop.time() - due) * 1_000)
        writer.close()

    async with asyncio.TaskGroup() as group:
        for _ in range(CONNECTIONS):
            group.create_task(send())
    return taken


def _handling(
    url: str, settings: InboxSettings, table: Table, backlog: int
) -> tuple[Inbox, asyncio.Event]:
    """The event is set when as many were handled."""
    inbox, is_drained, left = Inbox(url, settings=settings), asyncio.Event(), iter(range(backlog))

    @inbox.on("stripe")
    async def ship(event: InboxEvent, transaction: Transaction) -> None:
        await transaction.execute(table.insert, event.id)
        if next(left, backlog) == backlog - 1:
            is_drained.set()

    return inbox, is_drained


def _hogging(url: str, settings: InboxSettings, table: Table) -> Inbox:
    inbox = Inbox(url, settings=settings)

    @inbox.on("stripe")
    async def ship(event: InboxEvent, transaction: Transaction) -> None:
        await transaction.execute(table.insert, event.id)
        await asyncio.sleep(SLOW_S)

    return inbox


@contextlib.asynccontextmanager
async def _opened(inbox: Inbox) -> AsyncIterator[Inbox]:
    await inbox.open()
    try:
        yield inbox
    finally:
        await inbox.close()


async def _send(name: str, inbox: Inbox, *, senders: int, events: int = EVENTS) -> None:
    names = iter([f"evt_{time.time_ns()}_{number}" for number in range(events)])
    took_ms: list[float] = []

    async def send() -> None:
        for event_id in names:
            event = an_event(event_id, padding=PADDING)
            started = time.perf_counter()
            await inbox.receive(event)
            took_ms.append((time.perf_counter() - started) * 1_000)

    started = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for _ in range(senders):
            group.create_task(send())
    _show(name, events / (time.perf_counter() - started), took_ms, senders=senders)


def _show(name: str, rate: float, took_ms: list[float], *, senders: int = CONNECTIONS) -> None:
    took_ms.sort()
    p50, p99, most = (took_ms[int((len(took_ms) - 1) * share)] for share in (0.5, 0.99, 1))
    is_late = " LATE" if p99 > TIGHTEST_BUDGET_MS else ""
    print(f"{name:26}{senders:8}{rate:10,.0f}{p50:9.2f}{p99:9.2f}{most:9.2f}{is_late}", flush=True)


if __name__ == "__main__":
    main()
