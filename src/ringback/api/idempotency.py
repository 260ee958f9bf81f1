"""Idempotency keys: a POST that is sent twice is done once.

A key is good for one token's subject, method and path; the body is not compared. Duplicates that
arrive while the first is being served wait for it. Only successes are remembered, so what failed
can be tried again. Answers that hold secrets are not stored: their route says how to repeat them.
"""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from typing import Final

import msgspec
from msgspec import Struct

from ringback.api.access import Principal
from ringback.api.call import Answer, Services
from ringback.config import Settings
from ringback.errors import BadRequest, StoreError
from ringback.store.port import IdempotencyKey

KEY_CHARS_MAX: Final = 256
MADE_UP: Final = b"auto_"

Run = Callable[[], Awaitable[Answer]]


class Remembered(Struct, frozen=True, array_like=True):
    """An answer at rest; `is_secret` says that it was left out."""

    status: int
    body: bytes
    is_secret: bool


_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(Remembered).decode


def idempotency_key(
    key: bytes, principal: Principal, *, target: bytes, settings: Settings, now_ms: int
) -> IdempotencyKey:
    """The digest of a key with who sent it and where to. `target` is method and path.

    Keys that SDKs make up for one call are forgotten sooner. Raises BadRequest.
    """
    if not 0 < len(key) <= KEY_CHARS_MAX:
        raise BadRequest(f"An Idempotency-Key has 1 to {KEY_CHARS_MAX} characters.")
    ttl_s = settings.idempotency_ttl_s
    if key.startswith(MADE_UP):
        ttl_s = settings.idempotency_auto_ttl_s
    caller = f"{principal.org_id}\n{principal.subject}\n".encode()
    digest = hashlib.blake2b(caller + target + b"\n" + key, digest_size=32).digest()
    return IdempotencyKey(digest=digest, expires_at_ms=now_ms + ttl_s * 1000)


class Repeats:
    """The POSTs with a key that are being served by this process."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._open: dict[bytes, asyncio.Event] = {}

    async def once(self, key: IdempotencyKey, run: Run, *, repeat: Run | None) -> Answer:
        """The first answer under this key. `repeat` makes an answer again that is not stored."""
        while (first := self._open.get(key.digest)) is not None:
            await first.wait()
        done = self._open[key.digest] = asyncio.Event()
        try:
            return await self._recalled(key, repeat) or await self._first(
                key, run, is_secret=repeat is not None
            )
        finally:
            del self._open[key.digest]
            done.set()

    async def _recalled(self, key: IdempotencyKey, repeat: Run | None) -> Answer | None:
        now_ms = self._services.clock.now_ms()
        stored = await self._services.store.resources.recall(key.digest, now_ms=now_ms)
        if stored is None:
            return None
        answer = _decode(stored)
        if answer.is_secret and repeat is not None:
            return await repeat()
        return Answer(answer.status, answer.body)

    async def _first(self, key: IdempotencyKey, run: Run, *, is_secret: bool) -> Answer:
        answer = await run()
        if 200 <= answer.status < 300:
            body = b"" if is_secret else answer.body
            stored = _encode(Remembered(answer.status, body, is_secret))
            try:
                await self._services.store.resources.remember(key, stored)
            except StoreError as error:
                # It is done; telling the caller otherwise would make it happen twice.
                self._services.log.warning("answer_not_kept", error=str(error))
        return answer
