"""What every adapter does with a request: each provider, refusal, and mistake of the app's."""

import asyncio
import json
import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from msgspec import structs

from ringback.errors import InboxUnavailable, Misconfigured, PayloadTooLarge
from ringback.receive import (
    Draft,
    Reply,
    Scheme,
    Signed,
    VerifiedEvent,
    providers,
    respond,
    sign,
    verify,
)
from ringback.receive.webhook import Call, Webhook
from ringback.sign.event import enveloped
from ringback.sign.providers import aws_sns
from ringback.testing.provider_keys import key_pair

NOW_S = 1_767_225_600
URL = "https://shop.example/webhooks"
STRIPE = "whsec_" + "5" * 32
SCHEMES = {scheme.name: scheme for scheme in providers()}


def hook_for(name: str, number: int = 1, **options: Any) -> Webhook:
    """A webhook with the test key of that number, at a time that stands still."""
    scheme = SCHEMES[name]
    url = URL if scheme.needs_url else None
    secret = key_pair(scheme, number).verifying
    return Webhook(
        name, **{"secrets": secret, "public_url": url, "now_s": lambda: NOW_S, **options}
    )


def signed_by(scheme: Scheme, number: int = 1) -> Signed:
    draft = Draft(body=b"", timestamp_s=NOW_S, url=URL)
    draft = structs.replace(draft, body=enveloped(scheme, draft, {"id": "1"}))
    return sign(scheme, draft, key_pair(scheme, number).signing)


def call_of(request: Signed) -> Call:
    return Call(request.method, request.url.partition("?")[2], request.headers, request.body)


def word(answer: object) -> tuple[int, str]:
    assert isinstance(answer, Reply)
    return answer.status, json.loads(answer.body)["error"]


@pytest.mark.parametrize("name", SCHEMES)
def test_a_webhook_proves_what_verify_proves(name: str) -> None:
    scheme = SCHEMES[name]
    request = signed_by(scheme)
    hook = hook_for(name, fetch=lambda url: request.documents[url])
    expected = verify(
        name,
        request.headers,
        request.body,
        secrets=key_pair(scheme, 1).verifying,
        now_s=NOW_S,
        url=request.url,
        documents=request.documents,
    )
    assert hook.prove(call_of(request)) == expected
    assert asyncio.run(hook.prove_async(call_of(request))) == expected
    assert hook.accepted == scheme.accepted


@pytest.mark.parametrize("name", SCHEMES)
def test_a_webhook_refuses_what_another_key_signed(name: str) -> None:
    request = signed_by(SCHEMES[name], 2)
    hook = hook_for(name, fetch=lambda url: request.documents[url])
    assert word(hook.prove(call_of(request))) == (401, "mismatch")


@pytest.mark.parametrize("name", [name for name in SCHEMES if SCHEMES[name].keys is not None])
def test_a_secret_that_cannot_be_one_is_told_at_the_start(name: str) -> None:
    for secrets in ("", [], None, [None], ["", ""], b"bytes"):
        with pytest.raises(Misconfigured):
            hook_for(name, secrets=secrets)


@pytest.mark.parametrize(
    ("name", "secret"),
    [("stripe", "sk_live_51Hx"), ("slack", "xoxb-17653672481"), ("standard", "not base64!")],
)
def test_a_text_that_is_another_secret_is_told_at_the_start(name: str, secret: str) -> None:
    with pytest.raises(Misconfigured, match=r"secret"):
        Webhook(name, secrets=secret)


def test_other_mistakes_are_told_at_the_start() -> None:
    for mistake in (
        {"provider": "stirpe"},
        {"provider": "twilio"},  # signs the URL
        {"public_url": "shop.example/webhooks"},
        {"public_url": URL + "?tenant=1"},
        {"tolerance_s": 0},
        {"body_bytes_max": 0},
        {"body_s_max": 0},
        {"on_secret": print},  # Stripe shows it
        {"provider": "asana", "secrets": ()},
        {"provider": "asana", "secrets": None, "on_secret": print},
    ):
        options: Any = {"provider": "stripe", "secrets": STRIPE, **mistake}
        with pytest.raises(Misconfigured):
            Webhook(options.pop("provider"), **options)
    nothing: Any = {}
    with pytest.raises(Misconfigured, match="`secrets`"):
        Webhook("stripe", **nothing)
    misspelt: Any = {"secrets": STRIPE, "tolerance": 60}
    with pytest.raises(TypeError, match="no option tolerance"):
        Webhook("stripe", **misspelt)


def test_the_url_is_the_one_that_is_configured_with_the_query_that_came() -> None:
    draft = Draft(body=b'{"id":"1"}', timestamp_s=NOW_S, url=URL + "?tenant=a%20b")
    request = sign("square", draft, key_pair(SCHEMES["square"], 1).signing)
    forwarded = (("Host", "inner"), ("X-Forwarded-Host", "evil.example"))
    headers = (*request.headers, *forwarded)

    call = Call("POST", "tenant=a%20b", headers, request.body)
    assert isinstance(hook_for("square").prove(call), VerifiedEvent)
    other = Call("POST", "tenant=b", headers, request.body)
    assert word(hook_for("square").prove(other)) == (401, "mismatch")


def test_a_handshake_by_get_is_answered() -> None:
    answer = hook_for("dropbox").prove(Call("GET", "challenge=abc", (), b""))
    assert isinstance(answer, Reply)
    assert (answer.status, answer.body) == (200, b"abc")


def test_what_is_not_posted_is_no_event() -> None:
    request = signed_by(SCHEMES["stripe"])
    for method in ("GET", "HEAD", "PUT", "DELETE", "OPTIONS"):
        answer = hook_for("stripe").prove(Call(method, "", request.headers, request.body))
        assert isinstance(answer, Reply)
        assert answer.status == 405
        assert ("Allow", "POST") in answer.headers


ASANA = Call("POST", "", (("X-Hook-Secret", "b537207f20cbfa02357cf448"),), b"")
NOTION = Call("POST", "", (), b'{"verification_token":"secret_tMrlL1qK5v"}')


@pytest.mark.parametrize(
    ("name", "call", "secret"),
    [("asana", ASANA, "b537207f20cbfa02357cf448"), ("notion", NOTION, "secret_tMrlL1qK5v")],
)
@pytest.mark.parametrize("secrets", [(), "", []])
def test_a_secret_that_comes_with_the_handshake_is_told_and_then_verifies(
    name: str, call: Call, secret: str, secrets: Any
) -> None:
    told: list[str] = []
    hook = hook_for(name, secrets=secrets, on_secret=told.append)
    event = call_of(sign(name, Draft(body=b'{"events":[]}', timestamp_s=NOW_S), secret))
    assert word(hook.prove(event)) == (500, "misconfigured")
    assert isinstance(answer := hook.prove(call), Reply)
    assert (answer.status, told) == (200, [secret])
    assert isinstance(hook_for(name, secrets=told).prove(event), VerifiedEvent)


def test_a_secret_that_nobody_awaits_is_in_no_log(caplog: pytest.LogCaptureFixture) -> None:
    assert isinstance(hook_for("asana").prove(ASANA), Reply)
    assert "`on_secret`" in caplog.text
    assert "b537207f20cbfa02357cf448" not in caplog.text


def test_a_secret_that_could_not_be_told_is_not_acknowledged() -> None:
    def tell(_: str) -> None:
        raise OSError("no room")

    with pytest.raises(OSError, match="no room"):
        hook_for("asana", secrets=(), on_secret=tell).prove(ASANA)


# ---- what must be fetched -----------------------------------------------------------------------


def test_a_certificate_is_fetched_once_for_many_at_once() -> None:
    scheme = SCHEMES["aws_sns"]
    request, fetched = signed_by(scheme), list[str]()
    everybody = threading.Barrier(8)

    def fetch(url: str, /) -> bytes:
        fetched.append(url)
        return request.documents[url]

    hook = hook_for("aws_sns", fetch=fetch)

    def prove(_: int) -> object:
        everybody.wait(30)
        return hook.prove(call_of(request))

    with ThreadPoolExecutor(8) as threads:
        proven = list(threads.map(prove, range(8)))
    assert all(isinstance(event, VerifiedEvent) for event in proven)
    assert fetched == list(request.documents)


def test_a_fetch_does_not_hold_up_the_event_loop() -> None:
    request = signed_by(SCHEMES["aws_sns"])
    may_end = threading.Event()

    def fetch(url: str, /) -> bytes:
        assert may_end.wait(30)
        return request.documents[url]

    async def story() -> None:
        proving = asyncio.create_task(
            hook_for("aws_sns", fetch=fetch).prove_async(call_of(request))
        )
        await asyncio.sleep(0)
        may_end.set()  # which nobody would do if the loop waited for the fetch
        assert isinstance(await proving, VerifiedEvent)

    asyncio.run(story())


def test_a_certificate_that_cannot_be_had_is_a_503_and_is_not_asked_for_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    fetched = []

    def fetch(url: str, /) -> bytes:
        fetched.append(url)
        raise OSError("no route to host")

    hook = hook_for("aws_sns", fetch=fetch)
    for _ in range(3):
        answer = hook.prove(call_of(signed_by(SCHEMES["aws_sns"])))
        assert word(answer) == (503, "key_needed")
    assert len(fetched) == 1
    assert "no route to host" in caplog.text


@pytest.mark.parametrize("found", [None, "PEM"])
def test_a_fetch_that_returns_no_bytes_is_told_as_the_mistake_that_it_is(
    found: Any, caplog: pytest.LogCaptureFixture
) -> None:
    answer = hook_for("aws_sns", fetch=lambda _: found).prove(
        call_of(signed_by(SCHEMES["aws_sns"]))
    )
    assert word(answer) == (500, "misconfigured")
    assert "`fetch` must return bytes" in caplog.text


def confirmation() -> Signed:
    """A subscription that SNS wants confirmed by a visit."""
    topic, _, pem = key_pair(SCHEMES["aws_sns"], 1).signing.partition("\n")
    visit = f"https://sns.us-east-1.amazonaws.com/?Action=ConfirmSubscription&TopicArn={topic}"
    fields = {
        "Type": "SubscriptionConfirmation",
        "MessageId": "1",
        "TopicArn": topic,
        "Message": "You have chosen to subscribe",
        "SubscribeURL": f"{visit}&Token=abc123",
        "Token": "abc123",
        "Timestamp": "2026-01-01T00:00:00.000Z",
    }
    return aws_sns.signed(Draft(body=b"", timestamp_s=NOW_S), fields, pem)


def test_a_subscription_is_confirmed_by_a_visit() -> None:
    request, fetched = confirmation(), list[str]()

    def fetch(url: str, /) -> bytes:
        fetched.append(url)
        return request.documents.get(url, b"<Confirmed/>")

    answer = hook_for("aws_sns", fetch=fetch).prove(call_of(request))
    assert isinstance(answer, Reply)
    assert answer.status == 200
    assert [url.partition("&")[0] for url in fetched] == [
        aws_sns.TEST_URL,
        "https://sns.us-east-1.amazonaws.com/?Action=ConfirmSubscription",
    ]


def test_a_visit_that_fails_is_a_503_and_its_token_is_in_no_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    request = confirmation()
    hook = hook_for("aws_sns", fetch=lambda url: request.documents[url])
    assert word(hook.prove(call_of(request))) == (503, "key_needed")
    assert "sns.us-east-1.amazonaws.com/ could not be fetched" in caplog.text
    assert "abc123" not in caplog.text


# ---- what becomes of the event ------------------------------------------------------------------


def test_an_event_that_is_taken_is_acknowledged_as_its_provider_wants_it() -> None:
    for name, status, body in (("stripe", 200, b""), ("adyen", 200, b"[accepted]")):
        request = signed_by(SCHEMES[name])
        answer = hook_for(name).take(call_of(request), lambda _: None)
        assert isinstance(answer, Reply)
        assert (answer.status, answer.body) == (status, body)


def test_what_the_function_returns_is_the_answer() -> None:
    call = call_of(signed_by(SCHEMES["stripe"]))

    async def take(event: VerifiedEvent) -> str:
        return event.id

    assert hook_for("stripe").take(call, lambda event: event.id) == "evt_1"
    assert asyncio.run(hook_for("stripe").take_async(call, take)) == "evt_1"


@pytest.mark.parametrize(
    ("error", "answer"),
    [
        (InboxUnavailable("no room"), (503, "inbox_unavailable")),
        (PayloadTooLarge("26 MB"), (413, "payload_too_large")),
    ],
)
def test_what_is_not_kept_is_not_acknowledged(error: Exception, answer: object) -> None:
    call = call_of(signed_by(SCHEMES["stripe"]))

    def take(_: VerifiedEvent) -> None:
        raise error

    async def take_async(_: VerifiedEvent) -> None:
        raise error

    assert word(hook_for("stripe").take(call, take)) == answer
    assert word(asyncio.run(hook_for("stripe").take_async(call, take_async))) == answer


def test_what_the_function_raises_is_the_frameworks_to_answer() -> None:
    def take(_: VerifiedEvent) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        hook_for("stripe").take(call_of(signed_by(SCHEMES["stripe"])), take)


def test_an_async_function_is_never_taken_for_one_that_has_run() -> None:
    call = call_of(signed_by(SCHEMES["stripe"]))
    seen: list[str] = []

    async def take(event: VerifiedEvent) -> None:
        seen.append(event.id)

    with pytest.raises(TypeError, match="must not be async"):
        hook_for("stripe").take(call, take)
    assert seen == []
    assert asyncio.run(hook_for("stripe").take_async(call, lambda event: seen.append(event.id)))
    assert seen == ["evt_1"]


def test_the_apps_mistake_is_told_once_and_answered_with_500(
    caplog: pytest.LogCaptureFixture,
) -> None:
    times = iter([NOW_S])  # the clock counts milliseconds, but for the first time
    hook = hook_for("stripe", now_s=lambda: next(times, NOW_S * 1_000))
    with caplog.at_level(logging.ERROR):
        for _ in range(3):
            answer = hook.prove(call_of(signed_by(SCHEMES["stripe"])))
            assert word(answer) == (500, "misconfigured")
    assert len(caplog.records) == 1
    assert "Unix time in seconds" in caplog.text


def test_a_handshake_is_the_one_that_respond_gives() -> None:
    secret = key_pair(SCHEMES["slack"], 1).signing
    body = b'{"type":"url_verification","challenge":"abc"}'
    request = sign("slack", Draft(body=body, timestamp_s=NOW_S), secret)
    expected = respond("slack", request.headers, body, secrets=secret, now_s=NOW_S)
    assert expected is not None
    assert hook_for("slack").prove(call_of(request)) == expected
