"""What receivers do to senders: each thing ends in one value, in bounded time and memory.

Only outcomes are asserted; that the tests end at all shows that every wait has an end.
"""

import asyncio

import pytest

from ringback.testing.chaos import ChaosReceiver, closed_port
from ringback.testing.posting import IMPATIENT_S, LOOPS, PATIENT_S, run, sender
from ringback.wire.outcome import status_code
from ringback.wire.port import Failure, Reason, Reply

on_both_loops = pytest.mark.parametrize("loop", LOOPS)

FAILURES = {
    "/hang": Reason.TIMEOUT,
    "/hang/head": Reason.TIMEOUT,
    "/hang/body": Reason.TIMEOUT,
    "/drip/0.05": Reason.TIMEOUT,
    "/drip-body/0.05": Reason.TIMEOUT,
    "/slow/30": Reason.TIMEOUT,
    "/endless/headers": Reason.BAD_RESPONSE,
    "/endless/header-line": Reason.BAD_RESPONSE,
    "/reset": Reason.RESET,
    "/reset/head": Reason.RESET,
    "/reset/body": Reason.RESET,
    "/close/body": Reason.RESET,
    "/hang-up": Reason.RESET,
    "/status/099": Reason.BAD_RESPONSE,
    "/status/101": Reason.BAD_RESPONSE,
    "/informational": Reason.BAD_RESPONSE,
    "/informational/drip": Reason.BAD_RESPONSE,
    "/header-bomb": Reason.BAD_RESPONSE,
    "/upgrade": Reason.BAD_RESPONSE,
    "/garbage": Reason.BAD_RESPONSE,
    "/bad-status-line": Reason.BAD_RESPONSE,
    "/http2": Reason.BAD_RESPONSE,
    "/http2/preface": Reason.BAD_RESPONSE,
    "/http2/goaway": Reason.BAD_RESPONSE,
    "/two-framings": Reason.BAD_RESPONSE,
}


def patience(expected: Reason) -> float:
    return IMPATIENT_S if expected is Reason.TIMEOUT else PATIENT_S


@on_both_loops
@pytest.mark.parametrize(("path", "reason"), FAILURES.items())
def test_every_kind_of_misbehaviour_is_a_failure_with_its_reason(
    loop: str, path: str, reason: Reason
) -> None:
    async def story() -> None:
        async with ChaosReceiver() as receiver, sender(delivery_timeout_s=patience(reason)) as post:
            outcome = await post(receiver.url(path))
            assert isinstance(outcome, Failure), outcome
            assert outcome.reason is reason
            assert outcome.detail
            assert outcome.timings.total_ms > 0
            assert len(receiver.requests) == 1
            await receiver.disconnected()

    run(story(), loop=loop)


@on_both_loops
@pytest.mark.parametrize("path", ["/hang", "/hang/body", "/drip/0.05", "/reset/body", "/garbage"])
def test_the_same_on_a_connection_that_was_used_before(loop: str, path: str) -> None:
    async def story() -> None:
        timeout_s = patience(FAILURES[path])
        async with ChaosReceiver() as receiver, sender(delivery_timeout_s=timeout_s) as post:
            assert isinstance(await post(receiver.url("/ok")), Reply)
            outcome = await post(receiver.url(path))
            assert isinstance(outcome, Failure), outcome
            assert outcome.reason is FAILURES[path]
            assert (len(receiver.requests), receiver.connections) == (2, 1)
            await receiver.disconnected()
            assert isinstance(await post(receiver.url("/ok")), Reply)

    run(story(), loop=loop)


@on_both_loops
@pytest.mark.parametrize(
    "path", ["/endless/body", "/endless/chunks", "/endless/chunk-extension", "/huge-length"]
)
def test_endless_bodies_are_cut_and_the_connection_is_closed(loop: str, path: str) -> None:
    async def story() -> None:
        async with (
            ChaosReceiver() as receiver,
            sender(response_kept_bytes_max=100, response_read_bytes_max=5_000) as post,
        ):
            outcome = await post(receiver.url(path))
            assert isinstance(outcome, Reply), outcome
            assert (outcome.status, outcome.is_truncated) == (200, True)
            assert len(outcome.body) <= 100
            await receiver.disconnected()

    run(story(), loop=loop)


@on_both_loops
def test_a_receiver_that_does_not_read_cannot_hold_the_sender(loop: str) -> None:
    async def story() -> None:
        async with ChaosReceiver() as receiver, sender(delivery_timeout_s=IMPATIENT_S) as post:
            outcome = await post(receiver.url("/hang/request"), b"x" * 16_000_000)
            assert isinstance(outcome, Failure)
            assert outcome.reason is Reason.TIMEOUT

    run(story(), loop=loop)


@on_both_loops
def test_a_reset_while_the_request_is_sent(loop: str) -> None:
    async def story() -> None:
        async with ChaosReceiver() as receiver, sender() as post:
            outcome = await post(receiver.url("/reset/request"), b"x" * 16_000_000)
            assert isinstance(outcome, Failure)
            assert outcome.reason is Reason.SEND

    run(story(), loop=loop)


@on_both_loops
def test_nobody_listens(loop: str) -> None:
    async def story() -> None:
        async with sender() as post:
            outcome = await post(f"http://127.0.0.1:{closed_port()}/")
            assert isinstance(outcome, Failure)
            assert outcome.reason is Reason.REFUSED

    run(story(), loop=loop)


@on_both_loops
@pytest.mark.parametrize(
    ("on_accept", "reason"), [("hang", Reason.TIMEOUT), ("reset", Reason.RESET)]
)
def test_a_connection_that_is_taken_and_then(loop: str, on_accept: str, reason: Reason) -> None:
    async def story() -> None:
        async with ChaosReceiver() as receiver, sender(delivery_timeout_s=patience(reason)) as post:
            receiver.on_accept = on_accept
            outcome = await post(receiver.url("/"))
            assert isinstance(outcome, Failure)
            assert outcome.reason is reason

    run(story(), loop=loop)


def test_alternating_answers_and_retry_after_come_through_as_they_are() -> None:
    async def story() -> None:
        async with ChaosReceiver() as receiver, sender() as post:
            outcomes = [await post(receiver.url("/alternating")) for _ in range(4)]
            assert [status_code(outcome) for outcome in outcomes] == [200, 500, 200, 500]
            for value in ("-1", "99999999999", "1.5", "abc", "Fri, 31 Dec 9999 23:59:59 GMT"):
                outcome = await post(receiver.url(f"/retry-after/{value.replace(' ', '%20')}"))
                assert isinstance(outcome, Reply)
                assert outcome.header("retry-after") == value
                assert outcome.status == 429

    run(story())


def test_a_slow_receiver_does_not_delay_another() -> None:
    async def story() -> None:
        async with ChaosReceiver() as slow, ChaosReceiver() as healthy, sender() as post:
            hanging = [asyncio.create_task(post(slow.url("/hang"))) for _ in range(50)]
            await slow.received(50)
            for _ in range(10):
                assert status_code(await post(healthy.url("/ok"))) == 200
            assert not any(task.done() for task in hanging)
            await post.client.close()
            await asyncio.gather(*hanging)

    run(story())
