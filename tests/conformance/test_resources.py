"""`Resources`: applications, endpoints, event types, remembered answers."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from ringback.errors import BadRequest, Conflict, NotFound
from ringback.model import Application, Endpoint, RetryPolicy, Secret, SignatureScheme
from ringback.store.page import Page
from ringback.store.port import (
    IdempotencyKey,
)
from ringback.testing.nouns import SECRET
from ringback.testing.stores import World


def changed(**columns: Any) -> Callable[[Any], Any]:
    return lambda old: msgspec.structs.replace(old, **columns)


# ---- applications -------------------------------------------------------------------------------


def test_an_application_is_found_by_id_and_uid_within_its_organization(world: World) -> None:
    app = world.app(uid="shop", metadata={"tier": "gold"}, throttle_rate=5)
    get = world.store.resources.get_app
    assert app.version > 0
    assert world.run(get("org_1", app.id)) == app
    assert world.run(get("org_1", "shop")) == app
    assert world.run(get("org_2", app.id)) is None
    assert world.run(get("org_2", "shop")) is None


def test_a_uid_is_taken_once_and_freed_by_deleting(world: World) -> None:
    app = world.app(uid="shop")
    world.app(uid="shop", org_id="org_2")
    with pytest.raises(Conflict):
        world.app(uid="shop")
    world.run(world.store.resources.delete_app("org_1", "shop", at_ms=1))
    again = world.app(uid="shop")
    assert world.run(world.store.resources.get_app("org_1", "shop")) == again
    assert world.run(world.store.resources.get_app("org_1", app.id)) is None


def test_an_id_goes_before_a_uid_that_looks_like_it(world: World) -> None:
    app = world.app()
    world.app(uid=app.id)
    assert world.run(world.store.resources.get_app("org_1", app.id)) == app


def test_changing_an_application_raises_its_version(world: World) -> None:
    app = world.app()
    update = world.store.resources.update_app
    new = world.run(update("org_1", app.id, changed(name="New", uid="u", metadata={"a": "b"})))
    assert new == changed(name="New", uid="u", metadata={"a": "b"}, version=app.version + 1)(app)
    assert world.run(world.store.resources.get_app("org_1", "u")) == new
    assert world.run(update("org_1", "u", changed(uid=None))).uid is None


def test_a_refused_change_leaves_everything_as_it_was(world: World) -> None:
    taken, app = world.app(uid="taken"), world.app()

    def refuse(_old: Application) -> Application:
        raise BadRequest("no")

    update = world.store.resources.update_app
    with pytest.raises(BadRequest):
        world.run(update("org_1", app.id, refuse))
    with pytest.raises(Conflict):
        world.run(update("org_1", app.id, changed(uid=taken.uid)))
    with pytest.raises(NotFound):
        world.run(update("org_1", "app_none", changed(name="x")))
    with pytest.raises(NotFound):
        world.run(world.store.resources.delete_app("org_2", app.id, at_ms=1))
    assert world.run(world.store.resources.get_app("org_1", app.id)) == app


def test_deleting_an_application_takes_its_endpoints_along(world: World) -> None:
    app = world.app()
    endpoint = world.endpoint(app)
    world.queued(app, endpoint)
    deleted = world.run(world.store.resources.delete_app("org_1", app.id, at_ms=7))
    assert deleted.id == app.id
    assert world.run(world.store.resources.get_endpoint(app.id, endpoint.id)) is None
    assert world.run(world.store.path.routing("org_1", app.id)) is None
    assert world.run(world.store.path.routing_of(app.id)) is None
    assert world.due() == []
    assert world.claim_all(endpoint) == []


# ---- endpoints ----------------------------------------------------------------------------------


def test_an_endpoint_is_kept_as_it_is(world: World) -> None:
    app = world.app()
    endpoint = world.endpoint(
        app,
        uid="hook",
        description="orders",
        event_types=("a", "b"),
        channels=(),
        throttle_rate=9,
        metadata={"k": "v"},
        headers={"X-Key": "1"},
        secrets=(Secret(SECRET), Secret(SECRET[:-1] + "B", 123)),
        signature_scheme=SignatureScheme.STRIPE,
        retry=RetryPolicy((1.0, 2.5)),
        failing_since_ms=5,
    )
    get = world.store.resources.get_endpoint
    assert endpoint.version > 0
    assert world.run(get(app.id, endpoint.id)) == endpoint
    assert world.run(get(app.id, "hook")) == endpoint
    assert world.run(get("app_other", endpoint.id)) is None
    routing = world.run(world.store.path.routing("org_1", app.id))
    assert routing is not None
    assert routing.endpoints == (endpoint,)


def test_each_write_to_an_endpoint_raises_both_versions(world: World) -> None:
    app = world.app()
    versions = [world.version(app)]
    endpoint = world.endpoint(app)
    versions.append(world.version(app))
    new = world.run(
        world.store.resources.update_endpoint(
            app.id, endpoint.id, changed(url="https://b.example/", secrets=(Secret(SECRET, 1),))
        )
    )
    versions.append(world.version(app))
    assert new == changed(
        url="https://b.example/", secrets=(Secret(SECRET, 1),), version=endpoint.version + 1
    )(endpoint)
    assert world.run(world.store.resources.get_endpoint(app.id, endpoint.id)) == new
    world.run(world.store.resources.delete_endpoint(app.id, endpoint.id, at_ms=1))
    versions.append(world.version(app))
    assert versions == sorted(set(versions))


def test_endpoints_are_limited_and_uids_unique(world: World) -> None:
    app, other = world.app(), world.app()
    create = world.store.resources.create_endpoint
    first = world.endpoint(app, uid="hook")
    world.endpoint(other, uid="hook")
    with pytest.raises(Conflict):
        world.endpoint(app, uid="hook")
    with pytest.raises(BadRequest) as refusal:
        world.run(create(world.new_endpoint(app), endpoints_max=1))
    assert refusal.value.code == "limit_reached"
    gone = msgspec.structs.replace(world.new_endpoint(app), app_id="app_none")
    with pytest.raises(NotFound):
        world.run(create(gone, endpoints_max=9))
    second = world.endpoint(app)
    with pytest.raises(Conflict):
        world.run(world.store.resources.update_endpoint(app.id, second.id, changed(uid="hook")))
    world.run(world.store.resources.delete_endpoint(app.id, first.id, at_ms=1))
    world.endpoint(app, uid="hook")


def test_writes_to_missing_endpoints_say_so(world: World) -> None:
    app = world.app()
    with pytest.raises(NotFound):
        world.run(world.store.resources.update_endpoint(app.id, "ep_1", changed(url="x")))
    with pytest.raises(NotFound):
        world.run(world.store.resources.delete_endpoint(app.id, "ep_1", at_ms=1))


def test_an_endpoint_created_disabled_is_parked(world: World) -> None:
    app = world.app()
    endpoint = world.endpoint(app, is_disabled=True)
    message = world.queued(app, endpoint)
    assert world.due() == []
    assert world.claim_all(endpoint) == []
    world.run(
        world.store.resources.update_endpoint(app.id, endpoint.id, changed(is_disabled=False))
    )
    assert [one.msg_id for one in world.claim_all(endpoint)] == [message.id]


def test_enabling_with_nothing_waiting_makes_nothing_due(world: World) -> None:
    app = world.app()
    endpoint = world.endpoint(app)
    for is_disabled in (True, False):
        world.run(
            world.store.resources.update_endpoint(
                app.id, endpoint.id, changed(is_disabled=is_disabled)
            )
        )
    assert world.run(world.store.path.next_due_at_ms()) is None


# ---- lists --------------------------------------------------------------------------------------


def test_lists_are_walked_in_both_directions_and_orders(world: World) -> None:
    apps = [world.app() for _ in range(7)]
    world.app(org_id="org_2")
    world.run(world.store.resources.delete_app("org_1", apps.pop(3).id, at_ms=1))
    ids = [app.id for app in apps]
    for is_descending in (True, False):
        expected = ids[::-1] if is_descending else ids
        assert _walked_forward(world, is_descending=is_descending) == expected
        back = world.run(
            world.store.resources.list_apps(
                "org_1", Page(2, expected[4], is_backward=True, is_descending=is_descending)
            )
        )
        assert [app.id for app in back.rows] == expected[2:4]
        assert back.has_more
        first = world.run(
            world.store.resources.list_apps(
                "org_1", Page(2, expected[2], is_backward=True, is_descending=is_descending)
            )
        )
        assert [app.id for app in first.rows] == expected[:2]
        assert not first.has_more


def test_a_list_from_the_oldest_holds_the_far_end_in_order(world: World) -> None:
    apps = [world.app() for _ in range(5)]
    page = world.run(world.store.resources.list_apps("org_1", Page(2, from_oldest=True)))
    assert [app.id for app in page.rows] == [apps[1].id, apps[0].id]
    assert page.has_more


def test_endpoints_are_listed_within_their_application(world: World) -> None:
    app, other = world.app(), world.app()
    endpoints = [world.endpoint(app) for _ in range(3)]
    world.endpoint(other)
    page = world.run(world.store.resources.list_endpoints(app.id, Page(2, is_descending=False)))
    assert page.rows == endpoints[:2]
    assert page.has_more


def _walked_forward(world: World, *, is_descending: bool) -> list[str]:
    walked: list[str] = []
    has_more = True
    while has_more:
        page = world.run(
            world.store.resources.list_apps(
                "org_1", Page(4, walked[-1] if walked else None, is_descending=is_descending)
            )
        )
        walked += [app.id for app in page.rows]
        has_more = page.has_more
    return walked


# ---- event types --------------------------------------------------------------------------------


def test_event_types_live_and_are_archived(world: World) -> None:
    kind = world.event_type("a.b", schemas={"1": {"type": "object"}}, group_name="g")
    get = world.store.resources.get_event_type
    assert world.run(get("org_1", "a.b")) == kind
    assert world.run(get("org_2", "a.b")) is None
    with pytest.raises(Conflict) as refusal:
        world.event_type("a.b")
    assert refusal.value.code == "event_type_exists"
    update = world.store.resources.update_event_type
    assert world.run(update("org_1", "a.b", changed(description="d"))).description == "d"
    delete = world.store.resources.delete_event_type
    world.run(delete("org_1", "a.b", expunge=False, at_ms=9))
    archived = world.run(get("org_1", "a.b"))
    assert archived is not None
    assert (archived.is_archived, archived.updated_at_ms) == (True, 9)
    again = world.event_type("a.b", description="new")
    assert world.run(get("org_1", "a.b")) == again
    world.run(delete("org_1", "a.b", expunge=True, at_ms=9))
    assert world.run(get("org_1", "a.b")) is None
    with pytest.raises(NotFound):
        world.run(delete("org_1", "a.b", expunge=True, at_ms=9))
    with pytest.raises(NotFound):
        world.run(update("org_1", "a.b", changed(description="d")))


def test_event_types_are_listed_by_name_and_flag(world: World) -> None:
    world.event_type("c", feature_flag="beta")
    world.event_type("a")
    world.event_type("b", feature_flag="gamma")
    world.event_type("d", is_archived=True)
    world.event_type("a", org_id="org_2")

    def names(**options: Any) -> list[str]:
        values = {"include_archived": False, "flags": None, **options}
        page = Page(10, is_descending=False)
        listed = world.run(world.store.resources.list_event_types("org_1", page, **values))
        return [kind.name for kind in listed.rows]

    assert names() == ["a", "b", "c"]
    assert names(include_archived=True) == ["a", "b", "c", "d"]
    assert names(flags=["beta"]) == ["a", "c"]
    assert names(flags=[]) == ["a"]


def test_unknown_event_types_are_named(world: World) -> None:
    world.event_type("a")
    world.event_type("old", is_archived=True)
    unknown = world.store.resources.unknown_event_types
    assert world.run(unknown("org_1", ["z", "a", "old", "y"])) == ["z", "y"]
    assert world.run(unknown("org_2", ["a"])) == ["a"]


# ---- answers ------------------------------------------------------------------------------------


def test_the_first_answer_is_remembered_until_it_expires(world: World) -> None:
    remember, recall = world.store.resources.remember, world.store.resources.recall
    now_ms = world.clock.at_ms
    world.run(remember(IdempotencyKey(b"key", now_ms + 10), b"first"))
    world.run(remember(IdempotencyKey(b"key", now_ms + 99), b"second"))
    assert world.run(recall(b"key", now_ms=now_ms)) == b"first"
    assert world.run(recall(b"other", now_ms=now_ms)) is None
    assert world.run(recall(b"key", now_ms=now_ms + 10)) is None
    world.clock.at_ms += 10
    world.run(remember(IdempotencyKey(b"key", now_ms + 99), b"third"))
    assert world.run(recall(b"key", now_ms=now_ms + 10)) == b"third"


def test_secrets_do_not_show(world: World) -> None:
    app = world.app()
    endpoint: Endpoint = world.endpoint(app)
    assert SECRET not in repr(endpoint)
