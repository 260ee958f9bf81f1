"""Examples and schemas hold any JSON, as large and deep as is good for those who read it."""

from typing import Any

import pytest

from ringback.testing.asker import Asker

BEYOND_64_BITS = 10**30


@pytest.fixture(scope="module")
def send_example(api: Asker) -> str:
    """The path that sends an example to an endpoint."""
    app = api.made("/app", {"name": "Shop"})["id"]
    endpoint = api.made(f"/app/{app}/endpoint", {"url": "https://shop.example/", "channels": ["x"]})
    return f"/app/{app}/endpoint/{endpoint['id']}/send-example"


def test_a_payload_is_sent_as_it_was_given(api: Asker, send_example: str) -> None:
    payload = b'{ "amount" : 1000000000000000000000000000000 , "note":"\\u00e9"}'
    sent = api.post(send_example, b'{"eventType":"a.b","payload":' + payload + b"}")
    assert (sent.status, payload in sent.body) == (200, True)


@pytest.mark.parametrize("payload", [b"[]", b"1", b'{"a":"\xff"}'])
def test_a_payload_is_checked_as_that_of_a_message(
    api: Asker, send_example: str, payload: bytes
) -> None:
    reply = api.post(send_example, b'{"eventType":"a.b","payload":' + payload + b"}")
    assert reply.status == 422


def test_null_is_no_payload(api: Asker, send_example: str) -> None:
    sent = api.post(send_example, {"eventType": "svix.ping", "payload": None})
    assert (sent.status, sent.json["payload"]) == (200, {"success": True})


def nested(depth: int) -> dict[str, Any]:
    schema: dict[str, Any] = {}
    for _ in range(depth):
        schema = {"not": schema}
    return schema


def test_a_schema_comes_back_with_its_large_numbers(api: Asker) -> None:
    schema = {"maximum": BEYOND_64_BITS, "examples": [{"a": BEYOND_64_BITS}]}
    api.made("/event-type", {"name": "big", "description": "", "schemas": {"1": schema}})
    assert api.get("/event-type/big").json["schemas"] == {"1": schema}


@pytest.mark.parametrize("depth", [101, 400])
def test_a_schema_that_is_nested_too_deeply_is_refused(api: Asker, depth: int) -> None:
    named = {"name": "deep", "description": "", "schemas": {"1": nested(depth)}}
    reply = api.post("/event-type", named)
    assert (reply.status, reply.json["detail"][0]["loc"]) == (422, ["body", "schemas"])
    assert api.get("/event-type/deep").status == 404
