"""Bad messages, bodies and queries are a 4xx with a sentence; good payloads come back whole."""

from typing import Any

import pytest

from ringback.testing.asker import Asker
from ringback.testing.refusals import UIDS_REFUSED, refused
from ringback.testing.shop import BOTH

STORES = BOTH
BODY_BYTES_MAX = 300_000
SETTINGS = {"body_bytes_max": BODY_BYTES_MAX, "endpoints_per_app_max": 50}
HOOK = "http://shop.example/hook"


# ---- messages -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "value", "loc"),
    [
        ("eventType", "", ("eventType",)),
        ("eventType", "a b", ("eventType",)),
        ("eventType", "x" * 257, ("eventType",)),
        *(("eventId", uid, ("eventId",)) for uid in [*UIDS_REFUSED, "msg_mine"]),
        ("channels", [], ("channels",)),
        ("channels", ["a"] * 11, ("channels",)),
        ("channels", ['a"b'], ("channels", "0")),
        ("payload", [], ("payload",)),
        ("payload", "text", ("payload",)),
        ("payload", None, ("payload",)),
        ("payload", 7, ("payload",)),
        ("payloadRetentionPeriod", 0, ("payloadRetentionPeriod",)),
        ("payloadRetentionPeriod", 91, ("payloadRetentionPeriod",)),
        ("payloadRetentionHours", 0, ("payloadRetentionHours",)),
        ("deliverAt", "2030-01-01T00:00:00Z", ("deliverAt",)),
        ("transformationsParams", {"rawPayload": 7}, ("transformationsParams", "rawPayload")),
        ("application", {"name": ""}, ("application", "name")),
    ],
)
def test_fields_of_messages(
    api: Asker, app: str, field: str, value: Any, loc: tuple[str, ...]
) -> None:
    reply = api.post(f"/app/{app}/msg", {"eventType": "e", "payload": {}, field: value})
    refused(reply, "body", *loc)
    assert api.get(f"/app/{app}/msg").json["data"] == []


def test_a_content_type_cannot_begin_a_header(api: Asker, app: str) -> None:
    params = {"rawPayload": "x", "headers": {"Content-Type": "text/xml\r\nX-A: 1"}}
    body = {"eventType": "e", "payload": {}, "transformationsParams": params}
    loc = ("body", "transformationsParams", "headers", "content-type")
    refused(api.post(f"/app/{app}/msg", body), *loc)


DEEP = 10_000
PAYLOADS_REFUSED = {
    "NaN": b'{"a":NaN}',
    "Infinity": b'{"a":-Infinity}',
    "deep objects": b'{"a":' * DEEP + b"1" + b"}" * DEEP,
    "deep arrays": b'{"a":' + b"[" * DEEP + b"]" * DEEP + b"}",
    "half a surrogate pair": b'{"a":"\\ud800"}',
    "the other half": b'{"a":"\\udc00"}',
    "half a pair in a key": b'{"\\ud800":1}',
    "not UTF-8": b'{"a":"\xff"}',
    "an overlong encoding": b'{"a":"\xc0\xaf"}',
    "a surrogate in UTF-8": b'{"a":"\xed\xa0\x80"}',
    "a raw control character": b'{"a":"\x01"}',
    "a trailing comma": b'{"a":1,}',
    "a single quote": b"{'a':1}",
    "a comment": b'{"a":1/* */}',
    "no end": b'{"a":',
    "a bad escape": b'{"a":"\\x"}',
    "a leading zero": b'{"a":01}',
    "a leading plus": b'{"a":+1}',
}


@pytest.mark.parametrize("payload", PAYLOADS_REFUSED.values(), ids=PAYLOADS_REFUSED.keys())
def test_payloads_that_are_not_json(api: Asker, app: str, payload: bytes) -> None:
    reply = api.post(f"/app/{app}/msg", b'{"eventType":"e","payload":' + payload + b"}")
    assert reply.status == 422, (reply.status, reply.body[:200])
    [violation] = reply.json["detail"]
    assert violation["loc"][0] == "body"
    assert 10 < len(violation["msg"]) < 300
    assert api.get(f"/app/{app}/msg").json["data"] == []


PAYLOADS_KEPT = {
    "1e400": b'{"a":1e400}',
    "a key twice": b'{"a":1,"a":2}',
    "a key twice, escaped": b'{"a":1,"\\u0061":2}',
    "a key twice, deep down": b'{"x":[{"a":{"b":1,"c":":","b":2}}]}',
    "a key twice beside a big number": b'{"a":123456789012345678901234567890,"a":1}',
    "thousands of digits": b'{"a":' + b"1" * 4_000 + b"}",
    "spaces": b'{  "a" :\t1 ,\r\n"b":[ ] }',
    "escapes": b'{"a":"\\u00e9\\/\\ud83d\\ude00","\\u0062":"\\u0000"}',
    "UTF-8": '{"é":"😀\u2028"}'.encode(),
    "numbers": b'{"a":1.0,"b":1E2,"c":-0,"d":0.1000,"e":12345678901234567890}',
    "a number beyond 64 bits": b'{"a":123456789012345678901234567890}',
    "order": b'{"z":1,"a":2}',
    "colons": b'{"a:b":"c:d","e":{":":":::"}}',
    "a deep one that everybody reads": b'{"a":' * 60 + b"1" + b"}" * 60,
    "an empty key": b'{"":""}',
    "one key in many objects": b'{"a":{"a":{"a":1}},"b":[{"a":1},{"a":2}]}',
    "markup": b'{"a":"<script>alert(1)</script>"}',
}


@pytest.mark.parametrize("payload", PAYLOADS_KEPT.values(), ids=PAYLOADS_KEPT.keys())
def test_payloads_come_back_as_they_were_posted(api: Asker, app: str, payload: bytes) -> None:
    made = api.post(f"/app/{app}/msg", b'{"payload":' + payload + b',"eventType":"e"}')
    assert made.status == 202, made.body
    assert made.body.endswith(b'"payload":' + payload + b"}")
    assert payload in api.get(f"/app/{app}/msg/{made.json['id']}").body


# ---- bodies and queries -------------------------------------------------------------------------

BODIES_REFUSED = {
    "a byte order mark": b'\xef\xbb\xbf{"name":"Shop"}',
    "UTF-16": '{"name":"Shop"}'.encode("utf-16"),
    "gzip": b"\x1f\x8b\x08\x00",
    "a form": b"name=Shop",
    "XML": b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>',
    "half": b'{"name":',
    "two values": b'{"name":"Shop"}{}',
    "an array": b"[]",
    "null": b"null",
    "a string": b'"Shop"',
    "a deep unknown field": b'{"name":"Shop","x":' + b"[" * DEEP + b"]" * DEEP + b"}",
    "bad UTF-8": b'{"name":"\xff"}',
    "half a surrogate pair": b'{"name":"\\ud800"}',
}


@pytest.mark.parametrize("body", BODIES_REFUSED.values(), ids=BODIES_REFUSED.keys())
@pytest.mark.parametrize("path", ["/app", "/app/{app}/msg"])
def test_bodies_that_are_not_what_they_should_be(
    api: Asker, app: str, path: str, body: bytes
) -> None:
    reply = api.post(path.format(app=app), body)
    assert reply.status == 422, (reply.status, reply.body)
    [violation] = reply.json["detail"]
    assert violation["loc"][0] == "body"
    assert len(violation["msg"]) > 10


def test_a_key_twice_in_the_envelope_is_read_once(api: Asker, app: str) -> None:
    """The last one counts, as it does for every reader that we know."""
    made = api.post(f"/app/{app}/msg", b'{"eventType":"a","eventType":"b","payload":{}}')
    assert (made.status, made.json["eventType"]) == (202, "b")


def test_bodies_have_a_limit(api: Asker, app: str) -> None:
    head, tail = b'{"eventType":"e","payload":{"a":"', b'"}}'
    fill = b"x" * (BODY_BYTES_MAX - len(head) - len(tail))
    assert api.post(f"/app/{app}/msg", head + fill + tail).status == 202
    for path in (f"/app/{app}/msg", "/app"):
        large = api.post(path, head + fill + b"x" + tail)
        assert (large.status, large.json["code"]) == (413, "payload_too_large")


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("limit=0", 422),
        ("limit=251", 422),
        ("limit=-1", 422),
        ("limit=x", 400),
        ("limit=1.5", 400),
        ("limit=", 200),
        ("limit=" + "9" * 5_000, 400),
        ("iterator=x", 422),
        ("iterator=msg_x", 422),
        ("iterator=-", 422),
        ("iterator=app_" + "0" * 27, 422),
        ("iterator=msg_" + "z" * 27, 422),
        ("before=yesterday", 400),
        ("before=2026-01-01", 400),
        ("before=0000-01-01T00:00:00Z", 400),
        ("before=0001-01-01T00:00:00Z", 200),
        ("after=9999-12-31T23:59:59Z", 200),
        ("after=9999-12-31T23:59:59-23:59", 200),
        ("after=0001-01-01T00:00:00%2B23:59", 200),
        ("before=2026-01-01T00:00:00+01:00", 200),
        ("before=2026-01-01T00:00:00", 200),
        ("with_content=perhaps", 400),
        ("with_content=TRUE", 200),
        ("channel=a%20b", 422),
        ("channel=%25", 422),
        ("channel=_", 200),
        ("event_types=a%20b", 422),
        ("event_types=%FF", 422),
        ("event_types=%25", 422),
        ("tag=a", 422),
        ("unknown=1", 200),
        ("&&&=&=", 200),
        ("&".join(["a=1"] * 301), 400),
        ("event_types=" + ",".join(["a"] * 5_000), 200),
    ],
)
def test_queries(api: Asker, app: str, query: str, status: int) -> None:
    reply = api.get(f"/app/{app}/msg?{query}")
    assert reply.status == status, reply.body
    if status == 400:
        assert reply.json["code"] == "generic_error"
        assert len(reply.json["detail"]) > 10


@pytest.mark.parametrize("query", ["status=5", "status=-1", "status=x", "status_code_class=201"])
def test_queries_of_attempts(api: Asker, app: str, query: str) -> None:
    made = api.made(f"/app/{app}/endpoint", {"url": HOOK})
    for path in (
        f"/app/{app}/attempt/endpoint/{made['id']}",
        f"/app/{app}/endpoint/{made['id']}/msg",
    ):
        reply = api.get(f"{path}?{query}")
        if "class" not in query or "attempt" in path:
            assert reply.status in {400, 422}, reply.body
