"""The chaos receiver leaves nothing open, whatever its visitors do."""

import asyncio
import gc
import socket
import ssl
import warnings

import pytest
import trustme

from ringback.listen.behaviours import BEHAVIOURS, Visit, chosen
from ringback.testing.certificates import served
from ringback.testing.chaos import ChaosReceiver

AUTHORITY = trustme.CA()
ENDLESS = [
    "endless/body",
    "endless/chunks",
    "endless/header-line",
    "endless/headers",
    "huge-length",
]


@pytest.mark.parametrize("behaviour", ["close", "hang-up", "status/204"])
def test_a_visitor_that_never_says_good_bye_is_left_behind(behaviour: str) -> None:
    """Over TLS a connection closes when both sides have said so, or half a minute later."""
    context = ssl.create_default_context()
    AUTHORITY.configure_trust(context)
    receiver = ChaosReceiver(behaviour, tls=served(AUTHORITY.issue_cert("keys.test")))

    def visit() -> ssl.SSLSocket:
        plain = socket.create_connection(("127.0.0.1", receiver.port))
        visitor = context.wrap_socket(plain, server_hostname="keys.test")
        visitor.sendall(b"GET / HTTP/1.1\r\nHost: keys.test\r\nConnection: close\r\n\r\n")
        visitor.recv(1)
        if behaviour.startswith("status"):
            visitor.shutdown(socket.SHUT_WR)
        return visitor

    async def story() -> ssl.SSLSocket:
        async with receiver:
            visitor = await asyncio.to_thread(visit)
            await receiver.disconnected()
            return visitor

    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        visitor = asyncio.run(story())
        gc.collect()
    visitor.close()
    assert [str(one.message) for one in heard] == []


class BrokenOverTls:
    """As asyncio has it: writes go nowhere and nothing has to be waited for, until a turn later."""

    def __init__(self) -> None:
        self.writes = 0

    def write(self, _: bytes) -> None:
        self.writes += 1
        assert self.writes < 1_000, "nobody else runs"

    async def drain(self) -> None:
        """At once."""


@pytest.mark.parametrize("behaviour", ENDLESS)
def test_a_flood_lets_others_run_even_when_nothing_holds_it_up(behaviour: str) -> None:
    async def story() -> None:
        visit = Visit(None, None, BrokenOverTls(), 0)  # type: ignore[arg-type]
        name, argument = chosen(behaviour)
        flood = asyncio.ensure_future(BEHAVIOURS[name](visit, argument))
        for _ in range(10):
            await asyncio.sleep(0)
        assert not flood.done()
        flood.cancel()

    asyncio.run(story())
