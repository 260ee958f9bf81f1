"""The whole service against receivers that misbehave: what is recorded, and what is retried.

The list is the one of hostile receivers every webhook sender meets sooner or later. Whatever one of
them does, the endpoint beside it gets its message, and the service says in words what happened.
"""

import asyncio
import base64
import tracemalloc
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import trustme

from ringback.config import Settings
from ringback.serve import running
from ringback.testing.bombs import BOMBS, UNPACKED_BYTES
from ringback.testing.caller import Caller
from ringback.testing.certificates import LONG_AGO, self_signed, served
from ringback.testing.chaos import ChaosReceiver, closed_port
from ringback.testing.collector import Collector
from ringback.testing.eventually import eventually
from ringback.testing.process import token
from ringback.testing.quiet import QuietLog
from ringback.testing.shop import Shop, loopback

IMPATIENT = {"delivery_timeout_s": 0.4}  # only where a receiver is to be too slow
RETRY_S = 0.02
# Far above what one small service uses, and far below what the bombs unpack to.
MEMORY_BYTES_MAX = 64 * 1024 * 1024

# What a receiver does, the status that is recorded, and a word of the error: an answer has none.
DELIVERED: dict[str, int] = {
    "status/200": 200,
    "status/201": 201,
    "status/204": 204,
    "status/205": 205,
    "status/299": 299,
    "close": 200,
    "silent-close": 200,
    "until-close": 200,
    "chunked": 200,
    "gzip": 200,
    "hints": 200,
    "two-answers": 200,
    "no-content-with-body": 204,
    "endless/body": 200,
    "endless/chunks": 200,
    "endless/chunk-extension": 200,
    "huge-length": 200,
}
REFUSED: dict[str, int] = {
    "status/300": 300,
    "status/301": 301,
    "redirect/302": 302,
    "redirect/307": 307,
    "redirect/308": 308,
    "status/304": 304,
    "status/400": 400,
    "status/404": 404,
    "status/500": 500,
    "status/599": 599,
}
BROKEN: dict[str, str] = {
    "slow/1": "within",
    "hang": "within",
    "hang/request": "within",
    "hang/head": "within",
    "hang/body": "within",
    "drip/0.05": "within",
    "drip-body": "within",
    "hang-up": "closed",
    "reset": "closed",
    "reset/request": "closed",
    "reset/head": "closed",
    "reset/body": "closed",
    "close/body": "closed",
    "garbage": "HTTP",
    "bad-status-line": "HTTP",
    "http2": "HTTP",
    "http2/preface": "HTTP",
    "http2/goaway": "HTTP",
    "two-framings": "HTTP",
    "upgrade": "HTTP",
    "informational": "HTTP",
    "informational/drip": "HTTP",
    "header-bomb": "head",
    "endless/headers": "head",
    "endless/header-line": "head",
}


def run(story: Coroutine[Any, Any, None]) -> None:
    asyncio.run(story)


@asynccontextmanager
async def service(url: str, **changes: Any) -> AsyncIterator[Shop]:
    """A shop at a service that retries once, soon."""
    usual = {"retry_schedule": (RETRY_S,), "retry_jitter": 0.0}
    settings = loopback(url, **{**usual, **changes})
    async with (
        running(settings, log=QuietLog()) as service,
        Caller(service.url, token()) as caller,
    ):
        yield await Shop.open(caller)


async def tell_both(shop: Shop, chaos_url: str, steady: Collector) -> tuple[str, str]:
    """Send one message to a hostile endpoint and a sound one; its id, and the hostile one's.

    The sound one is beside the hostile one in every way: here they share an event loop. So under
    an impatient service it may be too slow once, and then gets the message again.
    """
    hostile_id = await shop.endpoint(chaos_url)
    steady_id = await shop.endpoint(steady.url())
    msg_id = await shop.publish({"n": 1})
    await steady.received(1)
    *late, beside = await settled(shop, msg_id, steady_id)
    assert (beside["statusText"], beside["responseStatusCode"]) == ("success", 200)
    assert all("within 0.4 s" in each["error"] for each in late)
    assert [each.msg_id for each in steady.arrivals] == [msg_id] * len([*late, beside])
    return msg_id, hostile_id


# ---- one after the other ------------------------------------------------------------------------


@pytest.mark.parametrize("behaviour", DELIVERED)
def test_any_2xx_is_the_receipt(behaviour: str, url: str) -> None:
    async def story() -> None:
        async with ChaosReceiver() as chaos, Collector() as steady, service(url) as shop:
            msg_id, hostile_id = await tell_both(shop, chaos.url(f"/{behaviour}"), steady)
            [attempt] = await shop.attempts(msg_id, 1, hostile_id)
            assert attempt["statusText"] == "success"
            assert attempt["responseStatusCode"] == DELIVERED[behaviour]
            assert (attempt["error"], attempt["nextAttempt"]) == (None, None)
            assert [each.header("webhook-id") for each in chaos.requests] == [msg_id]

    run(story())


@pytest.mark.parametrize("behaviour", REFUSED)
def test_any_other_answer_is_recorded_and_tried_again(behaviour: str, url: str) -> None:
    async def story() -> None:
        async with ChaosReceiver() as chaos, Collector() as steady, service(url) as shop:
            msg_id, hostile_id = await tell_both(shop, chaos.url(f"/{behaviour}"), steady)
            first, last = await shop.attempts(msg_id, 2, hostile_id)
            for attempt in (first, last):
                assert attempt["statusText"] == "fail"
                assert attempt["error"] is None
                assert attempt["responseStatusCode"] == REFUSED[behaviour]
            assert first["nextAttempt"] is not None
            assert last["nextAttempt"] is None
            paths = {each.path for each in chaos.requests}
            assert paths <= {f"/{behaviour}"}, "a redirect was followed"
            assert len(chaos.requests) == 2

    run(story())


@pytest.mark.parametrize("behaviour", BROKEN)
def test_no_valid_answer_is_said_in_words_and_tried_again(behaviour: str, url: str) -> None:
    patience = IMPATIENT if BROKEN[behaviour] == "within" else {}

    async def story() -> None:
        async with (
            ChaosReceiver() as chaos,
            Collector() as steady,
            service(url, **patience) as shop,
        ):
            msg_id, hostile_id = await tell_both(shop, chaos.url(f"/{behaviour}"), steady)
            first, last = await shop.attempts(msg_id, 2, hostile_id)
            for attempt in (first, last):
                assert (attempt["statusText"], attempt["responseStatusCode"]) == ("fail", 0)
                assert BROKEN[behaviour] in attempt["error"], attempt["error"]
                assert attempt["response"] == attempt["error"]
            assert first["nextAttempt"] is not None
            assert last["nextAttempt"] is None
            assert {each.header("webhook-id") for each in chaos.requests} <= {msg_id}

    run(story())


# ---- connections that never come about ----------------------------------------------------------


@pytest.mark.parametrize("on_accept", ["hang", "reset"])
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_receiver_that_accepts_and_says_nothing(on_accept: str, scheme: str, url: str) -> None:
    async def story() -> None:
        async with (
            ChaosReceiver() as chaos,
            Collector() as steady,
            service(url, **IMPATIENT) as shop,
        ):
            chaos.on_accept = on_accept
            place = chaos.url().replace("http:", f"{scheme}:")
            msg_id, hostile_id = await tell_both(shop, place, steady)
            first, _ = await shop.attempts(msg_id, 2, hostile_id)
            assert (first["statusText"], first["responseStatusCode"]) == ("fail", 0)
            assert first["error"]

    run(story())


def test_nobody_listens(url: str) -> None:
    async def story() -> None:
        async with Collector() as steady, service(url) as shop:
            place = f"http://127.0.0.1:{closed_port()}/"
            msg_id, hostile_id = await tell_both(shop, place, steady)
            first, _ = await shop.attempts(msg_id, 2, hostile_id)
            assert first["responseStatusCode"] == 0
            assert "refused" in first["error"]

    run(story())


def test_an_address_that_policy_forbids(url: str) -> None:
    async def story() -> None:
        async with Collector() as steady, service(url) as shop:
            msg_id, hostile_id = await tell_both(shop, "http://10.0.0.1/", steady)
            first, _ = await shop.attempts(msg_id, 2, hostile_id)
            assert first["responseStatusCode"] == 0
            assert "private address" in first["error"]

    run(story())


@pytest.fixture
def authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> trustme.CA:
    """One that the service believes in, as it would in the system's."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "authority.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
    return authority


def test_a_private_authority_can_be_trusted(url: str, authority: trustme.CA) -> None:
    async def story() -> None:
        async with (
            ChaosReceiver(tls=served(authority.issue_cert("127.0.0.1"))) as chaos,
            Collector() as steady,
            service(url) as shop,
        ):
            msg_id, endpoint_id = await tell_both(shop, chaos.url(), steady)
            [attempt] = await shop.attempts(msg_id, 1, endpoint_id)
            assert (attempt["statusText"], attempt["error"]) == ("success", None)

    run(story())


Issue = Callable[[trustme.CA], trustme.LeafCert]


@pytest.mark.parametrize(
    ("issue", "said"),
    [
        (lambda ours: ours.issue_cert("127.0.0.1", not_after=LONG_AGO), "has expired"),
        (lambda ours: ours.issue_cert("other.test"), "IP address mismatch"),
        (lambda _: trustme.CA().issue_cert("127.0.0.1"), "unable to get local issuer"),
        (lambda _: self_signed(), "self-signed certificate"),
    ],
    ids=["expired", "wrong host", "unknown authority", "self-signed"],
)
def test_a_receiver_that_cannot_prove_who_it_is_gets_nothing(
    issue: Issue, said: str, url: str, authority: trustme.CA
) -> None:
    async def story() -> None:
        async with (
            ChaosReceiver(tls=served(issue(authority))) as chaos,
            Collector() as steady,
            service(url) as shop,
        ):
            msg_id, hostile_id = await tell_both(shop, chaos.url(), steady)
            first, last = await shop.attempts(msg_id, 2, hostile_id)
            for attempt in (first, last):
                assert (attempt["statusText"], attempt["responseStatusCode"]) == ("fail", 0)
                assert "the certificate of 127.0.0.1 was refused: " in attempt["error"]
                assert said in attempt["error"]
            assert first["nextAttempt"] is not None
            assert last["nextAttempt"] is None
            assert chaos.requests == []

    run(story())


# ---- answers with a meaning ---------------------------------------------------------------------


def test_410_disables_the_endpoint_at_once_and_keeps_what_comes_later(url: str) -> None:
    async def story() -> None:
        async with ChaosReceiver() as chaos, service(url) as shop:
            endpoint_id = await shop.endpoint(chaos.url("/status/410"))
            msg_id = await shop.publish()
            [attempt] = await shop.attempts(msg_id, 1)
            assert (attempt["responseStatusCode"], attempt["nextAttempt"]) == (410, None)
            assert (await shop.show(endpoint_id))["disabled"] is True
            later_id = await shop.publish()
            refused = await shop.resend(msg_id, endpoint_id)
            assert refused.status == 400, refused.body
            await shop.change(endpoint_id, disabled=False, url=chaos.url("/ok"))
            enabled_id = await shop.publish()
            await shop.attempts(enabled_id, 1)
            came = [each.header("webhook-id") for each in chaos.requests]
            assert came == [msg_id, enabled_id], "a disabled endpoint matches no message"
            assert later_id not in came

    run(story())


def test_retry_after_of_a_429_slows_the_whole_endpoint(url: str) -> None:
    async def story() -> None:
        async with ChaosReceiver("retry-after/1") as chaos, service(url) as shop:
            await shop.endpoint(chaos.url())
            first_id = await shop.publish()
            [attempt] = await shop.attempts(first_id, 1)
            assert instant_ms(attempt["nextAttempt"]) - instant_ms(attempt["timestamp"]) >= 1_000
            chaos.behaviour = "ok"
            second_id = await shop.publish()
            came = await chaos.received(3)
            assert {each.header("webhook-id") for each in came[1:]} == {first_id, second_id}
            assert all(each.at_ms - came[0].at_ms >= 1_000 for each in came[1:])

    run(story())


@pytest.mark.parametrize(
    "value",
    [
        "-1",
        "99999999999",
        "0.01",
        "1.5e3",
        "abc",
        "%20",
        "Wed, 21 Oct 2015 07:28:00 GMT",
        "Fri, 31 Dec 9999 23:59:59 GMT",
        "9999-12-31T23:59:59Z",
        "9" * 400,
        "٣",
    ],
)
def test_whatever_retry_after_says_the_next_try_is_planned_within_bounds(
    value: str, url: str
) -> None:
    async def story() -> None:
        limits = {"retry_after_s_max": 3_600, "breaker_open_s_max": 0.01}
        async with ChaosReceiver() as chaos, service(url, **limits) as shop:
            chaos.behaviour = f"retry-after/{value}"
            endpoint_id = await shop.endpoint(chaos.url())
            msg_id = await shop.publish()
            attempt, *_ = await shop.attempts(msg_id, 1)
            wait_ms = instant_ms(attempt["nextAttempt"]) - instant_ms(attempt["timestamp"])
            assert RETRY_S * 1_000 <= wait_ms <= 3_600_000 + 10_000
            assert (await shop.show(endpoint_id))["disabled"] is False

    run(story())


def test_a_2xx_after_the_timeout_counts_as_failure_and_comes_again(url: str) -> None:
    async def story() -> None:
        async with ChaosReceiver("slow/0.8") as chaos, service(url, **IMPATIENT) as shop:
            await shop.endpoint(chaos.url())
            msg_id = await shop.publish()
            await chaos.received(1)
            chaos.behaviour = "ok"
            late, receipt = await shop.attempts(msg_id, 2)
            assert (late["statusText"], late["responseStatusCode"]) == ("fail", 0)
            assert (receipt["statusText"], receipt["responseStatusCode"]) == ("success", 200)
            assert [each.header("webhook-id") for each in chaos.requests] == [msg_id, msg_id]

    run(story())


def test_200_and_500_by_turns(url: str) -> None:
    async def story() -> None:
        schedule = {"retry_schedule": (RETRY_S,) * 50}
        async with ChaosReceiver("alternating") as chaos, service(url, **schedule) as shop:
            await shop.endpoint(chaos.url())
            sent = [await shop.publish() for _ in range(5)]
            attempts = [await settled(shop, msg_id) for msg_id in sent]
            assert [each[-1]["statusText"] for each in attempts] == ["success"] * 5
            assert all(each["statusText"] == "fail" for some in attempts for each in some[:-1])
            assert len(chaos.requests) == sum(len(each) for each in attempts)

    run(story())


async def settled(shop: Shop, msg_id: str, endpoint_id: str = "") -> list[Any]:
    """All attempts of a message, when none is planned any more."""
    return await eventually(
        lambda: shop.attempts(msg_id, 1, endpoint_id),
        lambda found: found[-1]["nextAttempt"] is None,
    )


# ---- what is kept of an answer ------------------------------------------------------------------


def test_a_response_that_is_not_text_is_kept_and_shown_safely(url: str) -> None:
    async def story() -> None:
        async with ChaosReceiver("markup") as chaos, service(url) as shop:
            endpoint_id = await shop.endpoint(chaos.url())
            msg_id = await shop.publish()
            _, last = await shop.attempts(msg_id, 2)
            whole = b"<script>alert(1)</script>\x00\x1b[31m\xff\xf0\x9f\x92\xa9"
            assert base64.b64decode(last["response"]) == whole
            for path in (
                f"{shop.path}/attempt/endpoint/{endpoint_id}",
                f"{shop.path}/msg/{msg_id}/attempt/{last['id']}",
            ):
                answer = await shop.caller.get(path)
                assert answer.status == 200
                assert answer.headers["content-type"] == "application/json"

    run(story())


@pytest.mark.parametrize("coding", BOMBS)
def test_a_packed_answer_is_kept_as_it_came_and_never_unpacked(coding: str, url: str) -> None:
    async def story() -> None:
        async with ChaosReceiver() as chaos, Collector() as steady, service(url) as shop:
            msg_id, hostile_id = await tell_both(shop, chaos.url(f"/bomb/{coding}"), steady)
            [attempt] = await shop.attempts(msg_id, 1, hostile_id)
            assert chaos.requests[0].header("accept-encoding") == "identity"
            assert (attempt["statusText"], attempt["responseStatusCode"]) == ("success", 200)
            assert ["content-encoding", coding] in attempt["responseHeaders"]
            kept = base64.b64decode(attempt["response"])
            assert kept == BOMBS[coding][: len(kept)]
            assert len(kept) == Settings().response_kept_bytes_max

    assert peak_bytes(story()) < MEMORY_BYTES_MAX < UNPACKED_BYTES


def peak_bytes(story: Coroutine[Any, Any, None]) -> int:
    """The most memory that the story held at a time."""
    tracemalloc.start()
    try:
        run(story)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_a_cookie_is_never_sent_back_nor_kept(url: str) -> None:
    async def story() -> None:
        async with ChaosReceiver("cookie") as chaos, service(url) as shop:
            await shop.endpoint(chaos.url())
            for _ in range(3):
                [attempt] = await shop.attempts(await shop.publish(), 1)
                assert attempt["responseHeaders"] == [["content-length", "2"]]
            assert len(chaos.requests) == 3
            assert all(each.header("cookie") is None for each in chaos.requests)

    run(story())


def test_an_answer_before_the_body_was_read_counts(url: str) -> None:
    async def story() -> None:
        async with ChaosReceiver("early") as chaos, service(url) as shop:
            await shop.endpoint(chaos.url())
            first, *_ = await shop.attempts(await shop.publish({"padding": "x" * 1_000_000}), 1)
            assert (first["statusText"], first["responseStatusCode"]) == ("fail", 413)

    run(story())


def test_a_connection_that_was_closed_silently_costs_no_attempt(url: str) -> None:
    async def story() -> None:
        async with ChaosReceiver("stale") as chaos, service(url) as shop:
            await shop.endpoint(chaos.url())
            for _ in range(3):
                [attempt] = await shop.attempts(await shop.publish(), 1)
                assert attempt["statusText"] == "success"
            assert chaos.connections >= 2

    run(story())


def instant_ms(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1_000)
