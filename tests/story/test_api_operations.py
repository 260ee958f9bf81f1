"""Every operation over real sockets: status, body, and the traps that SDKs fall into."""

import re
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import pytest

from ringback.serve import Service
from ringback.testing.asker import Asker
from ringback.testing.shop import BOTH
from ringback.testing.stage import Live

INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
numbers = count(1)
STORES = BOTH
SETTINGS = {"old_secrets_max": 2}


@pytest.fixture
def hook(live: Live[Service]) -> str:
    return live.value.receiver.url("/hook")


def unique(word: str) -> str:
    return f"{word}-{next(numbers)}"


def delivered(api: Asker, app: str, msg_id: str, attempts: int = 1) -> list[Any]:
    """The attempts of a message, newest first, when there are that many."""
    found = api.until(
        f"/app/{app}/attempt/msg/{msg_id}", lambda page: len(page["data"]) >= attempts
    )
    return list(found["data"])


# ---- applications -------------------------------------------------------------------------------


def test_an_application_is_shown_as_svix_shows_it(api: Asker) -> None:
    uid = unique("shop")
    made = api.post("/app", {"name": "Shop", "uid": uid, "throttleRate": 7, "metadata": {"a": "b"}})
    assert made.status == 201
    shown = made.json
    assert re.fullmatch(r"app_[A-Za-z0-9]{27}", shown["id"])
    assert INSTANT.fullmatch(shown.pop("createdAt"))
    assert INSTANT.fullmatch(shown.pop("updatedAt"))
    assert shown == {
        "id": shown["id"],
        "uid": uid,
        "name": "Shop",
        "throttleRate": 7,
        "rateLimit": 7,
        "metadata": {"a": "b"},
    }
    for ref in (uid, shown["id"]):
        assert api.get(f"/app/{ref}").json["id"] == shown["id"]


def test_a_second_application_with_a_uid_is_a_conflict_or_the_first_one(api: Asker) -> None:
    uid = unique("shop")
    first = api.made("/app", {"name": "First", "uid": uid})
    again = api.post("/app", {"name": "Second", "uid": uid})
    assert (again.status, again.json["code"]) == (409, "conflict")
    got = api.post("/app?get_if_exists=true", {"name": "Second", "uid": uid})
    assert (got.status, got.json["id"], got.json["name"]) == (200, first["id"], "First")
    other = unique("shop")
    assert api.post("/app?get_if_exists=true", {"name": "New", "uid": other}).status == 201
    assert api.post("/app?get_if_exists=true", {"name": "No uid"}).status == 201


def test_put_replaces_an_application_or_creates_it_with_the_uid_of_the_body(api: Asker) -> None:
    path_uid, body_uid = unique("path"), unique("body")
    made = api.put(f"/app/{path_uid}", {"name": "A", "uid": body_uid})
    assert (made.status, made.json["uid"]) == (201, body_uid)
    assert api.get(f"/app/{path_uid}").status == 404
    put = api.put(f"/app/{body_uid}", {"name": "B", "uid": body_uid, "rateLimit": 3})
    assert (put.status, put.json["name"], put.json["throttleRate"]) == (200, "B", 3)
    bare = api.put(f"/app/{body_uid}", {"name": "C"})
    assert (bare.json["uid"], bare.json["throttleRate"], bare.json["metadata"]) == (None, None, {})


def test_patch_keeps_what_is_left_out_and_null_clears(api: Asker) -> None:
    uid = unique("shop")
    app = api.made("/app", {"name": "A", "uid": uid, "throttleRate": 5, "metadata": {"k": "v"}})
    kept = api.patch(f"/app/{uid}", {"name": "B"}).json
    assert (kept["name"], kept["uid"], kept["throttleRate"]) == ("B", uid, 5)
    cleared = api.patch(f"/app/{app['id']}", {"uid": None, "throttleRate": None}).json
    assert (cleared["uid"], cleared["throttleRate"], cleared["metadata"]) == (
        None,
        None,
        {"k": "v"},
    )
    for field in ("name", "metadata"):
        assert api.patch(f"/app/{app['id']}", {field: None}).status == 422


def test_a_deleted_application_is_gone_and_its_uid_is_free(api: Asker) -> None:
    uid = unique("shop")
    first = api.made("/app", {"name": "A", "uid": uid})
    gone = api.delete(f"/app/{uid}")
    assert (gone.status, gone.body) == (204, b"")
    for path in (f"/app/{uid}", f"/app/{first['id']}", f"/app/{first['id']}/msg"):
        assert api.get(path).status == 404
    assert api.delete(f"/app/{uid}").status == 404
    assert api.made("/app", {"name": "B", "uid": uid})["id"] != first["id"]


# ---- endpoints ----------------------------------------------------------------------------------


def test_an_endpoint_is_shown_under_both_generations_of_names(
    api: Asker, app: str, hook: str
) -> None:
    name = unique("order.paid")
    api.made("/event-type", {"name": name, "description": ""})
    made = api.post(
        f"/app/{app}/endpoint",
        {"url": hook, "uid": "shop", "filterTypes": [name], "channels": ["a"], "rateLimit": 9},
    )
    assert made.status == 201
    shown = made.json
    assert re.fullmatch(r"ep_[A-Za-z0-9]{27}", shown["id"])
    assert "secret" not in shown
    wanted = {
        "uid": "shop",
        "url": hook,
        "description": "",
        "disabled": False,
        "eventTypes": [name],
        "filterTypes": [name],
        "channels": ["a"],
        "throttleRate": 9,
        "rateLimit": 9,
        "metadata": {},
        "version": 1,
        "signatureScheme": "standard",
        "retry": None,
    }
    assert {field: shown[field] for field in wanted} == wanted
    assert api.get(f"/app/{app}/endpoint/shop").json == shown
    again = api.post(f"/app/{app}/endpoint", {"url": hook, "uid": "shop"})
    assert (again.status, again.json["code"]) == (409, "conflict")


def test_an_empty_filter_is_no_filter(api: Asker, app: str, hook: str) -> None:
    for field in ("filterTypes", "eventTypes"):
        made = api.made(f"/app/{app}/endpoint", {"url": hook, field: []})
        assert made["eventTypes"] is None
        patched = api.patch(f"/app/{app}/endpoint/{made['id']}", {field: []})
        assert (patched.status, patched.json["filterTypes"]) == (200, None)


def test_put_keeps_secret_and_headers(api: Asker, app: str, hook: str) -> None:
    made = api.put(f"/app/{app}/endpoint/new", {"url": hook, "uid": "given"})
    assert (made.status, made.json["uid"]) == (201, "given")
    place = f"/app/{app}/endpoint/given"
    api.put(f"{place}/headers", {"headers": {"X-Shop": "1"}})
    secret = api.get(f"{place}/secret").json
    put = api.put(
        place, {"url": hook, "description": "d", "uid": "given", "retry": {"schedule": [1]}}
    )
    assert (put.status, put.json["description"]) == (200, "d")
    assert put.json["retry"] == {"schedule": [1.0]}
    bare = api.put(place, {"url": hook})
    assert (bare.json["uid"], bare.json["retry"]) == (None, {"schedule": [1.0]})
    place = f"/app/{app}/endpoint/{bare.json['id']}"
    assert api.get(f"{place}/secret").json == secret
    assert api.get(f"{place}/headers").json["headers"] == {"X-Shop": "1"}


def test_patching_an_endpoint(api: Asker, app: str, hook: str) -> None:
    made = api.made(
        f"/app/{app}/endpoint", {"url": hook, "uid": "e", "channels": ["a"], "throttleRate": 2}
    )
    place = f"/app/{app}/endpoint/{made['id']}"
    patched = api.patch(place, {"disabled": True, "description": "off", "metadata": {"a": "b"}})
    assert (patched.status, patched.json["disabled"], patched.json["uid"]) == (200, True, "e")
    cleared = api.patch(place, {"uid": None, "channels": None, "throttleRate": None}).json
    assert [cleared[name] for name in ("uid", "channels", "throttleRate")] == [None, None, None]
    assert cleared["description"] == "off"
    for field in ("url", "description", "disabled", "metadata"):
        assert api.patch(place, {field: None}).status == 422, field


def test_a_deleted_endpoint_gets_nothing_more(
    live: Live[Service], api: Asker, app: str, hook: str
) -> None:
    gone = api.made(f"/app/{app}/endpoint", {"url": f"{hook}/gone", "uid": "e"})["id"]
    api.made(f"/app/{app}/endpoint", {"url": f"{hook}/stays"})
    assert api.delete(f"/app/{app}/endpoint/e").status == 204
    assert api.get(f"/app/{app}/endpoint/{gone}").status == 404
    assert api.delete(f"/app/{app}/endpoint/e").status == 404
    made = api.made(f"/app/{app}/msg", {"eventType": "e.x", "payload": {}})
    delivered(api, app, made["id"])
    assert "/hook/gone" not in [arrival.path for arrival in live.value.receiver.arrivals]


def test_rotating_answers_with_the_new_key_and_keeps_the_old_for_a_while(
    live: Live[Service], api: Asker, app: str, hook: str
) -> None:
    """Newer SDKs read the body of the answer, older ones ignore it."""
    path = f"/{unique('rotated')}"
    made = api.made(f"/app/{app}/endpoint", {"url": live.value.receiver.url(path)})
    place = f"/app/{app}/endpoint/{made['id']}/secret"
    first = api.get(place).json["key"]
    rotated = api.post(f"{place}/rotate", {})
    assert (rotated.status, rotated.json) == (200, api.get(place).json)
    assert rotated.json["key"] != first
    message = api.made(f"/app/{app}/msg", {"eventType": "e.x", "payload": {}})
    delivered(api, app, message["id"])
    [arrival] = [one for one in live.value.receiver.arrivals if one.path == path]
    assert len(arrival.headers["webhook-signature"].split()) == 2
    assert api.post(f"{place}/rotate").status == 200
    full = api.post(f"{place}/rotate", {})
    assert (full.status, full.json["code"]) == (400, "limit_reached")
    now = api.post(f"{place}/rotate", {"gracePeriodSeconds": 0})
    assert now.status == 200
    given = "whsec_" + "A" * 32
    assert api.post(f"{place}/rotate", {"key": given, "gracePeriodSeconds": 0}).json["key"] == given


def test_an_asymmetric_secret_shows_its_public_half(api: Asker, app: str, hook: str) -> None:
    key = (
        "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9l"
        "MicMFs6Kvg=="
    )
    api.made(f"/app/{app}/endpoint", {"url": hook, "uid": "e", "secret": key})
    shown = api.get(f"/app/{app}/endpoint/e/secret").json["key"]
    assert shown == "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4="


def test_headers_are_set_merged_removed_and_masked(
    live: Live[Service], api: Asker, app: str
) -> None:
    path = f"/{unique('headers')}"
    made = api.made(f"/app/{app}/endpoint", {"url": live.value.receiver.url(path)})
    place = f"/app/{app}/endpoint/{made['id']}/headers"
    assert api.put(place, {"headers": {"X-One": "1", "Authorization": "Bearer s"}}).status == 204
    assert api.get(place).json == {"headers": {"X-One": "1"}, "sensitive": ["Authorization"]}
    patch = {"headers": {"X-Two": "2", "x-one": None}}
    assert api.patch(place, patch).status == 204
    assert api.get(place).json == {"headers": {"X-Two": "2"}, "sensitive": ["Authorization"]}
    assert api.patch(place, {"deleteHeaders": ["x-two"]}).status == 204
    assert api.get(place).json["headers"] == {}
    message = api.made(f"/app/{app}/msg", {"eventType": "e.x", "payload": {}})
    delivered(api, app, message["id"])
    [arrival] = [one for one in live.value.receiver.arrivals if one.path == path]
    assert arrival.headers["authorization"] == "Bearer s"
    assert "x-two" not in arrival.headers


def test_stats_count_attempts(live: Live[Service], api: Asker, app: str, hook: str) -> None:
    made = api.made(f"/app/{app}/endpoint", {"url": hook})
    message = api.made(f"/app/{app}/msg", {"eventType": "e.x", "payload": {}})
    delivered(api, app, message["id"])
    place = f"/app/{app}/endpoint/{made['id']}"
    nothing = {"pending": 0, "sending": 0, "fail": 0, "canceled": 0}
    assert api.get(f"{place}/stats").json == {"success": 1, **nothing}
    assert api.get(f"{place}/attempt-stats").json == {"success": 1, "fail": 0, "canceled": 0}
    until, since = datetime.now(UTC), datetime.now(UTC) - timedelta(days=30)
    for query in (
        f"since={since:%Y-%m-%dT%H:%M:%SZ}&until={until:%Y-%m-%dT%H:%M:%SZ}",
        f"since={until:%Y-%m-%dT%H:%M:%SZ}&until={since:%Y-%m-%dT%H:%M:%SZ}",
    ):
        far = api.get(f"{place}/stats?{query}")
        assert (far.status, far.json["code"]) == (400, "invalid_range")


def test_examples_come_from_the_schema_or_the_caller(api: Asker, app: str, hook: str) -> None:
    name = unique("order.paid")
    schema = {"type": "object", "examples": [{"id": 1}, {"id": 2}]}
    api.made("/event-type", {"name": name, "description": "", "schemas": {"1": schema}})
    made = api.made(f"/app/{app}/endpoint", {"url": hook, "eventTypes": [name]})
    place = f"/app/{app}/endpoint/{made['id']}/send-example"
    first = api.post(place, {"eventType": name})
    assert (first.status, first.json["payload"]) == (200, {"id": 1})
    assert api.made(place, {"eventType": name, "exampleIndex": 1})["payload"] == {"id": 2}
    assert api.made(place, {"eventType": name, "payload": {"own": 1}})["payload"] == {"own": 1}
    assert api.post(place, {"eventType": name, "exampleIndex": 2}).status == 422
    assert api.post(place, {"eventType": "no.such"}).status == 404
    # The built-in ping arrives although the endpoint filters it out.
    ping = api.made(place, {"eventType": "svix.ping"})
    assert delivered(api, app, ping["id"])[0]["status"] == 0
    api.patch(f"/app/{app}/endpoint/{made['id']}", {"disabled": True})
    assert api.post(place, {"eventType": "svix.ping"}).status == 400


# ---- event types --------------------------------------------------------------------------------


def test_an_event_type_through_its_life(api: Asker) -> None:
    name = unique("order.paid")
    made = api.post("/event-type", {"name": name, "description": "Paid", "featureFlag": "beta"})
    assert made.status == 201
    shown = made.json
    assert INSTANT.fullmatch(shown.pop("createdAt"))
    assert INSTANT.fullmatch(shown.pop("updatedAt"))
    assert shown == {
        "name": name,
        "description": "Paid",
        "archived": False,
        "deprecated": False,
        "schemas": None,
        "featureFlag": "beta",
        "featureFlags": ["beta"],
        "groupName": None,
    }
    again = api.post("/event-type", {"name": name, "description": ""})
    assert (again.status, again.json["code"]) == (409, "event_type_exists")
    put = api.put(f"/event-type/{name}", {"description": "New", "schemas": {"1": {}}})
    assert (put.status, put.json["featureFlag"], put.json["schemas"]) == (200, None, {"1": {}})
    patched = api.patch(f"/event-type/{name}", {"schemas": None, "deprecated": True}).json
    assert (patched["schemas"], patched["deprecated"], patched["description"]) == (
        None,
        True,
        "New",
    )
    assert api.delete(f"/event-type/{name}").status == 204
    assert api.get(f"/event-type/{name}").json["archived"] is True
    assert name not in [one["name"] for one in api.get("/event-type?limit=250").json["data"]]
    listed = api.get("/event-type?limit=250&include_archived=true").json["data"]
    assert name in [one["name"] for one in listed]
    back = api.post("/event-type", {"name": name, "description": "Back"})
    assert (back.status, back.json["archived"]) == (201, False)
    assert api.delete(f"/event-type/{name}?expunge=true").status == 204
    assert api.get(f"/event-type/{name}").status == 404
    assert api.delete(f"/event-type/{name}").status == 404


def test_put_creates_an_event_type_under_the_name_of_the_path(api: Asker) -> None:
    name = unique("order.paid")
    made = api.put(f"/event-type/{name}", {"description": ""})
    assert (made.status, made.json["name"]) == (201, name)
    assert api.patch(f"/event-type/{unique('none')}", {"description": ""}).status == 404


def test_lists_show_schemas_only_when_asked(api: Asker) -> None:
    name = unique("order.paid")
    api.made("/event-type", {"name": name, "description": "", "schemas": {"1": {"type": "object"}}})

    def listed(query: str) -> Any:
        found = api.get(f"/event-type?limit=250{query}").json["data"]
        return next(one["schemas"] for one in found if one["name"] == name)

    assert listed("") is None
    assert listed("&with_content=true") == {"1": {"type": "object"}}


# ---- messages -----------------------------------------------------------------------------------


def test_a_message_comes_back_byte_for_byte(api: Asker, app: str) -> None:
    payload = b'{ "b" :1,"a": 1.10, "u":"\\u00e9\xc3\xa9 \\/","n":{"a":[]}  }'
    made = api.post(f"/app/{app}/msg", b'{"payload":' + payload + b',"eventType":"a.b"}')
    assert made.status == 202
    assert made.body.endswith(b'"payload":' + payload + b"}")
    shown = made.json
    assert re.fullmatch(r"msg_[A-Za-z0-9]{27}", shown["id"])
    assert INSTANT.fullmatch(shown["timestamp"])
    assert (shown["eventId"], shown["channels"], shown["eventType"]) == (None, None, "a.b")
    assert payload in api.get(f"/app/{app}/msg/{shown['id']}").body
    assert payload in api.get(f"/app/{app}/msg").body


def test_payload_is_never_left_out_of_an_answer(api: Asker, app: str) -> None:
    """Generated clients require the key, whatever `with_content` says."""
    made = api.post(f"/app/{app}/msg?with_content=false", {"eventType": "e", "payload": {"a": 1}})
    assert (made.status, made.json["payload"]) == (202, {})
    place = f"/app/{app}/msg/{made.json['id']}"
    assert api.get(f"{place}?with_content=false").json["payload"] == {}
    assert api.get(f"{place}?with_content=true").json["payload"] == {"a": 1}
    assert api.get(place).json["payload"] == {"a": 1}
    assert api.get(f"/app/{app}/msg?with_content=false").json["data"][0]["payload"] == {}
    assert api.delete(f"{place}/content").status == 204
    assert api.get(place).json["payload"] == {"expired": True}


def test_an_event_id_is_taken_once_and_found_by(api: Asker, app: str) -> None:
    body = {"eventType": "e", "payload": {}, "eventId": "order-7", "channels": ["a", "b", "a"]}
    made = api.post(f"/app/{app}/msg", body)
    assert (made.status, made.json["channels"]) == (202, ["a", "b"])
    again = api.post(f"/app/{app}/msg", body)
    assert (again.status, again.json["code"]) == (409, "conflict")
    assert api.get(f"/app/{app}/msg/order-7").json == made.json


def test_data_is_an_old_name_of_payload(api: Asker, app: str) -> None:
    made = api.post(f"/app/{app}/msg", b'{"eventType":"e","data":{"a":  1}}')
    assert made.body.endswith(b'"payload":{"a":  1}}')


def test_a_message_may_bring_its_application(api: Asker) -> None:
    uid = unique("late")
    body = {"eventType": "e", "payload": {}, "application": {"name": "Late", "uid": uid}}
    assert api.post(f"/app/{uid}/msg", {"eventType": "e", "payload": {}}).status == 404
    assert api.post(f"/app/{uid}/msg", body).status == 202
    assert api.get(f"/app/{uid}").json["name"] == "Late"
    assert api.post(f"/app/{uid}/msg", body).status == 202
    for application, kind in (
        ({"name": "Late"}, "application_uid_missing"),
        ({"name": "Late", "uid": "other"}, "application_uid_mismatch"),
    ):
        refused = api.post(f"/app/{unique('late')}/msg", {**body, "application": application})
        assert (refused.status, refused.json["detail"][0]["type"]) == (422, kind)


def test_a_raw_payload_is_sent_instead(live: Live[Service], api: Asker, app: str) -> None:
    path = f"/{unique('raw')}"
    api.made(f"/app/{app}/endpoint", {"url": live.value.receiver.url(path)})
    params = {"rawPayload": "<é/>", "headers": {"content-type": "text/xml"}}
    body = {"eventType": "e", "payload": {}, "transformationsParams": params}
    made = api.made(f"/app/{app}/msg", body)
    delivered(api, app, made["id"])
    [arrival] = [one for one in live.value.receiver.arrivals if one.path == path]
    assert (arrival.body.decode(), arrival.headers["content-type"]) == ("<é/>", "text/xml")


def test_precheck_says_whether_anybody_would_get_it(api: Asker, app: str, hook: str) -> None:
    place = f"/app/{app}/msg/precheck/active"
    assert api.post(place, {"eventType": "e"}).json == {"active": False}
    api.made(f"/app/{app}/endpoint", {"url": hook, "channels": ["a"]})
    assert api.post(place, {"eventType": "e"}).json == {"active": False}
    assert api.post(place, {"eventType": "e", "channels": ["a"]}).json == {"active": True}
