"""An explicit CONNECT proxy: it is asked for checked addresses, and for nothing else."""

import asyncio
import ssl
from types import TracebackType
from typing import Self

import pytest
import trustme

from ringback.errors import ConfigError
from ringback.testing.chaos import ChaosReceiver, closed_port
from ringback.testing.posting import LOOPS, run, sender
from ringback.wire.port import Failure, Reason, Reply
from ringback.wire.proxy import proxy_of
from ringback.wire.tls import delivery_context

on_both_loops = pytest.mark.parametrize("loop", LOOPS)


class TinyProxy:
    """Takes CONNECT, answers with `answer`, and passes bytes on when that is a plain 200."""

    def __init__(self, answer: bytes = b"HTTP/1.1 200 OK\r\n\r\n") -> None:
        self.answer = answer
        self.heads: list[bytes] = []
        self._passing: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.close()
        while self._passing:
            await asyncio.wait(self._passing)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        self.heads.append(head)
        writer.write(self.answer)
        if self.answer.startswith(b"HTTP/1.1 200") and self.answer.endswith(b"\r\n\r\n"):
            host, _, port = head.split(b" ")[1].decode().rpartition(":")
            there, back = await asyncio.open_connection(host.strip("[]"), int(port))
            for source, sink in ((reader, back), (there, writer)):
                task = asyncio.create_task(self._pass_on(source, sink))
                self._passing.add(task)
                task.add_done_callback(self._passing.discard)
        else:
            await reader.read()
            writer.close()

    async def _pass_on(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        try:
            while chunk := await source.read(65_536):
                sink.write(chunk)
        except ConnectionError:
            pass
        finally:
            sink.close()


def lookup(host: str) -> list[str]:
    return {"hooks.test": ["127.0.0.1"], "internal.test": ["127.0.0.2"]}[host]


@on_both_loops
def test_http_and_https_go_through_tunnels_to_checked_addresses(loop: str) -> None:
    authority = trustme.CA()
    served = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("hooks.test").configure_cert(served)
    trusting = delivery_context()
    authority.configure_trust(trusting)

    async def story() -> None:
        async with (
            ChaosReceiver() as plain,
            ChaosReceiver(tls=served) as secure,
            TinyProxy() as proxy,
            sender(
                proxy=f"http://user:pass@{proxy.url}", lookup=lookup, ssl_context=trusting
            ) as post,
        ):
            for receiver in (plain, secure):
                for _ in range(2):
                    outcome = await post(receiver.url("/ok", host="hooks.test"))
                    assert isinstance(outcome, Reply), outcome
                assert receiver.requests[0].header("Host") == f"hooks.test:{receiver.port}"
                assert receiver.requests[0].header("Proxy-Authorization") is None
            assert proxy.heads == [
                b"CONNECT 127.0.0.1:%d HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n"
                b"Proxy-Authorization: Basic dXNlcjpwYXNz\r\n\r\n" % (receiver.port, receiver.port)
                for receiver in (plain, secure)
            ]

    run(story(), loop=loop)


def test_denied_addresses_are_not_asked_of_the_proxy() -> None:
    async def story() -> None:
        async with (
            TinyProxy() as proxy,
            sender(proxy=f"http://{proxy.url}", lookup=lookup) as post,
        ):
            for url in ("http://internal.test/", "http://10.0.0.1/", "https://[::1]/"):
                outcome = await post(url)
                assert isinstance(outcome, Failure)
                assert outcome.reason is Reason.BLOCKED
            assert proxy.heads == []

    run(story())


@on_both_loops
@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 403 Forbidden\r\n\r\n",
        b"HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\nsmuggled",
        b"SOCKS what?\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 2_000,
    ],
)
def test_a_proxy_that_refuses_or_talks_nonsense(loop: str, answer: bytes) -> None:
    async def story() -> None:
        async with (
            TinyProxy(answer) as proxy,
            sender(proxy=f"http://{proxy.url}", lookup=lookup) as post,
        ):
            outcome = await post("http://hooks.test:8080/")
            assert isinstance(outcome, Failure)
            assert outcome.reason is Reason.PROXY

    run(story(), loop=loop)


def test_a_proxy_that_is_not_there_or_says_nothing() -> None:
    async def story() -> None:
        async with sender(proxy=f"http://127.0.0.1:{closed_port()}", lookup=lookup) as post:
            outcome = await post("http://hooks.test/")
            assert isinstance(outcome, Failure)
            assert outcome.reason is Reason.PROXY
        async with ChaosReceiver() as silent:
            silent.on_accept = "hang"
            proxy = silent.url("")
            async with sender(proxy=proxy, lookup=lookup, connect_timeout_s=0.1) as post:
                outcome = await post("http://hooks.test/")
                assert isinstance(outcome, Failure)
                assert outcome.reason is Reason.CONNECT_TIMEOUT
                await silent.disconnected()

    run(story())


@pytest.mark.parametrize(
    "setting", ["https://proxy:3128", "http://proxy/path", "socks5://proxy:1080", "proxy:3128"]
)
def test_settings_that_are_no_http_proxy(setting: str) -> None:
    with pytest.raises(ConfigError, match="proxy: "):
        proxy_of(setting)


def test_no_proxy() -> None:
    assert proxy_of("") is None
