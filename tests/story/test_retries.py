"""Retries, resends and recoveries through the whole service, and what a change changes from when.

Waits are compared with what the recorded attempts planned, downwards only: never too early. That
something did not happen is shown by something that was due later and did.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from ringback.serve import running
from ringback.testing.caller import Caller
from ringback.testing.chaos import ChaosReceiver
from ringback.testing.collector import Arrival, Collector
from ringback.testing.eventually import eventually
from ringback.testing.process import ServiceProcess, token
from ringback.testing.quiet import QuietLog
from ringback.testing.shop import EVENT_TYPE, Shop, loopback

MIB = 1024 * 1024
SOON_S = 1.0  # long enough to do something before


def run(story: Coroutine[Any, Any, None]) -> None:
    asyncio.run(story)


@asynccontextmanager
async def service(url: str, **changes: Any) -> AsyncIterator[Shop]:
    settings = loopback(url, **changes)
    async with (
        running(settings, log=QuietLog()) as service,
        Caller(service.url, token()) as caller,
    ):
        yield await Shop.open(caller)


# ---- the schedule -------------------------------------------------------------------------------


def test_waits_are_those_of_the_schedule_and_never_shorter_than_planned(url: str) -> None:
    schedule_s = (0.05, 0.2, 0.1)

    async def story() -> None:
        async with (
            ChaosReceiver("status/500") as chaos,
            service(url, retry_schedule=schedule_s) as shop,
        ):
            endpoint_id = await shop.endpoint(chaos.url())
            msg_id = await shop.publish()
            attempts = await shop.attempts(msg_id, 1 + len(schedule_s))
            check_waits(chaos, attempts, schedule_s)
            assert {each.header("webhook-id") for each in chaos.requests} == {msg_id}
            found = await shop.caller.get(f"{shop.at(endpoint_id)}/msg?status=2")
            assert [each["id"] for each in found.json["data"]] == [msg_id]

    run(story())


def check_waits(chaos: ChaosReceiver, attempts: list[Any], schedule_s: tuple[float, ...]) -> None:
    assert len(attempts) == len(chaos.requests) == 1 + len(schedule_s)
    assert attempts[-1]["nextAttempt"] is None
    for (before, _), wait_s in zip(pairwise(attempts), schedule_s, strict=True):
        planned_ms = instant_ms(before["nextAttempt"]) - instant_ms(before["timestamp"])
        assert planned_ms >= 0.8 * wait_s * 1_000
    for before, came in zip(attempts[:-1], chaos.requests[1:], strict=True):
        assert came.at_ms >= instant_ms(before["nextAttempt"])


def test_an_endpoint_may_have_its_own_schedule(url: str) -> None:
    async def story() -> None:
        async with (
            ChaosReceiver("status/500") as chaos,
            service(url, retry_schedule=(0.02,)) as shop,
        ):
            usual = await shop.endpoint(chaos.url("/usual"))
            listed = await shop.endpoint(chaos.url("/a"), retry={"schedule": [0.02] * 4})
            growing = {"base": 0.02, "factor": 2, "cap": 0.05, "attempts": 4}
            grown = await shop.endpoint(chaos.url("/b"), retry=growing)
            assert (await shop.show(grown))["retry"] == {"schedule": [0.02, 0.04, 0.05]}
            never = await shop.endpoint(chaos.url("/c"), retry={"schedule": []})
            msg_id = await shop.publish()
            for endpoint_id, count in ((usual, 2), (listed, 5), (grown, 4), (never, 1)):
                attempts = await shop.attempts(msg_id, count, endpoint_id)
                assert len(attempts) == count
                assert attempts[-1]["nextAttempt"] is None

    run(story())


@pytest.mark.parametrize("end", ["terminate", "kill"])
def test_a_restart_between_attempts_keeps_the_schedule(end: str, url: str, tmp_path: Path) -> None:
    async def story() -> None:
        settings = {"RINGBACK_DATABASE": url, "RINGBACK_RETRY_SCHEDULE": "0.8,0.05"}
        async with ChaosReceiver("status/500") as chaos, ServiceProcess(tmp_path, **settings) as us:
            await us.start()
            async with Caller(us.url, us.token) as caller:
                shop = await Shop.open(caller)
                await shop.endpoint(chaos.url())
                msg_id = await shop.publish()
                await shop.attempts(msg_id, 1)
                await (us.kill() if end == "kill" else us.terminate())
                caller.close()
                await us.start()
                attempts = await shop.attempts(msg_id, 3)
            check_waits(chaos, attempts, (0.8, 0.05))

    run(story())


# ---- again --------------------------------------------------------------------------------------


def test_a_resend_is_one_more_attempt_that_skips_filters_and_is_not_retried(
    url: str,
) -> None:
    async def story() -> None:
        async with ChaosReceiver() as chaos, service(url, retry_schedule=(0.01,)) as shop:
            endpoint_id = await shop.endpoint(chaos.url(), channels=["eu"])
            other_id = await shop.publish({"n": 1}, channels=["us"])
            assert (await shop.resend(other_id, endpoint_id)).status == 202
            [first] = await shop.attempts(other_id, 1)
            assert (first["triggerType"], first["statusText"]) == (1, "success")
            chaos.behaviour = "status/500"
            assert (await shop.resend(other_id, endpoint_id)).status == 202
            _, second = await shop.attempts(other_id, 2)
            assert (second["triggerType"], second["statusText"]) == (1, "fail")
            assert second["nextAttempt"] is None
            assert [each.header("webhook-id") for each in chaos.requests] == [other_id] * 2

    run(story())


def test_recover_sends_again_what_failed_since_then_and_nothing_else(url: str) -> None:
    async def story() -> None:
        async with (
            Collector() as receiver,
            service(url, retry_schedule=(), breaker_failures=1_000) as shop,
        ):
            endpoint_id = await shop.endpoint(receiver.url())
            receiver.answer = lambda _: 404
            long_ago = [await shop.publish() for _ in range(3)]
            await receiver.received(3)
            await asyncio.sleep(0.01)  # sleeps: ids are exact to 4 ms
            since = datetime.now(UTC)
            await asyncio.sleep(0.01)  # sleeps: ids are exact to 4 ms
            receiver.answer = lambda _: 200
            fine = [await shop.publish() for _ in range(3)]
            await receiver.received(6)
            receiver.answer = lambda _: 500
            failed = [await shop.publish() for _ in range(20)]
            for msg_id in failed:
                await shop.attempts(msg_id, 1)
            receiver.answer = lambda _: 200
            receiver.arrivals.clear()
            task = await shop.caller.made(
                f"{shop.at(endpoint_id)}/recover", {"since": since.isoformat()}
            )
            assert task["task"] == "endpoint.recover"
            await receiver.until(lambda: len(receiver.arrivals) >= len(failed))
            await eventually(
                lambda: shop.caller.get(f"/background-task/{task['id']}"),
                lambda answer: answer.json["status"] == "finished",
            )
            times = Counter(each.msg_id for each in receiver.arrivals)
            assert times == Counter(failed)
            assert times.keys().isdisjoint({*long_ago, *fine})

    run(story())


# ---- endpoints that go away ---------------------------------------------------------------------


def test_a_disabled_endpoint_keeps_what_waits_and_sends_it_when_enabled(url: str) -> None:
    async def story() -> None:
        async with (
            Collector(fail_first()) as receiver,
            service(url, retry_schedule=(SOON_S,), retry_jitter=0.0) as shop,
        ):
            first_id = await shop.endpoint(receiver.url("/first"))
            msg_id = await shop.publish()
            await shop.attempts(msg_id, 1)
            await shop.change(first_id, disabled=True)
            await retried_meanwhile(shop, receiver)
            assert arrivals_at(receiver, "/first") == [msg_id]
            assert await shop.waiting(first_id) == 1
            await shop.change(first_id, disabled=False)
            await receiver.until(lambda: len(arrivals_at(receiver, "/first")) == 2)
            assert arrivals_at(receiver, "/first") == [msg_id, msg_id]

    run(story())


def test_deleting_an_endpoint_cancels_what_waits_for_it(url: str) -> None:
    async def story() -> None:
        async with (
            Collector(fail_first()) as receiver,
            service(url, retry_schedule=(SOON_S,), retry_jitter=0.0) as shop,
        ):
            first_id = await shop.endpoint(receiver.url("/first"))
            msg_id = await shop.publish()
            await shop.attempts(msg_id, 1)
            assert (await shop.caller.call("DELETE", shop.at(first_id))).status == 204
            await retried_meanwhile(shop, receiver)
            assert arrivals_at(receiver, "/first") == [msg_id]

    run(story())


async def retried_meanwhile(shop: Shop, receiver: Collector) -> None:
    """Another endpoint's retry has come, which was planned after that of the first one."""
    await shop.endpoint(receiver.url("/second"))
    msg_id = await shop.publish()
    await receiver.until(lambda: len(arrivals_at(receiver, "/second")) == 2)
    assert arrivals_at(receiver, "/second") == [msg_id, msg_id]


def fail_first() -> Any:
    """Answers that fail the first request to each path."""
    seen: set[str] = set()

    def answer(arrival: Arrival) -> int:
        is_first = arrival.path not in seen
        seen.add(arrival.path)
        return 500 if is_first else 200

    return answer


def arrivals_at(receiver: Collector, path: str) -> list[str]:
    return [each.msg_id for each in receiver.arrivals if each.path == path]


# ---- changes ------------------------------------------------------------------------------------


def test_both_secrets_sign_during_the_grace_period_and_only_the_new_one_without(
    url: str,
) -> None:
    async def story() -> None:
        async with Collector() as receiver, service(url) as shop:
            endpoint_id = await shop.endpoint(receiver.url())
            secrets = [await secret_of(shop, endpoint_id)]
            for grace_s in (60, 60, 0):
                rotated = await shop.caller.made(
                    f"{shop.at(endpoint_id)}/secret/rotate", {"gracePeriodSeconds": grace_s}
                )
                secrets.append(rotated["key"])
                assert await secret_of(shop, endpoint_id) == rotated["key"]
                receiver.arrivals.clear()
                await shop.publish({"n": grace_s})
                [arrival] = await receiver.received(1)
                valid = [secret for secret in secrets if verifies(secret, arrival)]
                # The key before the last was given no grace; the ones before it still have theirs.
                expected = secrets if grace_s else [*secrets[:-2], secrets[-1]]
                assert valid == expected

    run(story())


async def secret_of(shop: Shop, endpoint_id: str) -> str:
    return str((await shop.caller.get(f"{shop.at(endpoint_id)}/secret")).json["key"])


def verifies(secret: str, arrival: Arrival) -> bool:
    try:
        Webhook(secret).verify(arrival.body, arrival.headers)
    except WebhookVerificationError:
        return False
    return True


def test_a_changed_url_holds_from_the_next_message_on_under_load(url: str) -> None:
    """Read your writes: 200 times PATCH then POST, while others publish without a pause."""
    rounds = 200

    async def story() -> None:
        async with Collector() as receiver, service(url) as shop:
            endpoint_id = await shop.endpoint(receiver.url("/0"))
            floors: dict[str, int] = {}
            is_over = asyncio.Event()
            now = 0

            async def publish() -> None:
                async with Caller(shop.caller.url, token()) as caller:
                    mine = Shop(caller, shop.path.removeprefix("/app/"))
                    while not is_over.is_set():
                        floor = now  # changes answered before this one is posted
                        floors[await mine.publish()] = floor

            async with asyncio.TaskGroup() as group:
                for _ in range(4):
                    group.create_task(publish())
                for number in range(1, rounds + 1):
                    await shop.change(endpoint_id, url=receiver.url(f"/{number}"))
                    now = number
                    msg_id = await shop.publish()
                    assert await places_of(receiver, msg_id) == [f"/{number}"]
                is_over.set()
            await receiver.until(lambda: len(receiver.arrivals) >= rounds + len(floors))
            for each in receiver.arrivals:
                assert int(each.path[1:]) >= floors.get(each.msg_id, 0), "sent to an old URL"

    run(story())


async def places_of(receiver: Collector, msg_id: str) -> list[str]:
    await receiver.until(lambda: bool(places(receiver, msg_id)))
    return places(receiver, msg_id)


def places(receiver: Collector, msg_id: str) -> list[str]:
    return [each.path for each in receiver.arrivals if each.msg_id == msg_id]


def test_event_types_and_channels_choose_who_gets_a_message(url: str) -> None:
    async def story() -> None:
        async with Collector() as receiver, service(url) as shop:
            for name in ("order.paid", "order.shipped"):
                await shop.caller.made("/event-type", {"name": name, "description": name})
            await shop.endpoint(receiver.url("/all"))
            await shop.endpoint(receiver.url("/paid"), eventTypes=["order.paid"])
            await shop.endpoint(receiver.url("/eu"), channels=["eu", "ch"])
            both = {"eventTypes": ["order.paid"], "channels": ["eu"]}
            await shop.endpoint(receiver.url("/paid-eu"), **both)
            await shop.endpoint(receiver.url("/off"), disabled=True)
            sent = {
                await shop.publish(eventType=EVENT_TYPE): {"/all", "/paid"},
                await shop.publish(eventType="order.shipped"): {"/all"},
                await shop.publish(channels=["us"]): {"/all", "/paid"},
                await shop.publish(channels=["eu"]): {"/all", "/paid", "/eu", "/paid-eu"},
                await shop.publish(eventType="order.shipped", channels=["ch", "x"]): {
                    "/all",
                    "/eu",
                },
            }
            await receiver.received(sum(len(paths) for paths in sent.values()))
            last_id = await shop.publish(eventType="order.lost")
            await receiver.until(lambda: "/all" in places(receiver, last_id))
            for msg_id, paths in sent.items():
                assert sorted(places(receiver, msg_id)) == sorted(paths)

    run(story())


@pytest.mark.parametrize(
    "payload",
    [
        b"{}",
        b'{ "a" :\t1 ,\n"b":\r\n[ ] }',
        b'{"a":"\\u00e9 \\/ \\ud83d\\ude00","b":"\xc3\xa9 \xf0\x9f\x98\x80"}',
        b'{"n":1.0,"m":1e2,"o":-0,"p":12345678901234567890123}',
        b'{"nul":"\\u0000","del":"\x7f"}',
        b'{"x":"' + b"y" * MIB + b'"}',
    ],
    ids=["empty", "whitespace", "escapes", "numbers", "control", "1 MiB"],
)
def test_payloads_arrive_byte_for_byte_as_they_were_posted(payload: bytes, url: str) -> None:
    async def story() -> None:
        async with Collector() as receiver, service(url) as shop:
            endpoint_id = await shop.endpoint(receiver.url())
            body = b'{"eventType": "order.paid", "payload": ' + payload + b" }"
            posted = await shop.caller.post(f"{shop.path}/msg", body)
            assert posted.status == 202, posted.body
            [arrival] = await receiver.received(1)
            assert arrival.body == payload
            assert arrival.headers["content-type"] == "application/json"
            assert verifies(await secret_of(shop, endpoint_id), arrival)

    run(story())


def instant_ms(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1_000)
