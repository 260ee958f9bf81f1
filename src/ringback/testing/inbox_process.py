"""A receiver with an inbox, as a process that tests can kill: `python -m … URL PORT`.

An app as its author would write it: the ASGI adapter for Stripe, behind uvicorn, with its inbox.
Its handlers write into the table `effects` in their transaction. One event in ten fails once.
"""

import asyncio
import os
import socket
import sys
import time
from pathlib import Path
from typing import Final, Self

import uvicorn

from ringback.receive import Draft, sign
from ringback.receive.asgi import webhook
from ringback.receive.inbox import Inbox, InboxEvent, Transaction
from ringback.sign.payload import as_json
from ringback.testing.inbox import Table, quick
from ringback.testing.process import NotReady, unused_port

READY: Final = b"ready\n"
SECRET: Final = "whsec_" + "5" * 32
BACKLOG: Final = 512


async def serve(url: str, port: int) -> None:
    settings = quick(handler_timeout_s=5.0, lease_s=5.5, retry_schedule_s=(0.02,) * 50)
    inbox = Inbox(url, settings=settings, key_of=lambda event: event.payload["key"] or None)
    table = Table(url)

    @inbox.on("stripe")
    async def handle(event: InboxEvent, transaction: Transaction) -> None:
        await transaction.execute(table.insert, event.id)
        if event.attempt == 1 and event.number % 10 == 0:
            raise RuntimeError("not this time")

    app = webhook("stripe", secrets=SECRET, inbox=inbox)
    config = uvicorn.Config(app, log_level="warning", access_log=False, lifespan="off")
    async with inbox.running():
        listening = socket.create_server(("127.0.0.1", port), backlog=BACKLOG)
        os.write(sys.stdout.fileno(), READY)
        await uvicorn.Server(config).serve(sockets=[listening])


def request_of(name: str, *, key: str = "", padding: str = "") -> bytes:
    """The whole request by which Stripe would send an event of this id, signed now."""
    body = as_json({"id": name, "type": "order.paid", "key": key, "padding": padding})
    made = sign("stripe", Draft(body=body, timestamp_s=int(time.time())), SECRET)
    fields = (*made.headers, ("Host", "127.0.0.1"), ("Content-Length", str(len(body))))
    head = "".join(f"{field}: {text}\r\n" for field, text in fields)
    return f"POST /webhooks/stripe HTTP/1.1\r\n{head}\r\n".encode() + body


async def status_of(reader: asyncio.StreamReader) -> int:
    """Of the next answer, read to its end. Raises OSError or EOFError if there is none."""
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    await reader.readexactly(int(head.partition(b"content-length:")[2].split(b"\r\n")[0]))
    return int(head[9:12])


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
