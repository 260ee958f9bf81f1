"""Fetching a document over real TLS: what is had, what is refused, and what nobody waits for."""

import asyncio
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from ipaddress import ip_network
from typing import Any

import pytest
import trustme

from ringback.errors import ConfigError, FetchFailed
from ringback.rules.egress import Policy
from ringback.testing.certificates import self_signed, served
from ringback.testing.chaos import ChaosReceiver, closed_port
from ringback.wire.fetch import fetch, fetch_async

AUTHORITY = trustme.CA()
LOOPBACK = Policy((ip_network("127.0.0.1/32"),))
HOST = "keys.test"


def lookup(_: str) -> list[str]:
    return ["127.0.0.1"]


def get(url: str, **changes: Any) -> bytes:
    context = ssl.create_default_context()
    AUTHORITY.configure_trust(context)
    usual: dict[str, Any] = {"policy": LOOPBACK, "ssl_context": context, "lookup": lookup}
    return fetch(url, **{**usual, **changes})


def from_a(receiver: ChaosReceiver, path: str = "/ok", **changes: Any) -> bytes:
    """What is fetched while the receiver runs. Raises as `fetch` does."""

    async def story() -> bytes:
        async with receiver:
            return await asyncio.to_thread(get, receiver.url(path, host=HOST), **changes)

    return asyncio.run(story())


def trusted(**options: Any) -> ChaosReceiver:
    return ChaosReceiver(tls=served(AUTHORITY.issue_cert(HOST)), **options)


def test_a_document_is_had_by_one_get_that_says_little() -> None:
    receiver = trusted()
    assert from_a(receiver, "/ok?a=%20b") == b"ok"
    [request] = receiver.requests
    assert (request.method, request.path) == ("GET", "/ok?a=%20b")
    names = [name for name, _ in request.headers]
    assert names == ["Host", "User-Agent", "Accept-Encoding", "Connection"]
    assert request.header("host") == f"{HOST}:{receiver.port}"


@pytest.mark.parametrize("behaviour", ["chunked", "close", "silent-close"])
def test_other_framings_are_understood(behaviour: str) -> None:
    assert from_a(trusted(behaviour=behaviour))


@pytest.mark.parametrize("status", ["redirect/302", "status/404", "status/204", "status/500"])
def test_nothing_but_a_200_is_a_document(status: str) -> None:
    receiver = trusted(behaviour=status)
    with pytest.raises(FetchFailed, match=f"answered {status[-3:]}"):
        from_a(receiver)
    assert len(receiver.requests) == 1


@pytest.mark.parametrize(
    "behaviour",
    [
        "header-bomb", "huge-length", "garbage", "bad-status-line", "http2", "hang-up", "reset",
        "reset/head", "reset/body", "hints", "informational",
    ],
)  # fmt: skip
def test_what_is_not_whole_is_no_document(behaviour: str) -> None:
    with pytest.raises(FetchFailed):
        from_a(trusted(behaviour=behaviour), timeout_s=1.0)


@contextmanager
def flooding(head: bytes, piece: bytes) -> Iterator[str]:
    """The URL of a server that answers one request with a head, and pieces for ever."""
    context = served(AUTHORITY.issue_cert(HOST))

    def flood() -> None:
        with (
            suppress(OSError),
            context.wrap_socket(server.accept()[0], server_side=True) as visitor,
        ):
            visitor.recv(65_536)
            visitor.sendall(b"HTTP/1.1 200 OK\r\n" + head)
            while True:
                visitor.sendall(piece)

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=flood)
        thread.start()
        yield f"https://{HOST}:{server.getsockname()[1]}/"
        thread.join()


@pytest.mark.parametrize(
    ("head", "piece"),
    [
        (b"\r\n", bytes(4_096)),
        (b"Content-Length: 1000000000000\r\n\r\n", bytes(4_096)),
        (b"Transfer-Encoding: chunked\r\n\r\n", b"400\r\n" + bytes(1_024) + b"\r\n"),
        (b"Transfer-Encoding: chunked\r\n\r\n1;", b"x" * 4_096),
        (b"", b"a: b\r\n"),
        (b"a: ", b"b" * 4_096),
    ],
)
def test_a_flood_is_cut_off(head: bytes, piece: bytes) -> None:
    with flooding(head, piece) as url, pytest.raises(FetchFailed) as found:
        get(url, timeout_s=30.0)
    assert "longer than" not in str(found.value)


@pytest.mark.parametrize("behaviour", ["slow/30", "drip/0.05", "drip-body/0.05"])
def test_nobody_waits_longer_than_was_said(behaviour: str) -> None:
    with pytest.raises(FetchFailed, match="longer than"):
        from_a(trusted(behaviour=behaviour), timeout_s=0.2)
    for thread in threading.enumerate():
        if thread.name == "ringback-fetch":
            thread.join(30)
            assert not thread.is_alive()


def test_a_name_server_that_says_nothing_is_left_behind() -> None:
    may_end = threading.Event()

    def never(_: str) -> list[str]:
        may_end.wait(30)
        return []

    with pytest.raises(FetchFailed, match="longer than"):
        get("https://keys.test/", lookup=never, timeout_s=0.05)
    may_end.set()


def test_a_handshake_that_stalls_ends_in_time() -> None:
    receiver = trusted()
    receiver.on_accept = "hang"
    with pytest.raises(FetchFailed, match="longer than"):
        from_a(receiver, timeout_s=0.2)


def test_only_a_host_that_proves_itself_is_asked() -> None:
    strangers = (trustme.CA().issue_cert(HOST), AUTHORITY.issue_cert("other.test"), self_signed())
    for certificate in strangers:
        receiver = ChaosReceiver(tls=served(certificate))
        with pytest.raises(FetchFailed, match="certificate"):
            from_a(receiver)
        assert receiver.requests == []
    with pytest.raises(ConfigError):
        get("https://keys.test/", ssl_context=ssl._create_unverified_context())


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "10.0.0.1", "169.254.169.254", "::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1"],
)
def test_an_address_that_is_not_public_is_not_dialled(address: str) -> None:
    for url in ("https://keys.test/", f"https://{f'[{address}]' if ':' in address else address}/"):
        with pytest.raises(FetchFailed, match="no address that may be reached"):
            get(url, policy=Policy(), lookup=lambda _: [address])


def test_an_address_that_is_refused_is_not_the_only_one() -> None:
    receiver = trusted()
    assert from_a(receiver, lookup=lambda _: ["10.0.0.1", "127.0.0.1"]) == b"ok"
    with pytest.raises(FetchFailed, match="could not be reached"):
        get(f"https://{HOST}:{closed_port()}/")


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://keys.test/", "https alone"),
        ("https://user:password@keys.test/", "without credentials"),
        ("https://keys.test/get#kid", "give `fetch`"),
        ("https://keys.test:22/", "port 22"),
        ("https://2130706433/", "looks like a number"),
        ("file:///etc/passwd", "must"),
        ("", "must"),
    ],
)
def test_not_every_url_is_fetched(url: str, why: str) -> None:
    with pytest.raises(FetchFailed, match=why):
        get(url)
    with pytest.raises(FetchFailed, match=why):
        asyncio.run(fetch_async(url))
