"""A POST with an `Idempotency-Key` is done once: one after the other, at once, after a restart."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ringback.api.access import Access
from ringback.api.route import Route
from ringback.api.routes import ROUTES
from ringback.serve import Service, running
from ringback.testing.asker import Asker
from ringback.testing.background import Background, settings_for
from ringback.testing.process import token
from ringback.testing.shop import BOTH
from ringback.testing.stage import Live, Stage, stage

STORES = BOTH
AN_HOUR_AGO = (datetime.now(UTC) - timedelta(hours=1)).isoformat()


POSTS = [route for route in ROUTES if route.method == "POST" and route.who is not Access.NONE]
BODIES: dict[str, Any] = {
    "v1.application.create": {"name": "Shop", "uid": "once"},
    "v1.endpoint.create": {"url": "http://a.example/", "uid": "once"},
    "v1.endpoint.rotate-secret": {},
    "v1.endpoint.send-example": {"eventType": "svix.ping"},
    "v1.endpoint.recover": {"since": AN_HOUR_AGO},
    "v1.event-type.create": {"name": "once", "description": ""},
    "v1.message.create": {"eventType": "e", "payload": {"a": 1}, "eventId": "once"},
    "v1.message.precheck": {"eventType": "e"},
    "v1.authentication.app-portal-access": {},
    "v1.message-attempt.resend": None,
}


class Shop:
    """An organization of its own with one of everything."""

    def __init__(self, stage: Stage[Service], organization: str) -> None:
        self.api = Asker(stage.service.url, token(f"org_{organization}"))
        self.app = self.api.made("/app", {"name": "Shop"})["id"]
        url = stage.receiver.url("/hook")
        self.endpoint = self.api.made(f"/app/{self.app}/endpoint", {"url": url})["id"]
        body = {"eventType": "e", "payload": {}}
        self.msg = self.api.made(f"/app/{self.app}/msg", body)["id"]
        self.api.until(f"/app/{self.app}/attempt/msg/{self.msg}", lambda page: page["data"])

    def path(self, route: Route) -> str:
        return route.path.format(app_id=self.app, endpoint_id=self.endpoint, msg_id=self.msg)

    def counts(self) -> list[int]:
        """How many things of each kind there are."""
        return [
            len(self.api.get(path).json["data"])
            for path in (
                "/app",
                f"/app/{self.app}/endpoint",
                "/event-type",
                f"/app/{self.app}/msg",
            )
        ]


def test_every_post_is_known() -> None:
    assert {route.operation for route in POSTS} == set(BODIES)


@pytest.mark.parametrize("route", POSTS, ids=lambda route: route.operation)
def test_the_same_key_gives_the_same_answer(live: Live[Service], route: Route) -> None:
    shop = Shop(live.value, f"same_{route.operation}")
    path, body = shop.path(route), BODIES[route.operation]
    first = shop.api.post(path, body, idempotency_key="k")
    assert first.status in route.statuses
    after_one = shop.counts()
    again = shop.api.post(path, body, idempotency_key="k")
    assert again.status == first.status
    if route.operation == "v1.authentication.app-portal-access":
        # A token is not kept; a new one for the same application is as good.
        assert shop.api.with_token(again.json["token"]).get(f"/app/{shop.app}").status == 200
    else:
        assert again.body == first.body
    assert shop.counts() == after_one


@pytest.mark.parametrize("route", POSTS, ids=lambda route: route.operation)
def test_the_same_key_at_once_has_one_effect(live: Live[Service], route: Route) -> None:
    shop = Shop(live.value, f"at_once_{route.operation}")
    path, body = shop.path(route), BODIES[route.operation]

    def post(_: int) -> tuple[int, bytes]:
        reply = shop.api.post(path, body, idempotency_key="k")
        return reply.status, reply.body

    before = shop.counts()
    with ThreadPoolExecutor(8) as pool:
        replies = set(pool.map(post, range(8)))
    if route.operation == "v1.authentication.app-portal-access":
        assert {status for status, _ in replies} == {200}
    else:
        assert len(replies) == 1
        assert next(iter(replies))[0] in route.statuses
    assert sum(shop.counts()) - sum(before) <= 1


def test_a_resend_with_a_key_is_sent_once(live: Live[Service]) -> None:
    shop = Shop(live.value, "resent")
    place = f"/app/{shop.app}/msg/{shop.msg}/endpoint/{shop.endpoint}/resend"
    for _ in range(3):
        assert shop.api.post(place, idempotency_key="k").status == 202
    assert shop.api.post(place, idempotency_key="another").status == 202
    attempts = f"/app/{shop.app}/attempt/msg/{shop.msg}"
    page = shop.api.until(attempts, lambda page: len(page["data"]) == 3)
    assert [one["triggerType"] for one in page["data"]] == [1, 1, 0]


def test_a_key_is_good_for_one_caller_one_path_and_any_body(live: Live[Service]) -> None:
    shop, other = Shop(live.value, "scope_a"), Shop(live.value, "scope_b")
    first = shop.api.made("/app", {"name": "First"}, idempotency_key="k")
    again = shop.api.made("/app", {"name": "Something else"}, idempotency_key="k")
    assert again == first
    assert other.api.made("/app", {"name": "First"}, idempotency_key="k")["id"] != first["id"]
    name = shop.api.made("/event-type", {"name": "k", "description": ""}, idempotency_key="k")
    assert name["name"] == "k"
    for body in ({"eventType": "a", "payload": {}}, {"eventType": "b", "payload": {"x": 1}}):
        made = shop.api.made(f"/app/{shop.app}/msg", body, idempotency_key="m")
        assert made["eventType"] == "a"
    elsewhere = f"/app/{first['id']}/msg"
    body = {"eventType": "b", "payload": {}}
    assert shop.api.made(elsewhere, body, idempotency_key="m")["eventType"] == "b"


def test_what_failed_may_be_tried_again(live: Live[Service]) -> None:
    shop = Shop(live.value, "failed")
    assert shop.api.post("/app", {"name": ""}, idempotency_key="k").status == 422
    assert shop.api.post("/app", {"name": "Shop"}, idempotency_key="k").status == 201
    place = f"/app/{shop.app}/msg"
    assert shop.api.post(place, {"payload": {}}, idempotency_key="m").status == 422
    good = {"eventType": "e", "payload": {}}
    assert shop.api.post(place, good, idempotency_key="m").status == 202


@pytest.mark.parametrize("key", ["", "x" * 257])
def test_keys_have_a_length(live: Live[Service], key: str) -> None:
    shop = Shop(live.value, "length")
    body = {"eventType": "e", "payload": {}}
    for path in ("/app", f"/app/{shop.app}/msg"):
        reply = shop.api.post(path, {"name": "Shop", **body}, idempotency_key=key)
        assert (reply.status, reply.json["code"]) == (400, "generic_error")
    assert shop.api.get(f"/app/{shop.app}/msg").json["data"][0]["id"] == shop.msg


def test_keys_hold_across_a_restart(tmp_path: Path) -> None:
    with Background(stage(running, settings_for(tmp_path))) as before:
        shop = Shop(before.value, "restarted")
        body = {"eventType": "e", "payload": {"a": 1}}
        app = shop.api.post("/app", {"name": "Shop"}, idempotency_key="k")
        msg = shop.api.post(f"/app/{shop.app}/msg", body, idempotency_key="k")
        secret = f"/app/{shop.app}/endpoint/{shop.endpoint}/secret"
        rotated = shop.api.post(f"{secret}/rotate", {}, idempotency_key="k")
    with Background(stage(running, settings_for(tmp_path))) as after:
        api = Asker(after.value.service.url, shop.api.token)
        assert api.post("/app", {"name": "Shop"}, idempotency_key="k").body == app.body
        again = api.post(f"/app/{shop.app}/msg", body, idempotency_key="k")
        assert (again.status, again.body) == (202, msg.body)
        assert api.post(f"{secret}/rotate", {}, idempotency_key="k").body == rotated.body


def test_no_secret_is_kept_with_an_answer(tmp_path: Path) -> None:
    """The database seals secrets; a remembered answer must not be a way around that."""
    with Background(stage(running, settings_for(tmp_path))) as running_stage:
        shop = Shop(running_stage.value, "sealed")
        key = "whsec_" + "TopSecret/" * 4
        place = f"/app/{shop.app}/endpoint/{shop.endpoint}/secret/rotate"
        rotated = shop.api.post(place, {"key": key}, idempotency_key="k")
        access = shop.api.made(f"/auth/app-portal-access/{shop.app}", {}, idempotency_key="k")
        assert rotated.json["key"] == key
    kept = b"".join(path.read_bytes() for path in tmp_path.iterdir() if path.is_file())
    assert b'{"key":"' not in kept
    assert access["token"].encode() not in kept
