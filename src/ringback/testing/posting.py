"""Posting from a test with the real client: short timeouts, loopback allowed, on either event loop.

async with sender() as post:
    outcome = await post(receiver.url("/status/503"))
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from ssl import SSLContext
from typing import Any, Final

import uvloop

from ringback.clock import Clock
from ringback.config import Settings
from ringback.rules.egress import Policy
from ringback.wire.client import Client
from ringback.wire.port import Failure, Reply, Request
from ringback.wire.resolve import Lookup, system_lookup
from ringback.wire.target import target

LOOPS: Final[Mapping[str, Callable[[], asyncio.AbstractEventLoop]]] = {
    "asyncio": asyncio.new_event_loop,
    "uvloop": uvloop.new_event_loop,
}
LOOPBACK: Final = ("127.0.0.1/32",)
PATIENT_S: Final = 30.0
# For what never comes. A busy machine connects and sends within it all the same.
IMPATIENT_S: Final = 0.8


def run(story: Coroutine[Any, Any, None], *, loop: str = "uvloop") -> None:
    """Runs a story to its end on a fresh event loop of that kind."""
    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        runner.run(story)


class Sender:
    """Calls `client.post` with a URL, a body and custom headers."""

    def __init__(self, client: Client) -> None:
        self.client = client

    async def __call__(
        self, url: str, body: bytes = b"{}", *, headers: Mapping[str, str] | None = None
    ) -> Reply | Failure:
        ready = target(url, headers or {}, user_agent="Ringback/test")
        content_type = b"Content-Type: application/json\r\n"
        return await self.client.post(Request(ready, content_type, body))


@asynccontextmanager
async def sender(
    *,
    allow: tuple[str, ...] = LOOPBACK,
    lookup: Lookup = system_lookup,
    ssl_context: SSLContext | None = None,
    **settings: Any,
) -> AsyncIterator[Sender]:
    """A client with these settings, patient unless they say otherwise; closed at the end."""
    patient = {"delivery_timeout_s": PATIENT_S, "connect_timeout_s": PATIENT_S}
    chosen: dict[str, Any] = {**patient, **settings}
    configured = Settings(egress_allow=allow, **chosen)
    client = Client(
        configured,
        Clock(),
        Policy(configured.egress_networks()),
        ssl_context=ssl_context,
        lookup=lookup,
    )
    try:
        yield Sender(client)
    finally:
        await client.close()
