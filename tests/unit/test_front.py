"""The HTTP front: taking an address, answering, and ending what is in progress."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import pytest
import uvloop

from ringback.cli.call import Answer, Server, call
from ringback.clock import Clock
from ringback.errors import CannotListen
from ringback.front import IDLE_S, WRITE_S, Front
from ringback.testing.eventually import eventually

App = Callable[..., Awaitable[None]]


async def ok(_scope: Any, _receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body", "body": b""})


class Slow:
    """An app that answers when it is told to."""

    def __init__(self) -> None:
        self.has_begun = asyncio.Event()
        self.may_end = asyncio.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.has_begun.set()
        await self.may_end.wait()
        await ok(scope, receive, send)


class Skipping(Clock):
    """A clock whose sleeps end at once and move its monotonic time forward."""

    def __init__(self) -> None:
        super().__init__()
        self.skipped_s = 0.0

    def monotonic(self) -> float:
        return self.skipped_s

    async def sleep(self, seconds: float) -> None:
        self.skipped_s += seconds
        await asyncio.sleep(0)


def run(story: Coroutine[Any, Any, None]) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(story)


async def get(url: str) -> Answer:
    return await asyncio.to_thread(call, Server(url), "GET", "/")


async def opened(app: App, clock: Clock | None = None) -> tuple[Front, str]:
    front = Front(clock or Clock())
    url = await front.bind("127.0.0.1", 0)
    await front.open(app)
    return front, url


def test_port_zero_is_any_free_port_and_the_url_says_which() -> None:
    async def story() -> None:
        front, url = await opened(ok)
        assert url.startswith("http://127.0.0.1:")
        assert not url.endswith(":0")
        assert (await get(url)).status == 204
        assert await front.close(1.0) == 0

    run(story())


def test_ipv6_and_every_address() -> None:
    async def story() -> None:
        for host, shown in (("::1", "http://[::1]:"), ("0.0.0.0", "http://127.0.0.1:")):
            front = Front(Clock())
            url = await front.bind(host, 0)
            await front.open(ok)
            assert url.startswith(shown)
            assert (await get(url)).status == 204
            await front.close(1.0)

    run(story())


def test_before_it_is_open_nobody_is_answered() -> None:
    async def story() -> None:
        front = Front(Clock())
        url = await front.bind("127.0.0.1", 0)
        with pytest.raises(Exception, match="no answer"):
            await get(url)
        await front.close(0)

    run(story())


@pytest.mark.parametrize(
    ("host", "why"),
    [("host.invalid", "cannot listen"), ("192.0.2.1", "cannot assign"), ("a" * 70, "no host name")],
)
def test_an_address_that_is_not_ours_is_one_line(host: str, why: str) -> None:
    async def story() -> None:
        with pytest.raises(CannotListen, match=why) as caught:
            await Front(Clock()).bind(host, 9)
        assert "--listen" in str(caught.value)
        assert "\n" not in str(caught.value)

    run(story())


def test_an_address_that_is_taken_is_one_line() -> None:
    async def story() -> None:
        front, url = await opened(ok)
        with pytest.raises(CannotListen, match="address already in use"):
            await Front(Clock()).bind("127.0.0.1", int(url.rpartition(":")[2]))
        await front.close(0)

    run(story())


def test_a_request_in_progress_gets_its_answer() -> None:
    async def story() -> None:
        app = Slow()
        front, url = await opened(app)
        asked = asyncio.create_task(get(url))
        await app.has_begun.wait()
        closing = asyncio.create_task(front.close(30.0))
        await asyncio.sleep(0)
        app.may_end.set()
        assert (await asked).status == 204
        assert await closing == 0

    run(story())


def test_a_request_that_takes_too_long_is_cut_off_and_counted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def story() -> None:
        app = Slow()
        front, url = await opened(app)
        asked = asyncio.create_task(get(url))
        await app.has_begun.wait()
        assert await front.close(0.0) == 1
        with pytest.raises(Exception, match="no answer"):
            await asked

    run(story())
    assert caplog.records == []


@pytest.mark.parametrize(
    "sent", [b"", b"POST / HTTP/1.1\r\nHost: x\r\n", b"GET / HTTP/1.1\r\n\r\n"]
)
def test_a_connection_that_asks_for_nothing_is_closed_in_time(sent: bytes) -> None:
    async def story() -> None:
        clock = Skipping()
        front, url = await opened(ok, clock)
        reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
        writer.write(sent)
        await reader.read()
        assert clock.skipped_s >= IDLE_S
        writer.close()
        await front.close(1.0)

    run(story())


class Held(Clock):
    """A clock that stands until it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.at_s = 0.0

    def monotonic(self) -> float:
        return self.at_s

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(0)


def test_who_does_not_take_an_answer_is_cut_off_in_time() -> None:
    size = 32 * 1024 * 1024
    begun = asyncio.Event()

    async def large(_scope: Any, _receive: Any, send: Any) -> None:
        head = [(b"content-length", b"%d" % size)]
        await send({"type": "http.response.start", "status": 200, "headers": head})
        piece = {"type": "http.response.body", "body": b"x" * size, "more_body": True}
        blocked = asyncio.create_task(send(piece))
        await asyncio.sleep(0)  # it is written, and waits
        begun.set()
        await blocked

    async def story() -> None:
        clock = Held()
        front, url = await opened(large, clock)
        address = url.removeprefix("http://").split(":")
        with socket.create_connection((address[0], int(address[1]))) as deaf:
            deaf.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            await begun.wait()
            assert front.connection_count == 1
            clock.at_s = WRITE_S

            async def left() -> int:
                return front.connection_count

            await eventually(left, lambda count: count == 0)
        await front.close(1.0)

    run(story())


def test_closing_twice_or_unbound_is_fine() -> None:
    async def story() -> None:
        front = Front(Clock())
        assert await front.close(1.0) == 0
        front, _ = await opened(ok)
        assert await front.close(1.0) == 0
        assert await front.close(1.0) == 0

    run(story())


def test_opening_what_was_not_bound_is_a_mistake() -> None:
    with pytest.raises(RuntimeError, match="bind"):
        run(Front(Clock()).open(ok))
