"""The receiver of `ringback dev`: what it trusts, what it answers, what it prints."""

import asyncio
from collections.abc import MutableMapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook

from ringback.cli.dev_receiver import (
    BODY_BYTES_MAX,
    SEEN_MAX,
    Arrival,
    Receiver,
    as_object,
    printable,
    shown,
    why_not,
)
from ringback.clock import Clock
from ringback.model import SignatureType
from ringback.sign import secret, standard

SECRET = secret.generate(SignatureType.HMAC256, bytes(range(32)))
PRIVATE = secret.generate(SignatureType.ED25519, bytes(range(32)))
NOW_S = 1_800_000_000


def signed(key: str, body: bytes = b"{}", *, at_s: int = NOW_S) -> dict[str, Any]:
    signature = standard.sign(secret.parse(key), "msg_1", timestamp_s=at_s, body=body)
    return {"msg_id": "msg_1", "timestamp": str(at_s), "signatures": signature, "body": body}


@pytest.mark.parametrize("key", [SECRET, PRIVATE])
def test_a_right_signature_is_trusted_with_what_the_endpoint_owner_knows(key: str) -> None:
    assert why_not(secret.public_text(key), now_s=NOW_S, **signed(key)) is None


def test_the_reference_implementation_is_understood() -> None:
    from datetime import UTC, datetime

    at = datetime.fromtimestamp(NOW_S, UTC)
    signature = Webhook(SECRET).sign("msg_1", at, "{}")
    delivery = signed(SECRET) | {"signatures": f"v1,AAAA {signature}"}
    assert why_not(SECRET, now_s=NOW_S, **delivery) is None


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"msg_id": ""}, "not signed"),
        ({"signatures": ""}, "not signed"),
        ({"timestamp": "now"}, "no number"),
        ({"timestamp": "١"}, "no number"),
        ({"timestamp": str(NOW_S - 301)}, "five minutes off"),
        ({"timestamp": str(NOW_S + 301)}, "five minutes off"),
        ({"timestamp": str(NOW_S - 1)}, "does not fit"),
        ({"msg_id": "msg_2"}, "does not fit"),
        ({"body": b"{ }"}, "does not fit"),
        ({"signatures": "v1,AAAA"}, "does not fit"),
        ({"signatures": "v1,é"}, "does not fit"),
    ],
)
@pytest.mark.parametrize("key", [SECRET, PRIVATE])
def test_anything_else_is_not(key: str, change: dict[str, Any], complaint: str) -> None:
    found = why_not(secret.public_text(key), now_s=NOW_S, **(signed(key) | change))
    assert found is not None
    assert complaint in found


@given(st.text(max_size=60))
def test_no_signature_text_breaks_it(signatures: str) -> None:
    for key in (SECRET, secret.public_text(PRIVATE)):
        delivery = signed(SECRET) | {"signatures": f"{signatures} v1a,{signatures}"}
        assert why_not(key, now_s=NOW_S, **delivery) is not None


class Post:
    """One request to the receiver, as ASGI brings it."""

    def __init__(self, path: str = "/", *, family: str = "webhook", body: bytes = b"{}") -> None:
        at_s = Clock().now_ms() // 1000
        delivery = signed(SECRET, body, at_s=at_s)
        headers = {
            f"{family}-id": delivery["msg_id"],
            f"{family}-timestamp": delivery["timestamp"],
            f"{family}-signature": delivery["signatures"],
        }
        self.body = body
        self.scope = {
            "method": "POST",
            "path": path,
            "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        }

    async def to(self, receiver: Receiver) -> int:
        events: list[MutableMapping[str, Any]] = []

        async def receive() -> MutableMapping[str, Any]:
            return {"type": "http.request", "body": self.body}

        async def send(event: MutableMapping[str, Any]) -> None:
            events.append(event)

        await receiver(self.scope, receive, send)
        return int(events[0]["status"])


def posted(*posts: Post) -> tuple[list[int], list[Arrival]]:
    arrivals: list[Arrival] = []
    receiver = Receiver(Clock(), show=arrivals.append)
    receiver.key = SECRET

    async def run() -> list[int]:
        return [await post.to(receiver) for post in posts]

    return asyncio.run(run()), arrivals


@pytest.mark.parametrize("family", ["webhook", "svix"])
def test_a_verified_arrival_is_shown_and_acknowledged(family: str) -> None:
    statuses, (arrival,) = posted(Post(family=family, body=b'{"n":1}'))
    assert statuses == [204]
    assert arrival == Arrival("msg_1", b'{"n":1}', 204, None, is_repeated=False)


def test_what_cannot_be_verified_is_answered_401_and_shown() -> None:
    post = Post()
    post.body = b"tampered with"
    statuses, (arrival,) = posted(post)
    assert statuses == [401]
    assert arrival.complaint is not None


def test_a_repeated_id_is_called_repeated() -> None:
    _, arrivals = posted(Post(), Post())
    assert [arrival.is_repeated for arrival in arrivals] == [False, True]


@pytest.mark.parametrize(
    ("path", "status"), [("/status/503", 503), ("/status/99", 204), ("/status/x", 204)]
)
def test_a_status_can_be_ordered(path: str, status: int) -> None:
    assert posted(Post(path))[0] == [status]


def test_other_methods_and_giant_bodies_are_refused_unseen() -> None:
    get, giant = Post(), Post(body=b"x" * (BODY_BYTES_MAX + 1))
    get.scope["method"] = "GET"
    assert posted(get, giant) == ([405, 413], [])


def test_memory_of_ids_is_bounded() -> None:
    receiver = Receiver(Clock(), show=lambda _: None)
    receiver.key = SECRET

    async def run() -> None:
        for number in range(SEEN_MAX + 50):
            post = Post()
            post.scope["headers"] = [(b"webhook-id", str(number).encode())]
            await post.to(receiver)

    asyncio.run(run())
    assert len(receiver._seen) == SEEN_MAX


@given(st.text())
def test_what_is_printed_cannot_command_the_terminal(text: str) -> None:
    assert printable(text).isprintable()
    assert len(printable(text)) <= 121


def test_an_arrival_is_shown_in_one_line() -> None:
    line = shown(Arrival("msg_1", b'{"n":\n1}', 204, None, is_repeated=True))
    assert line.count("\n") == 0
    for part in ("verified", "again", "msg_1", "204", '{"n": 1}'):
        assert part in line
    assert "not trusted: it is odd" in shown(Arrival("", b"\xff", 401, "it is odd", False))


def test_a_program_is_told_the_whole_arrival() -> None:
    body = b'{"n":"' + b"x" * 500 + b'"}'
    assert as_object(Arrival("msg_1", body, 401, "it is odd", is_repeated=True)) == {
        "id": "msg_1",
        "is_verified": False,
        "complaint": "it is odd",
        "is_repeated": True,
        "status": 401,
        "body": body.decode(),
    }
