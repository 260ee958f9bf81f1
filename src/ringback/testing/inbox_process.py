"""A receiver with an inbox, as a process that tests can kill: `python -m … URL PORT`.

    line in    "ID KEY\n": an event, as if it had just been verified
    line out   "ok ID\n" when it is kept, "no ID\n" when it is refused

Its handlers write into the table `effects` in their transaction. One event in ten fails once.
"""

import asyncio
import os
import sys
from pathlib import Path
from typing import Self

from ringback.errors import InboxUnavailable
from ringback.receive.inbox import Inbox, InboxEvent, Transaction
from ringback.testing.inbox import Table, an_event, quick
from ringback.testing.process import NotReady, unused_port

READY: bytes = b"ready\n"


async def serve(url: str, port: int) -> None:
    settings = quick(handler_timeout_s=5.0, lease_s=5.5, retry_schedule_s=(0.02,) * 50)
    inbox = Inbox(url, settings=settings, key_of=lambda event: event.payload["key"] or None)
    table = Table(url)

    @inbox.on("stripe")
    async def handle(event: InboxEvent, transaction: Transaction) -> None:
        await transaction.execute(table.insert, event.id)
        if event.attempt == 1 and event.number % 10 == 0:
            raise RuntimeError("not this time")

    async def receive(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            name, _, key = line.decode().strip().partition(" ")
            try:
                await inbox.receive(an_event(name, key=key))
                writer.write(f"ok {name}\n".encode())
            except InboxUnavailable:
                writer.write(f"no {name}\n".encode())
            await writer.drain()

    async with inbox.running():
        server = await asyncio.start_server(receive, "127.0.0.1", port)
        os.write(sys.stdout.fileno(), READY)
        async with server:
            await server.serve_forever()


class InboxProcess:
    """The same from outside. Its address stays the same from one start to the next."""

    def __init__(self, url: str, directory: Path) -> None:
        self._url = url
        self._log = directory / "inbox.log"
        self.port = unused_port()
        self._process: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.kill()

    async def start(self) -> None:
        """Return when it takes events. Raises NotReady."""
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "ringback.testing.inbox_process"),
                *(self._url, str(self.port)),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
            )
        out = self._process.stdout
        if out is None or await out.readline() != READY:
            raise NotReady(f"the receiver ended early:\n{self._log.read_text(errors='replace')}")

    async def kill(self) -> None:
        """SIGKILL; returns when it is gone. Fine if it is gone already."""
        process, self._process = self._process, None
        if process is not None:
            if process.returncode is None:
                process.kill()
            await process.wait()


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1], int(sys.argv[2])))
