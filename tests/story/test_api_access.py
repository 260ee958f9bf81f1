"""No token gets further than it should: every route of the table with every wrong token."""

import warnings
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest

from ringback.api.access import Access
from ringback.api.route import Route
from ringback.api.routes import ROUTES
from ringback.serve import Service
from ringback.testing.asker import Asker, Reply
from ringback.testing.process import JWT_SECRET, token
from ringback.testing.stage import Live

OWNER, STRANGER = "org_owner", "org_stranger"
AN_HOUR_AGO = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
LONG_AGO, FAR_AHEAD = 1_500_000_000, 4_000_000_000


class Property:
    """What the owner has, one of each, and how to see whether any of it changed."""

    def __init__(self, owner: Asker, url: str) -> None:
        self.owner = owner
        app = owner.made("/app", {"name": "Shop", "metadata": {"a": "b"}})["id"]
        other = owner.made("/app", {"name": "Other"})["id"]
        endpoint = owner.made(f"/app/{app}/endpoint", {"url": url})["id"]
        owner.post("/event-type", {"name": "order.paid", "description": ""})
        msg = owner.made(f"/app/{app}/msg", {"eventType": "order.paid", "payload": {"a": 1}})["id"]
        found = owner.until(f"/app/{app}/attempt/msg/{msg}", lambda page: bool(page["data"]))
        since = {"since": AN_HOUR_AGO}
        task = owner.made(f"/app/{app}/endpoint/{endpoint}/recover", since)["id"]
        owner.until(f"/background-task/{task}", lambda task: task["status"] == "finished")
        self.other_app = other
        self.names = {
            "app_id": app,
            "endpoint_id": endpoint,
            "msg_id": msg,
            "event_type_name": "order.paid",
            "attempt_id": found["data"][0]["id"],
            "task_id": task,
        }

    def path(self, route: Route) -> str:
        return route.path.format(**self.names)

    def seen(self) -> list[Any]:
        """Everything that the owner can see of it."""
        app, endpoint, msg = (self.names[name] for name in ("app_id", "endpoint_id", "msg_id"))
        places = [
            f"/app/{app}",
            f"/app/{app}/endpoint",
            f"/app/{app}/endpoint/{endpoint}/secret",
            f"/app/{app}/endpoint/{endpoint}/headers",
            f"/app/{app}/msg",
            f"/app/{app}/attempt/msg/{msg}",
            f"/app/{self.other_app}/endpoint",
            "/event-type?with_content=true&include_archived=true",
            "/app",
        ]
        return [self.owner.get(place).json for place in places]


@pytest.fixture(scope="module")
def things(live: Live[Service]) -> Property:
    owner = Asker(live.value.service.url, token(OWNER))
    return Property(owner, live.value.receiver.url("/hook"))


BODIES: dict[str, Any] = {
    "v1.application.create": {"name": "Taken"},
    "v1.application.upsert": {"name": "Taken"},
    "v1.application.patch": {"name": "Taken"},
    "v1.endpoint.create": {"url": "http://thief.example/"},
    "v1.endpoint.upsert": {"url": "http://thief.example/"},
    "v1.endpoint.patch": {"url": "http://thief.example/"},
    "v1.endpoint.rotate-secret": {},
    "v1.endpoint.set-headers": {"headers": {"X-Thief": "1"}},
    "v1.endpoint.patch-headers": {"headers": {"X-Thief": "1"}},
    "v1.endpoint.send-example": {"eventType": "svix.ping"},
    "v1.endpoint.recover": {"since": AN_HOUR_AGO},
    "v1.event-type.create": {"name": "order.taken", "description": ""},
    "v1.event-type.upsert": {"description": "Taken"},
    "v1.event-type.patch": {"description": "Taken"},
    "v1.message.create": {"eventType": "order.paid", "payload": {}},
    "v1.message.precheck": {"eventType": "order.paid"},
    "v1.authentication.app-portal-access": {},
}
# What a stranger does with these happens to the stranger's own things.
ONES_OWN = {
    "v1.application.list",
    "v1.application.create",
    "v1.application.upsert",
    "v1.event-type.list",
    "v1.event-type.create",
    "v1.event-type.upsert",
}
# An organization's event types are for all of its applications to read.
SHARED = {"v1.event-type.list", "v1.event-type.get"}

GUARDED = [route for route in ROUTES if route.who is not Access.NONE]


def named(route: Route) -> str:
    return route.operation


def signed(claims: dict[str, Any], key: str = JWT_SECRET, algorithm: str = "HS256") -> str:
    with warnings.catch_warnings(category=jwt.InsecureKeyLengthWarning, action="ignore"):
        return jwt.encode(claims, key, algorithm=algorithm)


BAD_TOKENS = {
    "none at all": "",
    "garbage": "garbage",
    "three parts of garbage": "a.b.c",
    "a wrong key": signed({"sub": OWNER}, "not the key of this server, but as long"),
    "the key itself": JWT_SECRET,
    "no algorithm": signed({"sub": OWNER}, "", "none"),
    "another algorithm": signed({"sub": OWNER}, algorithm="HS512"),
    "expired": signed({"sub": OWNER, "exp": LONG_AGO}),
    "not yet valid": signed({"sub": OWNER, "nbf": FAR_AHEAD}),
    "made in the future": signed({"sub": OWNER, "iat": FAR_AHEAD}),
    "no subject": signed({"org": OWNER}),
    "a subject of the wrong kind": signed({"sub": "usr_1"}),
    "a number for a subject": signed({"sub": "org_1", "exp": "never"}),
    "an application without its organization": signed({"sub": "app_1"}),
    "an organization within another": signed({"sub": OWNER, "org": OWNER}),
    "a cut signature": signed({"sub": OWNER})[:-1],
    "an altered signature": signed({"sub": OWNER})[:-8] + "AAAAAAAA",
    "too long": signed({"sub": OWNER, "x": "x" * 9_000}),
}


def tried(things: Property, route: Route, asker: Asker) -> Reply:
    reply = asker.ask(route.method, things.path(route), BODIES.get(route.operation))
    if reply.status >= 300:
        assert set(reply.json) == {"code", "detail"}
    return reply


@pytest.mark.parametrize("route", GUARDED, ids=named)
def test_a_bad_token_is_401_everywhere(things: Property, route: Route) -> None:
    before = things.seen()
    for name, text in BAD_TOKENS.items():
        reply = tried(things, route, things.owner.with_token(text))
        assert reply.status == 401, name
        assert reply.json["code"] == "authentication_failed"
        assert reply.headers["www-authenticate"] == "Bearer"
    assert things.seen() == before


@pytest.mark.parametrize("value", ["Basic b3JnOng=", "Bearer", "Bearer ", "bearer\tx", "Token x"])
def test_a_bad_header_is_401(things: Property, value: str) -> None:
    assert things.owner.get("/app", authorization=value).status == 401


@pytest.mark.parametrize("route", GUARDED, ids=named)
def test_another_organization_finds_nothing(things: Property, route: Route) -> None:
    before = things.seen()
    stranger = things.owner.with_token(token(f"{STRANGER}_{route.operation}"))
    reply = tried(things, route, stranger)
    if route.operation in ONES_OWN:
        assert reply.status < 300
        for name in things.names.values():
            assert name == "order.paid" or name.encode() not in reply.body
    else:
        assert reply.status == 404
    assert things.seen() == before


@pytest.mark.parametrize("route", GUARDED, ids=named)
def test_another_application_finds_nothing(things: Property, route: Route) -> None:
    """Even one of the same organization."""
    before = things.seen()
    access = things.owner.made(f"/auth/app-portal-access/{things.other_app}", {})
    reply = tried(things, route, things.owner.with_token(access["token"]))
    if route.operation in SHARED:
        assert reply.status == 200
    else:
        assert reply.status == (403 if route.who is Access.ORG else 404)
    assert things.seen() == before


@pytest.mark.parametrize(
    "route", [route for route in GUARDED if route.who is Access.ORG], ids=named
)
def test_an_application_does_not_do_what_its_organization_does(
    things: Property, route: Route
) -> None:
    before = things.seen()
    access = things.owner.made(f"/auth/app-portal-access/{things.names['app_id']}", {})
    reply = tried(things, route, things.owner.with_token(access["token"]))
    assert (reply.status, reply.json["code"]) == (403, "insufficient access")
    assert things.seen() == before


@pytest.mark.parametrize("route", GUARDED, ids=named)
def test_with_base_alone_nothing_is_changed_and_no_secret_is_seen(
    things: Property, route: Route
) -> None:
    before = things.seen()
    access = things.owner.made(
        f"/auth/app-portal-access/{things.names['app_id']}", {"capabilities": []}
    )
    reply = tried(things, route, things.owner.with_token(access["token"]))
    is_reading = route.method == "GET" and not route.operation.endswith("secret")
    may = route.who is Access.APP and (is_reading or route.operation == "v1.message.precheck")
    assert reply.status == (200 if may else 403)
    assert things.seen() == before


@pytest.mark.parametrize("route", GUARDED, ids=named)
def test_the_owner_may(live: Live[Service], route: Route) -> None:
    """So none of the refusals above was for another reason."""
    owner = Asker(live.value.service.url, token(f"{OWNER}_{route.operation}"))
    things = Property(owner, live.value.receiver.url("/hook"))
    assert tried(things, route, owner).status in route.statuses


def test_every_route_says_who_may(things: Property) -> None:
    assert {route.operation for route in ROUTES} - {route.operation for route in GUARDED} == {
        "v1.health.get",
        "v1.health.ping",
        "v1.authentication.logout",
    }
    assert {route.operation for route in GUARDED if route.body} == set(BODIES)
