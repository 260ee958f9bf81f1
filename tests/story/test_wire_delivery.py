"""Deliveries that go well, over real sockets, on both event loops: framing, reuse, stopping."""

import asyncio

import pytest

from ringback.testing.chaos import ChaosReceiver
from ringback.testing.posting import IMPATIENT_S, LOOPS, run, sender
from ringback.wire.port import Failure, Reason, Reply, Request
from ringback.wire.target import target

on_both_loops = pytest.mark.parametrize("loop", LOOPS)


@on_both_loops
def test_a_post_arrives_as_it_was_given(loop: str) -> None:
    async def story() -> None:
        async with ChaosReceiver() as receiver, sender() as post:
            outcome = await post(receiver.url("/ok?a=b"), b'{"x":1}', headers={"X-Mine": "1"})
            assert isinstance(outcome, Reply)
            assert (outcome.status, outcome.body, outcome.is_truncated) == (200, b"ok", False)
            assert outcome.header("content-type") == "text/plain"
            assert outcome.timings.connect_ms is not None
            assert outcome.timings.first_byte_ms is not None
            assert outcome.timings.tls_ms is None
            assert outcome.timings.dns_ms is None
            [request] = receiver.requests
            assert (request.method, request.path, request.body) == ("POST", "/ok?a=b", b'{"x":1}')
            assert [name for name, _ in request.headers] == [
                "Host", "User-Agent", "Accept", "Accept-Encoding", "X-Mine",
                "Content-Type", "Content-Length",
            ]  # fmt: skip
            assert request.header("Host") == f"127.0.0.1:{receiver.port}"
            assert request.header("Content-Length") == "7"

    run(story(), loop=loop)


@on_both_loops
@pytest.mark.parametrize(
    ("path", "status", "body"),
    [
        ("/until-close", 200, b"until the end"),
        ("/chunked", 200, b"abcde"),
        ("/close", 200, b"ok"),
        ("/hints", 200, b"ok"),
        ("/status/204", 204, b""),
        ("/status/205", 205, b""),
        ("/status/304", 304, b""),
        ("/status/410", 410, b"as you wish"),
        ("/status/999", 999, b"as you wish"),
        ("/redirect/302", 302, b""),
        ("/redirect/307", 307, b""),
        ("/gzip", 200, b"\x1f\x8b not really"),
        ("/no-content-with-body", 204, b""),
        ("/two-answers", 200, b"ok"),
        ("/markup", 500, b"<script>alert(1)</script>\x00\x1b[31m\xff\xf0\x9f\x92\xa9"),
    ],
)
def test_answers_of_every_framing(loop: str, path: str, status: int, body: bytes) -> None:
    async def story() -> None:
        async with ChaosReceiver() as receiver, sender() as post:
            for _ in range(2):
                outcome = await post(receiver.url(path))
                assert isinstance(outcome, Reply), outcome
                assert (outcome.status, outcome.body) == (status, body)
            # No redirect was followed, and nothing was sent twice.
            assert len(receiver.requests) == 2

    run(story(), loop=loop)


@on_both_loops
def test_connections_are_kept_and_used_again(loop: str) -> None:
    async def story() -> None:
        async with ChaosReceiver() as receiver, sender() as post:
            for number in range(20):
                outcome = await post(receiver.url(f"/status/{200 + number}"))
                assert isinstance(outcome, Reply)
                assert outcome.status == 200 + number
                assert (outcome.timings.connect_ms is None) == (number not in (0, 6))
            # Only 205 ended one: it has no body, whatever its headers say of one.
            assert receiver.connections == 2

    run(story(), loop=loop)


@pytest.mark.parametrize(
    "path", ["/close", "/until-close", "/no-content-with-body", "/two-answers", "/silent-close"]
)
def test_connections_that_end_or_say_too_much_are_not_used_again(path: str) -> None:
    async def story() -> None:
        async with ChaosReceiver() as receiver, sender() as post:
            for _ in range(3):
                outcome = await post(receiver.url(path))
                assert isinstance(outcome, Reply)
                await asyncio.sleep(0)
            assert len(receiver.requests) == 3
            assert receiver.connections == 3

    run(story())


def test_a_request_is_called_off_until_it_is_written() -> None:
    async def story() -> None:
        async with ChaosReceiver() as receiver, sender() as post:
            aim = target(receiver.url("/ok"), {}, user_agent="Ringback/test")
            outcome = await post.client.post(Request(aim, b"", b"{}", lambda: False))
            assert isinstance(outcome, Failure)
            assert outcome.reason is Reason.CALLED_OFF
            assert outcome.timings.connect_ms is not None
            assert receiver.requests == []
            assert isinstance(await post.client.post(Request(aim, b"", b"{}")), Reply)

    run(story())


@on_both_loops
def test_a_stale_connection_is_replaced_once(loop: str) -> None:
    async def story() -> None:
        async with ChaosReceiver() as receiver, sender() as post:
            for _ in range(3):
                outcome = await post(receiver.url("/stale"))
                assert isinstance(outcome, Reply), outcome
                assert outcome.status == 200
            # Each of the later posts went out twice: on the stale connection and on a fresh one.
            assert receiver.connections == 3
            assert len(receiver.requests) == 5

    run(story(), loop=loop)


def test_a_fresh_connection_that_is_lost_is_not_replaced() -> None:
    async def story() -> None:
        async with ChaosReceiver() as receiver, sender() as post:
            outcome = await post(receiver.url("/hang-up"))
            assert isinstance(outcome, Failure)
            assert outcome.reason is Reason.RESET
            assert len(receiver.requests) == 1

    run(story())


def test_a_reused_connection_lost_after_a_byte_is_not_replaced() -> None:
    async def story() -> None:
        async with ChaosReceiver() as receiver, sender() as post:
            assert isinstance(await post(receiver.url("/ok")), Reply)
            outcome = await post(receiver.url("/reset/head"))
            assert isinstance(outcome, Failure)
            assert outcome.reason is Reason.RESET
            assert (len(receiver.requests), receiver.connections) == (2, 1)

    run(story())


def test_connections_closed_while_idle_are_forgotten() -> None:
    async def story() -> None:
        async with ChaosReceiver() as receiver, sender() as post:
            await asyncio.gather(*(post(receiver.url("/slow/0.01")) for _ in range(5)))
            receiver.hang_up()
            await receiver.disconnected()
            await asyncio.sleep(0)
            assert isinstance(await post(receiver.url("/ok")), Reply)
            assert len(receiver.requests) == 6

    run(story())


@on_both_loops
def test_what_arrives_on_an_idle_connection_answers_nothing(loop: str) -> None:
    async def story() -> None:
        async with ChaosReceiver() as receiver, sender() as post:
            for _ in range(2):
                outcome = await post(receiver.url("/late-answer"))
                assert isinstance(outcome, Reply)
                assert outcome.status == 200
                await receiver.disconnected()
            assert receiver.connections == 2

    run(story(), loop=loop)


@on_both_loops
def test_the_deadline_of_an_attempt_ends_with_it(loop: str) -> None:
    async def story() -> None:
        async with ChaosReceiver() as receiver, sender(delivery_timeout_s=IMPATIENT_S) as post:
            for _ in range(2):
                assert isinstance(await post(receiver.url("/ok")), Reply)
                await asyncio.sleep(1.1 * IMPATIENT_S)  # sleeps: past the deadline it must live
            assert receiver.connections == 1

    run(story(), loop=loop)


@on_both_loops
def test_many_at_once_keep_their_answers_apart(loop: str) -> None:
    async def story() -> None:
        async with ChaosReceiver() as receiver, sender(connections_idle_max=20) as post:

            async def one(status: int) -> None:
                outcome = await post(receiver.url(f"/status/{status}"), b"x" * status)
                assert isinstance(outcome, Reply), outcome
                assert outcome.status == status

            for _ in range(2):
                await asyncio.gather(*(one(status) for status in range(210, 410)))
            assert len(receiver.requests) == 400
            assert {len(request.body) for request in receiver.requests} == set(range(210, 410))

    run(story(), loop=loop)


@on_both_loops
def test_large_bodies_arrive_whole(loop: str) -> None:
    async def story() -> None:
        body = bytes(range(256)) * 16_384  # 4 MiB, far more than any socket buffer.
        async with ChaosReceiver() as receiver, sender() as post:
            for _ in range(2):
                outcome = await post(receiver.url("/ok"), body)
                assert isinstance(outcome, Reply), outcome
            assert [request.body for request in receiver.requests] == [body, body]
            assert receiver.connections == 1

    run(story(), loop=loop)


@on_both_loops
def test_an_answer_before_the_request_was_sent_counts(loop: str) -> None:
    async def story() -> None:
        async with ChaosReceiver() as receiver, sender() as post:
            outcome = await post(receiver.url("/early"), b"x" * 8_000_000)
            assert isinstance(outcome, Reply), outcome
            assert outcome.status == 413
            await receiver.disconnected()  # It could not be used again.

    run(story(), loop=loop)


def test_idle_connections_are_closed_after_a_while() -> None:
    async def story() -> None:
        async with ChaosReceiver() as receiver, sender(connection_idle_s=0.02) as post:
            assert isinstance(await post(receiver.url("/ok")), Reply)
            await receiver.disconnected()

    run(story())


def test_idle_connections_over_the_limit_of_an_origin_are_closed() -> None:
    async def story() -> None:
        async with (
            ChaosReceiver() as receiver,
            sender(connections_idle_per_origin_max=1) as post,
        ):
            await asyncio.gather(*(post(receiver.url("/slow/0.01")) for _ in range(5)))
            await asyncio.gather(*(post(receiver.url("/slow/0.01")) for _ in range(2)))
            assert receiver.connections == 6

    run(story())


@on_both_loops
def test_closing_answers_what_is_under_way(loop: str) -> None:
    async def story() -> None:
        async with ChaosReceiver() as receiver, ChaosReceiver() as deaf:

            def lookup(_: str) -> list[str]:
                return ["127.0.0.1"]

            async with sender(lookup=lookup) as post:
                assert isinstance(await post(receiver.url("/ok")), Reply)
                under_way = [
                    asyncio.create_task(post(receiver.url("/hang"))),  # on the kept connection
                    asyncio.create_task(post(receiver.url("/hang"))),
                    asyncio.create_task(post(deaf.url("/hang"))),
                ]
                await receiver.received(3)
                await deaf.received(1)
                await post.client.close()
                for outcome in await asyncio.gather(*under_way):
                    assert isinstance(outcome, Failure)
                    assert outcome.reason is Reason.RESET
                    assert "stopped" in outcome.detail
                after = await post(receiver.url("/ok"))
                assert isinstance(after, Failure)
            await receiver.disconnected()
            await deaf.disconnected()

    run(story(), loop=loop)


@on_both_loops
def test_a_cancelled_post_closes_its_connection(loop: str) -> None:
    async def story() -> None:
        async with ChaosReceiver() as receiver, sender() as post:
            for _ in range(2):
                assert isinstance(await post(receiver.url("/ok")), Reply)
                attempt = asyncio.create_task(post(receiver.url("/hang")))
                await receiver.received(len(receiver.requests) + 1)
                attempt.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await attempt
                await receiver.disconnected()

    run(story(), loop=loop)


def test_cookies_are_not_sent_back() -> None:
    async def story() -> None:
        async with ChaosReceiver() as receiver, sender() as post:
            for _ in range(2):
                assert isinstance(await post(receiver.url("/cookie")), Reply)
            assert all(request.header("Cookie") is None for request in receiver.requests)

    run(story())


def test_credentials_of_the_url_arrive_as_basic() -> None:
    async def story() -> None:
        async with ChaosReceiver() as receiver, sender() as post:
            url = receiver.url("/ok").replace("http://", "http://user:pass@")
            assert isinstance(await post(url), Reply)
            assert receiver.requests[0].header("Authorization") == "Basic dXNlcjpwYXNz"
            assert receiver.requests[0].path == "/ok"

    run(story())
