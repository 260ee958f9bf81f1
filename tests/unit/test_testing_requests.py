"""The pytest plugin: what it makes is what providers send, and every test client takes it."""

import asyncio
import subprocess
import sys
from random import Random
from typing import Any

import pytest

from ringback.errors import Misconfigured, Mismatch, SecretError, Stale, VerificationError
from ringback.receive import VerifiedEvent, providers, verify
from ringback.receive.verification import scheme_of
from ringback.sign.scheme import Scheme
from ringback.testing.deliveries import DAMAGES, Damage, Deliveries
from ringback.testing.requests import SignedRequest, Webhooks

NOW_S = 1_735_689_600
SCHEMES = providers()


@pytest.fixture
def made() -> Webhooks:
    webhooks = Webhooks()
    webhooks.now_s = NOW_S
    return webhooks


def verified(request: SignedRequest, **changes: Any) -> VerifiedEvent:
    arguments: dict[str, Any] = {
        "secrets": request.secret,
        "now_s": NOW_S,
        "url": request.url,
        "documents": request.documents,
        **changes,
    }
    return verify(request.provider, request.headers, request.body, **arguments)


# ---- what is made -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [scheme.name for scheme in SCHEMES])
def test_what_is_made_for_a_provider_is_accepted_and_with_other_terms_refused(
    name: str, made: Webhooks
) -> None:
    request = getattr(made, name)("order.paid", {"amount": 1})

    assert verified(request).provider == name
    assert request.secret == made.secret(name)
    tolerance_s = scheme_of(name).tolerance_s
    if tolerance_s is not None:
        with pytest.raises(Stale):
            verified(getattr(made, name)("order.paid", {}, age_s=tolerance_s + 1))
        with pytest.raises(Stale):
            verified(request.aged(-tolerance_s - 1))


def test_options_are_what_they_say(made: Webhooks) -> None:
    event = verified(made.stripe("a.b", {"x": 1}, id="evt_9", timestamp_s=NOW_S - 7))
    assert (event.id, event.type, event.timestamp_s) == ("evt_9", "a.b", NOW_S - 7)
    assert event.payload == {"x": 1, "id": "evt_9", "type": "a.b"}
    with pytest.raises(Mismatch):
        verified(made.stripe(secret="whsec_other"), secrets=made.secret("stripe"))
    made.secrets["stripe"] = "whsec_of_the_app"
    assert verified(made.stripe(), secrets="whsec_of_the_app").provider == "stripe"
    assert verified(made("stripe", "c.d")).type == "c.d"
    assert made.stripe().id != made.stripe().id


def test_mistakes_are_named(made: Webhooks) -> None:
    with pytest.raises(Misconfigured, match="no provider 'strip'"):
        made.strip("a.b")
    with pytest.raises(SecretError):
        made.stripe(secret="sk_live_1")
    with pytest.raises(AttributeError):
        made._private  # noqa: B018


def test_the_plugin_costs_nothing_before_a_test_asks() -> None:
    program = (
        "import sys, pytest; before = set(sys.modules); import ringback.testing.plugin;"
        " print(*set(sys.modules) - before)"
    )
    shown = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    assert set(shown.stdout.split()) == {"ringback", "ringback.testing", "ringback.testing.plugin"}


# ---- sending ------------------------------------------------------------------------------------


class Seen:
    """Where apps leave what reached them: it must be what was signed."""

    def __init__(self, request: SignedRequest) -> None:
        self.request = request
        self.event: VerifiedEvent | None = None

    def take(self, headers: Any, body: bytes) -> int:
        self.event = verify(
            self.request.provider, headers, body, secrets=self.request.secret, now_s=NOW_S
        )
        return 204


@pytest.fixture(params=["stripe", "github", "standard"])
def seen(request: pytest.FixtureRequest, made: Webhooks) -> Seen:
    return Seen(getattr(made, request.param)("order.paid", {"name": "wörld"}))


def asgi_app(seen: Seen) -> Any:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert (scope["method"], scope["path"]) == ("POST", "/hooks")
        status = seen.take(scope["headers"], (await receive())["body"])
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    return app


def test_starlette_s_client_sends_it(seen: Seen) -> None:
    client = pytest.importorskip("starlette.testclient").TestClient(asgi_app(seen))
    assert seen.request.send(client, "/hooks").status_code == 204
    assert seen.event


def test_httpx_sends_it(seen: Seen) -> None:
    httpx = pytest.importorskip("httpx")

    async def scenario() -> int:
        transport = httpx.ASGITransport(asgi_app(seen))
        async with httpx.AsyncClient(transport=transport, base_url="http://t") as client:
            return int((await seen.request.send(client, "/hooks")).status_code)

    assert asyncio.run(scenario()) == 204
    assert seen.event


def test_flask_s_client_sends_it(seen: Seen) -> None:
    flask = pytest.importorskip("flask")
    app = flask.Flask("t")

    @app.post("/hooks")  # type: ignore[untyped-decorator,unused-ignore]
    def hook() -> tuple[str, int]:
        return "", seen.take(flask.request.headers, flask.request.get_data())

    assert seen.request.send(app.test_client(), "/hooks").status_code == 204
    assert seen.event


def test_django_s_client_calls_are_its_own(seen: Seen) -> None:
    """What Django's client is given; Django itself wants settings for a whole process."""

    class Client:
        def generic(
            self,
            method: str,
            path: str,
            data: bytes,
            content_type: str = "application/octet-stream",
            *,
            headers: dict[str, str],
        ) -> int:
            assert (method, path, content_type) == ("POST", "/hooks", "application/json")
            return seen.take({**headers, "Content-Type": content_type}, data)

    assert seen.request.send(Client(), "/hooks") == 204
    assert seen.event


def test_clients_like_requests_get_a_url_headers_and_bytes(made: Webhooks) -> None:
    class Session:
        def request(self, method: str, url: str, *, data: bytes, headers: object) -> str:
            assert data == request.body
            assert headers == request.headers
            return f"{method} {url}"

    request = made.twilio("sent", {"MessageSid": "SM1"}, url="https://a.example/hooks?x=1")
    assert request.send(Session()) == "POST /hooks?x=1"
    assert request.send(Session(), "http://127.0.0.1/in") == "POST http://127.0.0.1/in?x=1"
    assert request.send(Session(), "/in?y=2") == "POST /in?y=2"


# ---- deliveries ---------------------------------------------------------------------------------


@pytest.fixture
def hundred(made: Webhooks) -> list[SignedRequest]:
    return [made.standard("a.b", {"n": number}) for number in range(100)]


def ids(requests: Any) -> list[str]:
    return [request.id for request in requests]


def everything(requests: list[SignedRequest], seed: int) -> Deliveries:
    line = Deliveries(requests, seed=seed).drop(0.2).duplicate(0.2, times=2).reorder(4)
    return line.delay(0.2, seconds=600).corrupt(0.2)


def test_the_same_seed_does_the_same_and_another_does_not(hundred: list[SignedRequest]) -> None:
    once, again, other = (everything(hundred, seed) for seed in (1, 1, 2))
    assert list(once) == list(again)
    assert list(once) != list(other)


def test_a_step_more_does_not_change_what_came_before(hundred: list[SignedRequest]) -> None:
    line = Deliveries(hundred, seed=3).drop(0.3)
    assert ids(line.corrupt(0.5)) == ids(line)
    assert line.corrupt(0.5).lost == line.lost


def test_dropping_loses_about_that_share_and_remembers(hundred: list[SignedRequest]) -> None:
    line = Deliveries(hundred, seed=1).drop(0.25)
    assert 10 < len(line.lost) < 45
    assert sorted([*ids(line), *ids(line.lost)]) == sorted(ids(hundred))
    assert len(Deliveries(hundred).drop(0)) == 100
    assert len(Deliveries(hundred).drop(1)) == 0


def test_duplicates_are_the_same_bytes(hundred: list[SignedRequest]) -> None:
    line = Deliveries(hundred, seed=1).duplicate(1)
    assert len(line) == 200
    for first, second in zip(line[::2], line[1::2], strict=True):
        assert (first.headers, first.body) == (second.headers, second.body)
        assert "duplicate" in second.damage


def test_reordering_stays_within_its_distance(hundred: list[SignedRequest]) -> None:
    line = Deliveries(hundred, seed=1).reorder(5)
    before = {name: at for at, name in enumerate(ids(hundred))}
    distances = [abs(at - before[name]) for at, name in enumerate(ids(line))]
    assert 0 < max(distances) <= 5
    assert sorted(ids(line)) == sorted(ids(hundred))


def test_what_is_delayed_is_late_and_as_old(hundred: list[SignedRequest]) -> None:
    line = Deliveries(hundred, seed=1).delay(0.1, seconds=600, places=20)
    late = [request for request in line if "delayed" in request.damage]
    assert late
    assert ids(line) != ids(hundred)
    for request in late:
        with pytest.raises(Stale):
            verified(request)


@pytest.mark.parametrize("name", [scheme.name for scheme in SCHEMES if scheme.covers_body])
def test_what_is_corrupt_is_refused_and_the_rest_is_not(name: str, made: Webhooks) -> None:
    requests = [getattr(made, name)("a.b", {"n": number}) for number in range(30)]
    line = Deliveries(requests, seed=5).corrupt(0.5)
    assert {request.is_corrupt for request in line} == {True, False}
    for request in line:
        if request.is_corrupt:
            with pytest.raises(VerificationError):
                verified(request)
        else:
            verified(request)


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("scheme", SCHEMES, ids=lambda scheme: scheme.name)
def test_every_damage_is_one_whatever_it_meets(
    scheme: Scheme, damage: Damage, made: Webhooks
) -> None:
    luck = Random(1)
    whole = made(scheme, "a.b", {"n": 1})
    damaged = [damage(whole, luck) for _ in range(20)]
    assert all((one.headers, one.body) != (whole.headers, whole.body) for one in damaged)
    for one in damaged:
        if scheme.covers_body or one.headers != whole.headers:
            with pytest.raises(VerificationError):
                verified(one)


def test_an_empty_body_can_be_damaged_too(made: Webhooks) -> None:
    empty = made.github("ping", body=b"")
    assert verified(empty).body == b""
    for damage in DAMAGES:
        with pytest.raises(VerificationError):
            verified(damage(empty, Random(1)))


def test_a_signature_is_damaged_where_it_is_in_a_header(made: Webhooks) -> None:
    assert made.stripe().signatures() == ["Stripe-Signature"]
    assert made.gitlab_token().signatures() == ["X-Gitlab-Token"]
    assert made.mailgun().signatures() == []
    line = Deliveries([made.stripe() for _ in range(40)], seed=1).corrupt(1)
    assert {"body", "header"} == {
        "header" if request.headers != whole.headers else "body"
        for request, whole in zip(line, [made.stripe(id=one.id) for one in line], strict=True)
    }
