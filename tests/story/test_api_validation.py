"""Bad resources: always a 4xx of the one shape, with a sentence, and nothing is changed by it."""

import json
from typing import Any

import pytest

from ringback.testing.asker import Asker
from ringback.testing.refusals import UIDS_REFUSED, refused

BODY_BYTES_MAX = 300_000
SETTINGS = {"body_bytes_max": BODY_BYTES_MAX, "endpoints_per_app_max": 50}
HOOK = "http://shop.example/hook"


# ---- applications -------------------------------------------------------------------------------


@pytest.mark.parametrize("uid", [*UIDS_REFUSED, "app_mine"])
def test_uids_of_applications(api: Asker, uid: Any) -> None:
    refused(api.post("/app", {"name": "Shop", "uid": uid}), "body", "uid")
    refused(api.post("/app?get_if_exists=true", {"name": "Shop", "uid": uid}), "body", "uid")


@pytest.mark.parametrize("uid", ["a", "A-b_c.d", "x" * 256, "0", "-", "ep_x", ".."])
def test_uids_that_will_do(api: Asker, uid: str) -> None:
    # A path of dots is for the client to normalise, so it is looked up by the answer's id.
    made = api.made("/app?get_if_exists=true", {"name": "Shop", "uid": uid})
    assert api.get(f"/app/{made['id']}").json["uid"] == uid


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", ""),
        ("name", "a\u0000"),
        ("name", "\u0008"),
        ("name", None),
        ("name", 7),
        ("throttleRate", 0),
        ("throttleRate", -1),
        ("throttleRate", 65_536),
        ("throttleRate", 1.5),
        ("throttleRate", "5"),
        ("throttleRate", True),
        ("rateLimit", 0),
        ("metadata", {"a": "x" * 4_096}),
        ("metadata", {"a": "b\u0000"}),
        ("metadata", []),
        ("metadata", "text"),
    ],
)
def test_fields_of_applications(api: Asker, app: str, field: str, value: Any) -> None:
    body = {"name": "Shop", field: value}
    refused(api.post("/app", body), "body", field)
    refused(api.put(f"/app/{app}", body), "body", field)
    refused(api.patch(f"/app/{app}", {field: value}), "body", field)


def test_metadata_values_are_text(api: Asker) -> None:
    refused(api.post("/app", {"name": "Shop", "metadata": {"a": 1}}), "body", "metadata", "...")
    assert api.made("/app", {"name": "Shop", "metadata": None})["metadata"] == {}
    edge = {"a": "x" * (4_096 - len('{"a":""}'))}
    assert api.made("/app", {"name": "Shop", "metadata": edge})["metadata"] == edge


def test_what_is_required_is_named(api: Asker, app: str) -> None:
    assert "required" in refused(api.post("/app", {}), "body", "name")
    assert "required" in refused(api.post("/app"), "body", "name")
    assert "required" in refused(api.post(f"/app/{app}/endpoint", {}), "body", "url")
    assert "required" in refused(api.post("/event-type", {"name": "a"}), "body", "description")
    assert "required" in refused(api.post(f"/app/{app}/msg", {"payload": {}}), "body", "eventType")
    assert "required" in refused(api.post(f"/app/{app}/msg", {"eventType": "a"}), "body", "payload")


def test_unknown_fields_are_ignored(api: Asker, app: str) -> None:
    assert api.post("/app", {"name": "Shop", "newInVersion9": {"a": [1]}}).status == 201
    body = {"eventType": "e", "payload": {}, "tags": ["a"], "newInVersion9": 1}
    assert api.post(f"/app/{app}/msg", body).status == 202


# ---- endpoints ----------------------------------------------------------------------------------


@pytest.mark.parametrize("uid", [*UIDS_REFUSED, "ep_mine"])
def test_uids_of_endpoints(api: Asker, app: str, uid: Any) -> None:
    refused(api.post(f"/app/{app}/endpoint", {"url": HOOK, "uid": uid}), "body", "uid")


@pytest.mark.parametrize(
    "url",
    [
        "",
        "shop.example",
        "//shop.example/",
        "http://",
        "http:///x",
        "ftp://shop.example/",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "http+unix://x/",
        "http://[::1",
        "http://a:b:c/",
        "http://shop.example:0/",
        "http://shop.example:65536/",
        "http://shop.example:-1/",
        "http://shop.example/\r\nX: y",
        "http://shop.example/\u0000",
        "http://sh op.example/",
        "http://%00/",
        "http://" + "a" * 256 + ".example/",
        "http://shop.example/" + "a" * 100_000,
        7,
        None,
    ],
)
def test_urls(api: Asker, app: str, url: Any) -> None:
    refused(api.post(f"/app/{app}/endpoint", {"url": url}), "body", "url")


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("http://SHOP.example", "http://shop.example/"),
        ("HTTPS://shop.example:443/A?b=C", "https://shop.example/A?b=C"),
        ("http://shop.example/a/../b", "http://shop.example/b"),
    ],
)
def test_urls_are_kept_in_their_normal_form(api: Asker, app: str, given: str, kept: str) -> None:
    assert api.made(f"/app/{app}/endpoint", {"url": given})["url"] == kept


@pytest.mark.parametrize(
    ("field", "value", "loc"),
    [
        ("eventTypes", ["no.such"], ("eventTypes",)),
        ("filterTypes", ["no.such"], ("eventTypes",)),
        ("eventTypes", ["a b"], ("eventTypes", "...")),
        ("eventTypes", "a", ("eventTypes",)),
        ("channels", [], ("channels",)),
        ("channels", ["a"] * 11, ("channels",)),
        ("channels", [""], ("channels", "...")),
        ("channels", ["a b"], ("channels", "...")),
        ("channels", ["a" * 129], ("channels", "...")),
        ("throttleRate", 0, ("throttleRate",)),
        ("rateLimit", 70_000, ("rateLimit",)),
        ("description", "\u0000", ("description",)),
        ("disabled", "yes", ("disabled",)),
        ("metadata", {"a": "x" * 5_000}, ("metadata",)),
        ("signatureScheme", "none", ("signatureScheme",)),
        ("retry", {}, ("retry",)),
        ("retry", {"schedule": [-1]}, ("retry", "schedule", "...")),
        ("retry", {"schedule": [1] * 101}, ("retry", "schedule")),
        ("retry", {"schedule": [1], "base": 1}, ("retry",)),
        ("retry", {"base": -1}, ("retry",)),
        ("retry", {"base": 1, "attempts": 0}, ("retry",)),
        ("retry", {"base": 1, "attempts": 10**9}, ("retry", "attempts")),
        ("retry", {"base": 1, "cap": 0.5}, ("retry",)),
        ("retry", {"base": 1, "cap": 1e17}, ("retry", "cap")),
        ("retry", {"base": 1e17, "factor": 1, "cap": 1e17, "attempts": 2}, ("retry", "base")),
        ("retry", {"base": 1e308, "cap": 1e308}, ("retry", "base")),
    ],
)
def test_fields_of_endpoints(
    api: Asker, app: str, field: str, value: Any, loc: tuple[str, ...]
) -> None:
    body = {"url": HOOK, "uid": "kept"}
    api.put(f"/app/{app}/endpoint/kept", body)
    for reply in (
        api.post(f"/app/{app}/endpoint", {"url": HOOK, field: value}),
        api.put(f"/app/{app}/endpoint/kept", {**body, field: value}),
        api.patch(f"/app/{app}/endpoint/kept", {field: value}),
    ):
        place = reply.json["detail"][0]["loc"] if reply.status == 422 else []
        wanted = [part for part in loc if part != "..."]
        assert place[: 1 + len(wanted)] == ["body", *wanted], reply.body
    assert len(api.get(f"/app/{app}/endpoint").json["data"]) == 1


def test_unknown_event_types_are_named(api: Asker, app: str) -> None:
    reply = api.post(f"/app/{app}/endpoint", {"url": HOOK, "eventTypes": ["no.1", "no.2"]})
    assert "The following event types don't exist: no.1, no.2" in refused(
        reply, "body", "eventTypes"
    )


SECRETS_REFUSED = [
    "",
    "whsec_",
    "whsec_YWJj",
    "YWJj",
    "hwsec_" + "A" * 32,
    "whpk_" + "A" * 43 + "=",
    "whsec_" + "A" * 104,
    "whsec_" + "A" * 32 + "\n",
    "whsec_é" + "A" * 32,
    "whsec_" + "A" * 31 + "!",
    "whsk_" + "A" * 86 + "==",
    "whsk_" + "A" * 43 + "=A",
]


@pytest.mark.parametrize("secret", SECRETS_REFUSED)
def test_secrets(api: Asker, app: str, secret: str) -> None:
    reply = api.post(f"/app/{app}/endpoint", {"url": HOOK, "secret": secret})
    sentence = refused(reply, "body", "secret")
    assert len(secret) < 10 or secret[6:].strip() not in sentence
    made = api.made(f"/app/{app}/endpoint", {"url": HOOK})
    rotated = api.post(f"/app/{app}/endpoint/{made['id']}/secret/rotate", {"key": secret})
    refused(rotated, "body", "key")


@pytest.mark.parametrize("secret", ["whsec_" + "A" * 32, "A" * 32, "whsec_" + "A" * 100])
def test_secrets_that_will_do(api: Asker, app: str, secret: str) -> None:
    made = api.made(f"/app/{app}/endpoint", {"url": HOOK, "secret": secret})
    shown = api.get(f"/app/{app}/endpoint/{made['id']}/secret").json["key"]
    assert shown.removeprefix("whsec_") == secret.removeprefix("whsec_")


@pytest.mark.parametrize("grace", [-1, 604_801, 1.5, "1"])
def test_grace_periods(api: Asker, app: str, grace: Any) -> None:
    made = api.made(f"/app/{app}/endpoint", {"url": HOOK})
    reply = api.post(
        f"/app/{app}/endpoint/{made['id']}/secret/rotate", {"gracePeriodSeconds": grace}
    )
    refused(reply, "body", "gracePeriodSeconds")


@pytest.mark.parametrize(
    "headers",
    [
        {"X-A\r\nX-B": "1"},
        {"X A": "1"},
        {"X:A": "1"},
        {"X-é": "1"},
        {"": "1"},
        {"X-A": "1\r\nX-B: 2"},
        {"X-A": "1\n"},
        {"X-A": "a\u0000"},
        {"X-A": "é"},
        {"X-A": "x" * 4_097},
        {"X-A": "1", "x-a": "2"},
        {f"X-{number}": "1" for number in range(51)},
        *({name: "1"} for name in ("Host", "CONTENT-LENGTH", "Transfer-Encoding", "Connection")),
        *({name: "1"} for name in ("Expect", "webhook-signature", "Cookie", "svix-id", "X-Amz-A")),
        *({name: "1"} for name in ("User-Agent", "keep-alive", "TE", "Proxy-Authorization")),
    ],
)
def test_headers(api: Asker, app: str, headers: dict[str, str]) -> None:
    made = api.made(f"/app/{app}/endpoint", {"url": HOOK})
    place = f"/app/{app}/endpoint/{made['id']}/headers"
    refused(api.put(place, {"headers": headers}), "body", "headers")
    refused(api.patch(place, {"headers": headers}), "body", "headers")
    created = api.post(f"/app/{app}/endpoint", {"url": HOOK, "headers": headers})
    refused(created, "body", "headers")
    assert api.get(place).json == {"headers": {}, "sensitive": []}


def test_an_application_has_so_many_endpoints_and_no_more(api: Asker, app: str) -> None:
    for _ in range(50):
        api.made(f"/app/{app}/endpoint", {"url": HOOK})
    full = api.post(f"/app/{app}/endpoint", {"url": HOOK})
    assert (full.status, full.json["code"]) == (400, "limit_reached")


# ---- event types --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["", "*", "x" * 300, "a b", "é", "<b>", "a\n", "%", None, 7])
def test_names_of_event_types(api: Asker, name: Any) -> None:
    refused(api.post("/event-type", {"name": name, "description": ""}), "body", "name")


@pytest.mark.parametrize("name", ["..", "a..b", "a.b-c_D9"])
def test_names_of_event_types_that_svix_takes_too(api: Asker, name: str) -> None:
    assert api.post("/event-type", {"name": name, "description": ""}).status == 201


def test_a_percent_sign_is_no_wildcard(api: Asker) -> None:
    for path in ("/event-type/%25", "/event-type/_", "/app/%25", "/app/_"):
        assert api.get(path).status == 404


@pytest.mark.parametrize(
    "path", ["/event-type/a%20b", "/event-type/%3Cb%3E", "/event-type/" + "x" * 300]
)
def test_an_event_type_is_not_created_under_a_name_that_it_may_not_have(
    api: Asker, path: str
) -> None:
    reply = api.put(path, {"description": ""})
    assert reply.status in {404, 422}


@pytest.mark.parametrize(
    "schemas",
    [
        {"1": {"type": "nonsense"}},
        {"1": {"minimum": "a"}},
        {"1": []},
        {"1": 7},
        {"1": {"pattern": "("}},
        [],
        {"1": {"description": "x" * 270_000}},
    ],
)
def test_schemas(api: Asker, schemas: Any) -> None:
    reply = api.post("/event-type", {"name": "bad.schema", "description": "", "schemas": schemas})
    assert reply.status == 422, reply.body
    assert reply.json["detail"][0]["loc"][:2] == ["body", "schemas"]
    assert api.get("/event-type/bad.schema").status == 404


def test_a_schema_that_names_an_address_is_not_fetched(api: Asker) -> None:
    schema = {"$schema": "http://127.0.0.1:1/x", "$ref": "http://127.0.0.1:1/y", "type": "object"}
    body = {"name": "far.schema", "description": "", "schemas": {"1": schema}}
    assert api.post("/event-type", body).status == 201


def test_errors_name_places_and_not_patterns(api: Asker) -> None:
    sentence = refused(api.post("/app", {"name": "Shop", "uid": "a b"}), "body", "uid")
    assert sentence == (
        "use letters, digits, hyphens, underscores and dots,"
        " and do not begin with app_, which marks ids"
    )
    assert json.loads(json.dumps(sentence)) == sentence
