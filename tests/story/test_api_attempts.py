"""Attempts and what became of messages, their filters and statuses; tokens, tasks, health."""

from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest
from msgspec import Struct

from ringback.api.attempt import MESSAGES_PER_READ
from ringback.serve import Service
from ringback.testing.asker import Asker
from ringback.testing.process import ORGANIZATION, unused_port
from ringback.testing.shop import BOTH
from ringback.testing.stage import Live

STORES = BOTH
# One retry so late that it never happens: such a delivery keeps waiting.
SETTINGS = {"retry_schedule": (3_600,)}


class Shop(Struct, frozen=True):
    """An application with an endpoint for each fate, and the message that met them all."""

    app: str
    fine: str
    waiting: str
    final: str
    dead: str
    msg: str

    @property
    def attempts(self) -> str:
        return f"/app/{self.app}/attempt"


@pytest.fixture(scope="module")
def shop(live: Live[Service], api: Asker) -> Shop:
    app = api.made("/app", {"name": "Shop"})["id"]
    nowhere = f"http://127.0.0.1:{unused_port()}/"

    def endpoint(url: str, **more: Any) -> str:
        return str(api.made(f"/app/{app}/endpoint", {"url": url, **more})["id"])

    fine = endpoint(live.value.receiver.url("/200"), channels=["gold", "plain"])
    waiting = endpoint(live.value.receiver.url("/500"))
    final = endpoint(live.value.receiver.url("/404"), retry={"schedule": []})
    dead = endpoint(nowhere, retry={"schedule": []})
    body = {"eventType": "order.paid", "payload": {"id": 1}, "channels": ["gold"]}
    msg = api.made(f"/app/{app}/msg", body)["id"]
    api.until(f"/app/{app}/attempt/msg/{msg}", lambda page: len(page["data"]) == 4)
    return Shop(app, fine, waiting, final, dead, msg)


def endpoints_of(page: Any) -> set[str]:
    return {attempt["endpointId"] for attempt in page["data"]}


def test_an_attempt_is_shown_whole(live: Live[Service], api: Asker, shop: Shop) -> None:
    """Both `status` and `statusText`: SDKs of some ages need the one, some the other."""
    [attempt] = api.get(f"{shop.attempts}/endpoint/{shop.fine}").json["data"]
    assert api.get(f"/app/{shop.app}/msg/{shop.msg}/attempt/{attempt['id']}").json == attempt
    wanted = {
        "msgId": shop.msg,
        "endpointId": shop.fine,
        "url": live.value.receiver.url("/200"),
        "response": "ok",
        "responseStatusCode": 200,
        "status": 0,
        "statusText": "success",
        "triggerType": 0,
        "error": None,
        "nextAttempt": None,
    }
    assert {name: attempt[name] for name in wanted} == wanted
    assert attempt["id"].startswith("atmpt_")
    assert attempt["responseDurationMs"] >= 0
    assert attempt["timings"]["totalMs"] >= 0


def test_a_failure_that_will_be_tried_again_says_when(api: Asker, shop: Shop) -> None:
    [attempt] = api.get(f"{shop.attempts}/endpoint/{shop.waiting}").json["data"]
    assert (attempt["status"], attempt["statusText"]) == (2, "fail")
    assert attempt["nextAttempt"] > attempt["timestamp"]


def test_without_a_response_there_is_a_reason(api: Asker, shop: Shop) -> None:
    [attempt] = api.get(f"{shop.attempts}/endpoint/{shop.dead}").json["data"]
    assert attempt["responseStatusCode"] == 0
    assert attempt["error"]
    assert attempt["response"] == attempt["error"]


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("status=0", {"fine"}),
        ("status=2", {"waiting", "final", "dead"}),
        ("status=1", set()),
        ("status=3", set()),
        ("status_code_class=200", {"fine"}),
        ("status_code_class=400", {"final"}),
        ("status_code_class=500", {"waiting"}),
        ("status_code_class=0", {"dead"}),
        ("channel=gold", {"fine", "waiting", "final", "dead"}),
        ("channel=plain", set()),
        ("event_types=order.paid", {"fine", "waiting", "final", "dead"}),
        ("event_types=order.lost", set()),
        ("after=2099-01-01T00:00:00Z", set()),
        ("before=2015-01-01T00:00:00Z", set()),
    ],
)
def test_filters_of_attempts(api: Asker, shop: Shop, query: str, names: set[str]) -> None:
    page = api.get(f"{shop.attempts}/msg/{shop.msg}?{query}").json
    assert endpoints_of(page) == {getattr(shop, name) for name in names}
    for name in ("fine", "waiting", "final", "dead"):
        endpoint = getattr(shop, name)
        listed = api.get(f"{shop.attempts}/endpoint/{endpoint}?{query}").json
        assert bool(listed["data"]) is (name in names), name


def test_attempts_of_one_endpoint_only(api: Asker, shop: Shop) -> None:
    page = api.get(f"{shop.attempts}/msg/{shop.msg}?endpoint_id={shop.final}").json
    assert endpoints_of(page) == {shop.final}
    assert api.get(f"{shop.attempts}/msg/{shop.msg}?endpoint_id=ep_none").status == 404


def test_the_message_comes_along_when_asked(api: Asker, shop: Shop) -> None:
    path = f"{shop.attempts}/endpoint/{shop.fine}"
    [attempt] = api.get(f"{path}?with_msg=true").json["data"]
    assert attempt["msg"]["id"] == shop.msg
    assert attempt["msg"]["payload"] == {"id": 1}
    [bare] = api.get(f"{path}?with_msg=true&with_content=false").json["data"]
    assert (bare["msg"]["payload"], bare["response"]) == ({}, "{}")
    assert "msg" not in api.get(path).json["data"][0]


def test_messages_that_come_along_make_pages_short(
    live: Live[Service], api: Asker, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = api.made("/app", {"name": "Large"})["id"]
    hook = {"url": live.value.receiver.url("/200")}
    endpoint = api.made(f"/app/{app}/endpoint", hook)["id"]
    count = MESSAGES_PER_READ + 3
    for number in range(count):
        api.made(f"/app/{app}/msg", {"eventType": "e", "payload": {"n": number}})
    path = f"/app/{app}/attempt/endpoint/{endpoint}?limit=100&with_msg=true"
    whole = api.until(path, lambda page: len(page["data"]) == count)["data"]

    monkeypatch.setattr("ringback.api.attempt.PAGE_BYTES_MAX", 1)
    first = api.get(path).json
    assert not first["done"]
    second = api.get(f"{path}&iterator={first['iterator']}").json
    assert second["done"]
    assert first["data"] + second["data"] == whole
    assert len(second["data"]) == 3
    assert all(attempt["msg"]["payload"] for attempt in first["data"])
    back = api.get(f"{path}&iterator=-{whole[-1]['id']}").json
    assert back["data"] == whole[2:-1], "those next to where it goes on from"
    bare = api.get(f"{path}&with_content=false").json
    assert len(bare["data"]) == count, "what is left out takes no room"


@pytest.mark.parametrize(
    ("endpoint", "status", "text", "found_by"),
    [
        ("fine", 0, "success", {0}),
        ("waiting", 3, "sending", {3}),
        ("final", 2, "fail", {2}),
        ("dead", 2, "fail", {2}),
    ],
)
def test_how_far_a_message_got_at_an_endpoint(
    api: Asker, shop: Shop, endpoint: str, status: int, text: str, found_by: set[int]
) -> None:
    path = f"/app/{shop.app}/endpoint/{getattr(shop, endpoint)}/msg"
    [tried] = api.get(path).json["data"]
    assert (tried["id"], tried["payload"]) == (shop.msg, {"id": 1})
    assert (tried["status"], tried["statusText"]) == (status, text)
    assert (tried["nextAttempt"] is not None) is (endpoint == "waiting")
    for asked in range(4):
        found = api.get(f"{path}?status={asked}").json["data"]
        assert [one["id"] for one in found] == ([shop.msg] if asked in found_by else [])
    assert api.get(f"{path}?with_content=false").json["data"][0]["payload"] == {}


def test_where_a_message_was_tried(api: Asker, shop: Shop) -> None:
    """As stored: 2 while a retry waits; `nextAttempt` tells the two apart."""
    page = api.get(f"/app/{shop.app}/msg/{shop.msg}/endpoint").json
    assert {one["id"]: one["status"] for one in page["data"]} == {
        shop.fine: 0,
        shop.waiting: 2,
        shop.final: 2,
        shop.dead: 2,
    }
    waits = {one["id"] for one in page["data"] if one["nextAttempt"]}
    assert waits == {shop.waiting}
    assert "secret" not in page["data"][0]


def test_destinations_page_to_their_end_and_include_deleted_ones(
    live: Live[Service], api: Asker
) -> None:
    app = api.made("/app", {"name": "Shop"})["id"]
    url = live.value.receiver.url("/200")
    ids = [api.made(f"/app/{app}/endpoint", {"url": url})["id"] for _ in range(5)]
    msg = api.made(f"/app/{app}/msg", {"eventType": "e", "payload": {}})["id"]
    api.until(f"/app/{app}/attempt/msg/{msg}", lambda page: len(page["data"]) == 5)
    api.delete(f"/app/{app}/endpoint/{ids[0]}")
    path, seen = f"/app/{app}/msg/{msg}/endpoint?limit=2", []
    page = api.get(path).json
    while True:
        seen += [one["id"] for one in page["data"]]
        if page["done"]:
            break
        page = api.get(f"{path}&iterator={page['iterator']}").json
    assert sorted(seen) == sorted(ids)


def test_a_resend_is_one_manual_attempt_past_every_filter(live: Live[Service], api: Asker) -> None:
    app = api.made("/app", {"name": "Shop"})["id"]
    url = live.value.receiver.url("/200")
    made = api.made(f"/app/{app}/endpoint", {"url": url, "channels": ["other"]})
    msg = api.made(f"/app/{app}/msg", {"eventType": "e", "payload": {}})["id"]
    place = f"/app/{app}/msg/{msg}"
    resent = api.post(f"{place}/endpoint/{made['id']}/resend")
    assert (resent.status, resent.body) == (202, b"{}")
    page = api.until(f"/app/{app}/attempt/msg/{msg}", lambda page: len(page["data"]) == 1)
    [attempt] = page["data"]
    assert (attempt["triggerType"], attempt["status"]) == (1, 0)
    assert api.delete(f"{place}/attempt/{attempt['id']}/content").status == 204
    assert api.get(f"{place}/attempt/{attempt['id']}").json["response"] == "EXPUNGED"
    api.patch(f"/app/{app}/endpoint/{made['id']}", {"disabled": True})
    assert api.post(f"{place}/endpoint/{made['id']}/resend").status == 400
    api.patch(f"/app/{app}/endpoint/{made['id']}", {"disabled": False})
    api.delete(f"{place}/content")
    gone = api.post(f"{place}/endpoint/{made['id']}/resend")
    assert (gone.status, gone.json["code"]) == (400, "missing_payload")


def test_recovering_is_a_task_that_sends_again_what_failed(
    live: Live[Service], api: Asker, shop: Shop
) -> None:
    since = datetime.now(UTC) - timedelta(hours=1)
    place = f"/app/{shop.app}/endpoint/{shop.final}/recover"
    started = api.post(place, {"since": since.isoformat()})
    assert started.status == 202
    shown = started.json
    assert (shown["status"], shown["task"]) == ("running", "endpoint.recover")
    assert shown["id"].startswith("qtask_")
    task = api.until(f"/background-task/{shown['id']}", lambda found: found["status"] == "finished")
    assert (task["task"], task["data"]["doneCount"]) == ("endpoint.recover", 1)
    api.until(f"{shop.attempts}/endpoint/{shop.final}", lambda page: len(page["data"]) == 2)
    old = datetime.now(UTC) - timedelta(days=15)
    assert api.post(place, {"since": old.isoformat()}).status == 422
    later = {"since": since.isoformat(), "until": old.isoformat()}
    assert api.post(place, later).status == 422
    assert api.post(place, {}).json["detail"][0]["loc"] == ["body", "since"]


# ---- tokens, health -----------------------------------------------------------------------------


def test_a_token_for_an_application(api: Asker) -> None:
    body = {"featureFlags": ["beta"], "expiry": 3_600, "capabilities": ["ViewEndpointSecret"]}
    app = api.made("/app", {"name": "Shop", "uid": "portal"})["id"]
    access = api.post("/auth/app-portal-access/portal", body)
    assert access.status == 200
    assert access.json["token"] in access.json["url"]
    claims = jwt.decode(access.json["token"], options={"verify_signature": False})
    assert (claims["sub"], claims["org"]) == (app, ORGANIZATION)
    assert claims["exp"] - claims["iat"] == 3_600
    guest = api.with_token(access.json["token"])
    assert guest.get("/app/portal").json["id"] == app
    assert guest.post(f"/app/{app}/endpoint", {"url": "http://a.example/"}).status == 403
    assert api.post("/auth/app-portal-access/nobody", {}).status == 404
    application = {"application": {"name": "New", "uid": "nobody"}}
    assert api.post("/auth/app-portal-access/nobody", application).status == 200
    assert api.get("/app/nobody").status == 200
    for refused in ({"expiry": 3_599}, {"expiry": 604_801}, {"capabilities": ["Fly"]}):
        assert api.post("/auth/app-portal-access/portal", refused).status == 422


def test_read_only_is_only_reading(api: Asker) -> None:
    api.made("/app", {"name": "Shop", "uid": "read-only"})
    access = api.made("/auth/app-portal-access/read-only", {"readOnly": True})
    guest = api.with_token(access["token"])
    assert guest.get("/app/read-only/endpoint").status == 200
    made = api.made("/app/read-only/endpoint", {"url": "http://a.example/"})
    assert guest.get(f"/app/read-only/endpoint/{made['id']}/secret").status == 403


def test_an_application_sees_event_types_by_its_feature_flags(api: Asker) -> None:
    app = api.made("/app", {"name": "Shop", "uid": "flags"})["id"]
    for name, flag in (("flag.none", None), ("flag.beta", "beta"), ("flag.gold", "gold")):
        api.made("/event-type", {"name": name, "description": "", "featureFlag": flag})
    access = api.made(f"/auth/app-portal-access/{app}", {"featureFlags": ["beta"]})
    guest = api.with_token(access["token"])
    listed = [one["name"] for one in guest.get("/event-type").json["data"]]
    assert listed == ["flag.beta", "flag.none"]
    assert guest.get("/event-type/flag.beta").status == 200
    assert guest.get("/event-type/flag.gold").status == 404


def test_logging_out_says_why_not(api: Asker) -> None:
    for asker in (api, api.with_token("")):
        out = asker.post("/auth/logout")
        assert (out.status, out.json["code"]) == (501, "not_implemented")


def test_health_needs_no_token(api: Asker) -> None:
    nobody = api.with_token("")
    health = nobody.get("/health")
    states = health.json["database"]["status"], health.json["engine"]["status"]
    assert (health.status, *states) == (200, "ok", "ok"), health.body
    assert (nobody.get("/health/ping").status, nobody.get("/health/ping").body) == (204, b"")
    assert nobody.ask("HEAD", "/health").status == 200
    assert nobody.ask("HEAD", "/health/ping").status == 204
