"""The verbs of the inbox, as statements with their values: the same for every driver.

What a verb needs to know of the time it is told, so these are functions of values.
"""

from collections.abc import Collection, Iterable, Sequence
from typing import Any, Final

from msgspec import Struct, json

from ringback.receive.inbox.entry import Entry
from ringback.receive.inbox.event import InboxEvent, State
from ringback.receive.inbox.sql import Dialect, Statement

Rows = list[Sequence[Any]]
ERROR_CHARS_MAX: Final = 4_000


class Lease(Struct, frozen=True):
    """What a claim gives to whom: a token, from an instant to another."""

    token: str
    now_ms: int
    until_ms: int


def insert(dialect: Dialect, entries: Sequence[Entry], now_ms: int) -> list[Statement]:
    """Keep them all, or none."""
    columns = [_values(entry) for entry in entries]
    if dialect == "sqlite":
        return [Statement("insert_events", (*values, now_ms)) for values in columns]
    arrays = tuple(list(column) for column in zip(*columns, strict=True))
    inserted = Statement("insert_events", (*arrays, now_ms))
    keys = sorted({_key(entry.source, entry.order_key) for entry in entries if entry.order_key})
    return [Statement("lock_keys", (keys,)), inserted] if keys else [inserted]


def inserted(results: Sequence[Rows], entries: Sequence[Entry]) -> list[bool]:
    """Which of them are new. Of two that are the same, the first one."""
    new = {tuple(row) for rows in results for row in rows if len(row) == 2}
    found = []
    for entry in entries:
        key = (entry.source, entry.id)
        found.append(key in new)
        new.discard(key)
    return found


def claim_due(lease: Lease, limit: int) -> Statement:
    return Statement("claim_due", (lease.token, lease.until_ms, lease.now_ms, limit))


def claim_next(dialect: Dialect, lease: Lease, *, source: str, key: str) -> list[Statement]:
    """The last of them claims."""
    claim = Statement("claim_next", (lease.token, lease.until_ms, lease.now_ms, source, key))
    if dialect == "sqlite":
        return [claim]
    return [Statement("lock_keys", ([_key(source, key)],)), claim]


def end(event: InboxEvent, state: State, now_ms: int, *, error: str | None = None) -> Statement:
    return Statement("end_event", (event.number, event.lease, state.value, _fit(error), now_ms))


def retry(event: InboxEvent, due_at_ms: int, error: str) -> list[Statement]:
    statement = Statement("retry_event", (event.number, event.lease, due_at_ms, _fit(error)))
    if event.order_key is None:
        return [statement]
    behind = Statement("postpone_key", (event.source, event.order_key, due_at_ms))
    return [statement, behind]


def release(event: InboxEvent, now_ms: int) -> Statement:
    return Statement("release_event", (event.number, event.lease, now_ms))


def replay(dialect: Dialect, numbers: Iterable[int], now_ms: int) -> Statement:
    return Statement("replay_events", (_list(dialect, list(numbers)), now_ms))


def find_known(dialect: Dialect, source: str, ids: Collection[str]) -> Statement:
    return Statement("find_known", (source, _list(dialect, list(ids))))


def _list(dialect: Dialect, values: list[Any]) -> Any:
    """SQLite has no arrays, but JSON."""
    return json.encode(values).decode() if dialect == "sqlite" else values


def _values(entry: Entry) -> tuple[Any, ...]:
    return (
        entry.source,
        entry.id,
        entry.type,
        entry.timestamp_s,
        entry.is_id_signed,
        entry.body,
        entry.decoded,
        entry.request,
        entry.order_key,
        entry.origin,
        entry.state.value,
    )


def _key(source: str, key: str | None) -> str:
    return f"{source}\n{key}"


def _fit(error: str | None) -> str | None:
    """What every database can keep: bounded, without NUL and lone surrogates."""
    if error is None:
        return None
    text = error.replace("\0", "�")
    if len(text) > ERROR_CHARS_MAX:
        text = f"{text[: ERROR_CHARS_MAX // 2]} … {text[-ERROR_CHARS_MAX // 2 :]}"
    return text.encode("utf-8", "replace").decode()
