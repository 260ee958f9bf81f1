"""Receivers that are wrong in one way each, and one that is right, to see that both are found out.

All are ASGI apps for Stripe's webhooks, and count what took effect; `/effects` and `/kept` say how
many events did. A wrong one is what people write: the mistakes are taken from real receivers.
"""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, MutableMapping
from hashlib import sha256
from hmac import compare_digest, digest
from typing import Any, Final

from ringback.receive.verification import verify

SECRET: Final = "whsec_0123456789abcdef0123456789abcdef"  # noqa: S105  of tests
TOLERANCE_S: Final = 300

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Fields = list[tuple[bytes, bytes]]


class Refused(Exception):
    """The answer is a 401."""


class RightReceiver:
    """Verifies, dedupes, keeps, and then answers. The wrong ones change one of its steps."""

    def __init__(self) -> None:
        self.kept: list[str] = []
        self.seen: set[str] = set()
        self.looked = asyncio.Event()

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["path"] in {"/effects", "/kept"}:
            answer = str(len(self.kept)).encode()
            await _answer(send, 200, answer)
            self.looked.set()
            return
        body = await _body(receive)
        try:
            await self.take(scope["method"], scope["headers"], body)
        except Refused:
            await _answer(send, 401, b"no")
        else:
            await _answer(send, 200, b"ok")

    async def take(self, method: str, headers: Fields, body: bytes) -> None:
        if method != "POST":
            raise Refused
        event_id = self.proven(headers, body)
        if not self.is_known(event_id):
            await self.keep(event_id)

    def proven(self, headers: Fields, body: bytes) -> str:
        from ringback.errors import VerificationError

        try:
            return verify("stripe", headers, body, secrets=SECRET, now_s=time.time()).id
        except VerificationError:
            raise Refused from None

    def is_known(self, event_id: str) -> bool:
        was_known = event_id in self.seen
        self.seen.add(event_id)
        return was_known

    async def keep(self, event_id: str) -> None:
        self.kept.append(event_id)


class Trusting(RightReceiver):
    """Verifies nothing."""

    def proven(self, headers: Fields, body: bytes) -> str:
        return _id(body)


class OverParsedJson(RightReceiver):
    """Signs what JSON makes of the body, and compares with `==`."""

    def proven(self, headers: Fields, body: bytes) -> str:
        try:
            made = json.dumps(json.loads(body), separators=(",", ":"), ensure_ascii=False).encode()
        except ValueError:
            raise Refused from None
        stamp, signature = _stripe(headers)
        if signature != _signature(stamp, made) or abs(time.time() - stamp) > TOLERANCE_S:
            raise Refused
        return _id(body)


class Timeless(RightReceiver):
    """Looks at no time."""

    def proven(self, headers: Fields, body: bytes) -> str:
        stamp, signature = _stripe(headers)
        if not compare_digest(signature.encode(), _signature(stamp, body).encode()):
            raise Refused
        return _id(body)


class Forgetful(RightReceiver):
    """Processes whatever comes, as often as it comes."""

    def is_known(self, event_id: str) -> bool:
        return False


class Racing(RightReceiver):
    """Looks first and remembers later: two at one time both find nothing."""

    def is_known(self, event_id: str) -> bool:
        return event_id in self.seen

    async def keep(self, event_id: str) -> None:
        await asyncio.sleep(0)
        self.kept.append(event_id)
        self.seen.add(event_id)


class Hurried(RightReceiver):
    """Answers first, and keeps when there is time: here, when somebody has looked."""

    def __init__(self) -> None:
        super().__init__()
        self.tasks: set[asyncio.Task[None]] = set()

    async def keep(self, event_id: str) -> None:
        self.looked.clear()
        task = asyncio.create_task(self._keep_later(event_id))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def _keep_later(self, event_id: str) -> None:
        await self.looked.wait()
        self.kept.append(event_id)


class Fragile(RightReceiver):
    """Lets every exception out: what cannot be read ends in a 500."""

    def proven(self, headers: Fields, body: bytes) -> str:
        text = dict(headers)[b"stripe-signature"].decode()
        pairs = dict(pair.split("=") for pair in text.split(","))
        if not compare_digest(pairs["v1"], _signature(int(pairs["t"]), body)):
            raise Refused
        if abs(time.time() - int(pairs["t"])) > TOLERANCE_S:
            raise Refused
        return str(json.loads(body)["id"])


class Talkative(RightReceiver):
    """Tells whoever was refused what the right signature would have been."""

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["method"] != "POST":
            await super().__call__(scope, receive, send)
            return
        body = await _body(receive)
        try:
            await self.take(scope["method"], scope["headers"], body)
        except Refused:
            stamp = _stripe(scope["headers"])[0]
            await _answer(send, 401, f"expected {_signature(stamp, body)}".encode())
        else:
            await _answer(send, 200, b"ok")


def _stripe(headers: Fields) -> tuple[int, str]:
    """Time and signature; no time and an empty signature if there is none."""
    text = dict(headers).get(b"stripe-signature", b"").decode("latin-1")
    pairs = dict(item.partition("=")[::2] for item in text.split(","))
    stamp = pairs.get("t", "")
    is_time = stamp.isascii() and stamp.isdigit() and len(stamp) < 12
    return int(stamp) if is_time else 0, pairs.get("v1", "")


def _signature(stamp: int, body: bytes) -> str:
    return digest(SECRET.encode(), f"{stamp}.".encode() + body, "sha256").hex()


def _id(body: bytes) -> str:
    try:
        return str(json.loads(body)["id"])
    except (ValueError, TypeError, KeyError, RecursionError):
        return sha256(body).hexdigest()


async def _body(receive: Receive) -> bytes:
    body, is_last = b"", False
    while not is_last:
        message = await receive()
        body += message.get("body", b"")
        is_last = not message.get("more_body", False)
    return body


async def _answer(send: Send, status: int, body: bytes) -> None:
    headers = [(b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
