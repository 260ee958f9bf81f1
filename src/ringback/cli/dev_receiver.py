"""The receiver of `ringback dev`: verifies what arrives, shows it, and answers as it is told.

    POST /               204 if the signature is right, 401 if not
    POST /status/503     that status, whatever arrived: to watch retries

Keeps the last ids it saw, to say which arrivals are repeated. Never stores anything.
"""

from base64 import b64decode
from collections.abc import Awaitable, Callable, MutableMapping
from hmac import compare_digest
from time import strftime
from typing import Any, Final

import click
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from msgspec import Struct

from ringback.clock import Clock
from ringback.sign import secret, standard

BODY_BYTES_MAX: Final = 4 * 1024 * 1024
SEEN_MAX: Final = 1_000
BODY_SHOWN_MAX: Final = 120
# Standard Webhooks, "Verifying webhook authenticity": five minutes of tolerance.
TOLERANCE_S: Final = 300

Event = MutableMapping[str, Any]


class Arrival(Struct, frozen=True):
    """One request. `complaint` says why it was not verified, None if it was."""

    msg_id: str
    body: bytes
    status: int
    complaint: str | None
    is_repeated: bool


class Receiver:
    """An ASGI app. `show` is called for each arrival; `key` is what the endpoint's owner knows."""

    def __init__(self, clock: Clock, *, show: Callable[[Arrival], None]) -> None:
        self.key = ""
        self._clock = clock
        self._show = show
        self._seen: dict[str, None] = {}

    async def __call__(
        self,
        scope: Event,
        receive: Callable[[], Awaitable[Event]],
        send: Callable[[Event], Awaitable[None]],
    ) -> None:
        status = 405
        if scope["method"] == "POST":
            body = await _body(receive)
            status = 413 if body is None else self._take(scope, body)
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    def _take(self, scope: Event, body: bytes) -> int:
        headers = {
            name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]
        }
        family = "svix" if "svix-id" in headers else "webhook"
        msg_id = headers.get(f"{family}-id", "")
        complaint = why_not(
            self.key,
            msg_id=msg_id,
            timestamp=headers.get(f"{family}-timestamp", ""),
            signatures=headers.get(f"{family}-signature", ""),
            body=body,
            now_s=self._clock.now_ms() // 1000,
        )
        status = _ordered_status(scope["path"]) or (401 if complaint else 204)
        is_repeated = msg_id in self._seen
        self._remember(msg_id)
        self._show(Arrival(msg_id, body, status, complaint, is_repeated))
        return status

    def _remember(self, msg_id: str) -> None:
        self._seen[msg_id] = None
        if len(self._seen) > SEEN_MAX:
            del self._seen[next(iter(self._seen))]


def shown(arrival: Arrival) -> str:
    """One arrival, one line. Whatever it holds, it cannot command the terminal."""
    verdict = (
        click.style(f"not trusted: {arrival.complaint}", fg="red")
        if arrival.complaint
        else click.style("verified", fg="green")
    )
    again = click.style(" again", fg="yellow") if arrival.is_repeated else ""
    parts = [
        strftime("%H:%M:%S"),
        f"{verdict}{again}",
        printable(arrival.msg_id),
        str(arrival.status),
    ]
    return "  ".join([*parts, printable(arrival.body.decode(errors="replace"))])


def as_object(arrival: Arrival) -> dict[str, object]:
    """The same for a program: nothing cut."""
    return {
        "id": arrival.msg_id,
        "is_verified": arrival.complaint is None,
        "complaint": arrival.complaint,
        "is_repeated": arrival.is_repeated,
        "status": arrival.status,
        "body": arrival.body.decode(errors="replace"),
    }


def printable(text: str) -> str:
    """On one line, without control characters, cut to a bearable length."""
    shown = "".join(letter if letter.isprintable() else " " for letter in text)
    return shown if len(shown) <= BODY_SHOWN_MAX else f"{shown[:BODY_SHOWN_MAX]}…"


def why_not(
    key: str, *, msg_id: str, timestamp: str, signatures: str, body: bytes, now_s: int
) -> str | None:
    """Why a delivery is not to be trusted, None if it is (Standard Webhooks 1.0.0)."""
    if not msg_id or not signatures:
        return "it is not signed"
    if not timestamp.isascii() or not timestamp.isdigit():
        return "its timestamp is no number"
    if abs(now_s - int(timestamp)) > TOLERANCE_S:
        return "its timestamp is more than five minutes off"
    if key.startswith(secret.PUBLIC_PREFIX):
        content = f"{msg_id}.{timestamp}.".encode() + body
        is_right = any(_is_signed(key, content, one) for one in signatures.split())
    else:
        ours = standard.sign(secret.parse(key), msg_id, timestamp_s=int(timestamp), body=body)
        is_right = any(compare_digest(ours.encode(), one.encode()) for one in signatures.split())
    return None if is_right else "its signature does not fit the endpoint's secret"


def _is_signed(key: str, content: bytes, signature: str) -> bool:
    version, _, encoded = signature.partition(",")
    if version != "v1a":
        return False
    try:
        public = Ed25519PublicKey.from_public_bytes(
            b64decode(key.removeprefix(secret.PUBLIC_PREFIX))
        )
        public.verify(b64decode(encoded, validate=True), content)
    except (InvalidSignature, ValueError):
        return False
    return True


def _ordered_status(path: str) -> int | None:
    _, is_ordered, text = path.partition("/status/")
    if not is_ordered or not text.isascii() or not text.isdigit():
        return None
    return int(text) if 200 <= int(text) <= 599 else None


async def _body(receive: Callable[[], Awaitable[Event]]) -> bytes | None:
    """The whole body, None if it is larger than we care to show."""
    body = bytearray()
    while True:
        event = await receive()
        body += event.get("body", b"")
        if len(body) > BODY_BYTES_MAX:
            return None
        if not event.get("more_body"):
            return bytes(body)
