"""What a provider says it has sent, held against what is kept: to find what never arrived.

The list comes from the provider's API, over its own authenticated connection, so its events need no
signature. They go the way of all others, with the same ids, and are deduped with them.
"""

from collections.abc import AsyncIterable, AsyncIterator, Iterable
from typing import Any, Final

from msgspec import Struct

from ringback.sign.event import VerifiedEvent
from ringback.sign.payload import as_json

LOOKED_UP_AT_ONCE: Final = 200
MISSING_NAMED_MAX: Final = 1_000


class Listed(Struct, frozen=True):
    """An event as the provider lists it. `payload` as a webhook would have brought it."""

    id: str
    type: str | None
    payload: Any


class Reconciled(Struct, frozen=True):
    """`missing` are ids that were not here, the first `MISSING_NAMED_MAX` of `missing_count`.

    `stored` of them are kept now.
    """

    listed: int
    missing_count: int
    stored: int
    missing: tuple[str, ...]


def as_event(source: str, listed: Listed) -> VerifiedEvent:
    """As if a webhook had brought it. Nothing was signed, and nothing needs to be."""
    return VerifiedEvent(
        provider=source,
        id=listed.id,
        type=listed.type,
        timestamp_s=None,
        payload=listed.payload,
        body=as_json(listed.payload),
        is_id_signed=True,
        secret_index=0,
    )


async def in_batches(
    listed: Iterable[Listed] | AsyncIterable[Listed],
) -> AsyncIterator[list[Listed]]:
    """Page by page of what may be a long list."""
    batch: list[Listed] = []
    async for one in _each(listed):
        batch.append(one)
        if len(batch) == LOOKED_UP_AT_ONCE:
            yield batch
            batch = []
    if batch:
        yield batch


async def _each(listed: Iterable[Listed] | AsyncIterable[Listed]) -> AsyncIterator[Listed]:
    if isinstance(listed, AsyncIterable):
        async for one in listed:
            yield one
        return
    for one in listed:
        yield one
