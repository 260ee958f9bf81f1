"""The chaos receiver leaves nothing open, whatever its visitors do."""

import asyncio
import gc
import socket
import ssl
import warnings

import pytest
import trustme

from ringback.testing.certificates import served
from ringback.testing.chaos import ChaosReceiver

AUTHORITY = trustme.CA()


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
