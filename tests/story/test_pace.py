"""How fast endpoints are sent to: rates are kept, nobody waits for another, memory stays bounded.

A rate is a promise to the receiver, so it is judged by the receiver's own clock. Everything else
here waits for signals: an arrival, a count in memory, a row in the database.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import pytest

from ringback.engine.engine import Engine
from ringback.serve import running
from ringback.testing.caller import Caller
from ringback.testing.collector import Arrival, Collector
from ringback.testing.eventually import eventually
from ringback.testing.process import token
from ringback.testing.quiet import QuietLog
from ringback.testing.rates import assert_none_early
from ringback.testing.shop import EVENT_TYPE, Shop, loopback

RATE = 20
KIB = 1024


def run(story: Coroutine[Any, Any, None]) -> None:
    asyncio.run(story)


@asynccontextmanager
async def service(url: str, **changes: Any) -> AsyncIterator[tuple[Shop, Engine]]:
    settings = loopback(url, **changes)
    async with (
        running(settings, log=QuietLog()) as service,
        Caller(service.url, token()) as caller,
    ):
        yield await Shop.open(caller), service.engine


# ---- rates --------------------------------------------------------------------------------------


def test_the_rate_of_an_endpoint_is_kept(url: str) -> None:
    """More than two seconds' worth, so that most of it waits in the database in between."""

    async def story() -> None:
        async with Collector() as receiver, service(url) as (shop, _):
            await shop.endpoint(receiver.url(), throttleRate=RATE)
            since_s = now_s()
            sent = {await shop.publish() for _ in range(3 * RATE)}
            arrivals = await receiver.received(len(sent))
            assert {each.msg_id for each in arrivals} == sent
            assert_none_early(arrivals, RATE, since_s=since_s)

    run(story())


def test_the_rate_of_an_application_holds_for_all_its_endpoints_together(url: str) -> None:
    async def story() -> None:
        async with Collector() as receiver, service(url) as (shop, _):
            limited = await Shop.open(shop.caller, throttleRate=RATE)
            await limited.endpoint(receiver.url("/a"))
            await limited.endpoint(receiver.url("/b"))
            await limited.endpoint(receiver.url("/slow"), throttleRate=RATE // 4)
            since_s = now_s()
            for _ in range(RATE):
                await limited.publish()
            arrivals = await receiver.received(3 * RATE)
            slow = [each for each in arrivals if each.path == "/slow"]
            assert_none_early(arrivals, RATE, since_s=since_s)
            assert_none_early(slow, RATE // 4, since_s=since_s)

    run(story())


def test_retries_and_resends_keep_the_rate_too(url: str) -> None:
    async def story() -> None:
        seen: Counter[str] = Counter()

        def fails_first(arrival: Arrival) -> int:
            seen[arrival.msg_id] += 1
            return 404 if seen[arrival.msg_id] == 1 else 200

        async with (
            Collector(fails_first) as receiver,
            service(url, retry_schedule=(0.05,)) as (shop, _),
        ):
            endpoint_id = await shop.endpoint(receiver.url(), throttleRate=RATE)
            since_s = now_s()
            sent = [await shop.publish() for _ in range(RATE)]
            for msg_id in sent[:5]:
                await shop.resend(msg_id, endpoint_id)
            arrivals = await receiver.received(2 * RATE + 5)
            assert_none_early(arrivals, RATE, since_s=since_s)

    run(story())


def now_s() -> float:
    """On the clock of arrivals."""
    return asyncio.get_running_loop().time()


# ---- nobody waits for another -------------------------------------------------------------------


def test_a_hanging_endpoint_holds_up_no_other(url: str) -> None:
    count = 300

    async def story() -> None:
        async with (
            Collector(lambda each: None if each.path == "/hang" else 200) as receiver,
            service(url, delivery_timeout_s=60) as (shop, _),
        ):
            await shop.endpoint(receiver.url("/hang"))
            await shop.endpoint(receiver.url("/fine"))
            for _ in range(count):
                await shop.publish()
            await receiver.until(lambda: came(receiver, "/fine") == count)
            assert receiver.unanswered == came(receiver, "/hang") < count, "none was answered yet"
            receiver.answer = lambda _: 200
            receiver.release()
            await receiver.until(lambda: came(receiver, "/hang") == count)

    run(story())


def test_hanging_endpoints_of_one_customer_hold_up_no_other_customer(url: str) -> None:
    """Five of six hang, and take all that each may take; the sixth gets everything."""
    count = 100

    async def story() -> None:
        limits = {"inflight_max": 64, "inflight_per_endpoint_start": 10, "delivery_timeout_s": 60}
        async with (
            Collector(lambda each: 200 if each.path == "/fine" else None) as receiver,
            service(url, **limits) as (shop, _),
        ):
            for number in range(5):
                await shop.endpoint(receiver.url(f"/hang/{number}"))
            for _ in range(20):
                await shop.publish()
            await receiver.until(lambda: receiver.unanswered == 50)
            other = await Shop.open(shop.caller)
            await other.endpoint(receiver.url("/fine"))
            for _ in range(count):
                await other.publish()
            await receiver.until(lambda: came(receiver, "/fine") == count)
            assert receiver.unanswered == 50
            receiver.answer = lambda _: 200
            receiver.release()
            await receiver.received(count + 5 * 20)

    run(story())


def test_new_messages_do_not_keep_a_retry_waiting(url: str) -> None:
    """The lane always has more new messages in memory than it can send."""

    async def story() -> None:
        limits = {"inflight_per_endpoint_start": 4, "inflight_per_endpoint_max": 4}
        async with (
            Collector(lambda _: None) as receiver,
            service(url, retry_schedule=(0.01,), **limits) as (shop, engine),
        ):
            await shop.endpoint(receiver.url())
            first_id = await shop.publish()
            for _ in range(40):
                await shop.publish()
            await receiver.received(4)
            receiver.release(404)
            await shop.attempts(first_id, 1)
            for _ in range(50):
                count = len(receiver.arrivals)
                receiver.release()
                for _ in range(6):
                    await shop.publish()
                await receiver.received(count + 1)
                assert engine.dispatcher.held > 8
                if [each.msg_id for each in receiver.arrivals].count(first_id) == 2:
                    break
            else:
                pytest.fail("300 new messages went before a retry that was due")
            receiver.answer = lambda _: 200
            receiver.release()
            await eventually(idle(engine), lambda held: held == (0, 0, 0))

    run(story())


def test_messages_that_always_fail_hold_up_no_other(url: str) -> None:
    """They open the breaker, and fail again and again when it is closed; good ones get through."""
    count = 60

    async def story() -> None:
        poison: set[str] = set()
        limits = {"retry_schedule": (0.05,) * 50, "breaker_open_s": 0.1}
        async with (
            Collector(lambda each: 500 if b"poison" in each.body else 200) as receiver,
            service(url, **limits) as (shop, engine),
        ):
            endpoint_id = await shop.endpoint(receiver.url())
            for _ in range(count):
                poison.add(await shop.publish({"is": "poison"}))
            await eventually(lambda: is_closed(engine, endpoint_id), lambda is_so: not is_so)
            good = {await shop.publish({"n": number}) for number in range(count)}
            await receiver.until(lambda: good <= ids_of(receiver))
            await receiver.until(lambda: len(receiver.arrivals) >= count + 5 * count)

    run(story())


async def is_closed(engine: Engine, endpoint_id: str) -> bool:
    return engine.dispatcher._lanes[endpoint_id].breaker.is_closed


def ids_of(receiver: Collector) -> set[str]:
    return {each.msg_id for each in receiver.arrivals}


def came(receiver: Collector, path: str) -> int:
    return sum(each.path == path for each in receiver.arrivals)


# ---- more than fits into memory -----------------------------------------------------------------


@pytest.mark.parametrize(
    "limits",
    [
        {"lane_queue_max": 10},
        {"queue_max": 10},
        {"lane_queue_max": 1, "queue_max": 1, "claim_batch_max": 3},
        {"inflight_max": 2, "queue_max": 5},
    ],
    ids=str,
)
def test_what_does_not_fit_waits_in_the_database_and_arrives_once(
    limits: dict[str, int], url: str
) -> None:
    count = 200

    async def story() -> None:
        async with (
            Collector(lambda _: None) as receiver,
            service(url, delivery_timeout_s=60, **limits) as (shop, engine),
        ):
            endpoint_id = await shop.endpoint(receiver.url())
            sent = [await shop.publish({"n": number}) for number in range(count)]
            # Twice: messages are accepted while a claim that found room is still on its way.
            held_max = 2 * min(limits.get("queue_max", count), limits.get("lane_queue_max", count))
            assert engine.dispatcher.held <= held_max
            await eventually(  # what is in flight may not have arrived yet
                lambda: shop.waiting(endpoint_id),
                lambda waiting: waiting >= count - held_max - receiver.unanswered,
            )
            receiver.answer = lambda _: 200
            receiver.release()
            await receiver.received(count)
            await eventually(lambda: shop.waiting(endpoint_id), lambda left: left == 0)
            assert Counter(each.msg_id for each in receiver.arrivals) == Counter(sent)

    run(story())


def test_bytes_in_memory_are_bounded_and_large_messages_arrive_all_the_same(
    url: str,
) -> None:
    count, size = 60, 64 * KIB
    limit = 8 * size

    async def story() -> None:
        async with (
            Collector(lambda _: None) as receiver,
            service(url, delivery_timeout_s=60, queue_bytes_max=limit) as (shop, engine),
        ):
            await shop.endpoint(receiver.url("/a"))
            await shop.endpoint(receiver.url("/b"))
            most = 0
            for number in range(count):
                await shop.publish({"n": number, "x": "x" * (size - 100)})
                most = max(most, engine.dispatcher.bytes)
            assert most <= limit
            receiver.answer = lambda _: 200
            receiver.release()
            await receiver.received(2 * count)
            await eventually(idle(engine), lambda held: held == (0, 0, 0))
            assert set(
                Counter((each.msg_id, each.path) for each in receiver.arrivals).values()
            ) == {1}

    run(story())


def test_what_is_posted_but_not_sent_counts_as_memory_too(url: str) -> None:
    """A message keeps its payload beside the raw body that goes out instead."""
    size = 64 * KIB
    raw = {"transformationsParams": {"rawPayload": "<x/>"}}

    async def story() -> None:
        async with (
            Collector(lambda _: None) as receiver,
            service(url, delivery_timeout_s=60, queue_bytes_max=4 * size) as (shop, engine),
        ):
            endpoint_id = await shop.endpoint(receiver.url())
            for _ in range(8):
                await shop.publish({"x": "x" * size}, **raw)
            held = engine.dispatcher.held + engine.dispatcher.in_flight
            assert held * size <= engine.dispatcher.bytes <= 4 * size
            refused = await shop.caller.post(
                f"{shop.path}/msg",
                {"eventType": EVENT_TYPE, "payload": {"x": "x" * 4 * size}, **raw},
            )
            assert refused.status == 503
            receiver.answer = lambda _: 200
            receiver.release()
            await receiver.received(8)
            await eventually(lambda: shop.waiting(endpoint_id), lambda left: left == 0)
            await eventually(idle(engine), lambda held: held == (0, 0, 0))

    run(story())


def test_a_resend_takes_and_gives_back_the_same_memory(url: str) -> None:
    async def story() -> None:
        async with Collector() as receiver, service(url) as (shop, engine):
            endpoint_id = await shop.endpoint(receiver.url())
            raw = {"transformationsParams": {"rawPayload": "<x/>"}}
            msg_id = await shop.publish({"x": "x" * KIB}, **raw)
            await receiver.received(1)
            await shop.resend(msg_id, endpoint_id)
            await receiver.received(2)
            await eventually(idle(engine), lambda held: held == (0, 0, 0))

    run(story())


def idle(engine: Engine) -> Any:
    async def look() -> tuple[int, int, int]:
        dispatcher = engine.dispatcher
        return dispatcher.held, dispatcher.in_flight, dispatcher.bytes

    return look
