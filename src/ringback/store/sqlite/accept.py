"""The transaction that accepts messages.

Everything is decided before the first write: whether the lease stands, whether each message was
routed by the current version of its application, whether its keys are taken.
"""

import sqlite3
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from ringback.errors import Fenced
from ringback.model import Delivery
from ringback.store.port import AcceptOutcome, AcceptResult, Lease, NewMessage
from ringback.store.sqlite import waiting
from ringback.store.sqlite.rows import batch_text, is_raw, message_row, raw_message_row
from ringback.store.sqlite.sql import among, as_json, insert, query

_decode_versions: Final = msgspec.json.Decoder(dict[str, int]).decode


def fenced() -> Fenced:
    return Fenced("this node's lease is gone; stop sending and join again")


class _Admission:
    """What is known when a call begins, and what its own messages add to it."""

    def __init__(
        self, connection: sqlite3.Connection, lease: Lease, messages: Sequence[NewMessage]
    ) -> None:
        app_ids = {new.message.app_id for new in messages}
        [(is_lease_good, versions)] = connection.execute(
            query("read_admission"), (lease.epoch, lease.node_id, as_json(app_ids))
        ).fetchall()
        if not is_lease_good:
            raise fenced()
        self._versions = _decode_versions(versions)
        self._answers = _known_answers(connection, messages)
        self._event_ids = _taken_event_ids(connection, messages)

    def judge(self, new: NewMessage) -> AcceptResult:
        """Decide about a message. When it is accepted, its keys are taken from now on."""
        message = new.message
        outcome, message_id = self._outcome(new)
        if outcome is AcceptOutcome.ACCEPTED:
            if new.idempotency is not None:
                key = new.idempotency
                self._answers[key.digest] = (key.expires_at_ms, message.id)
            if message.event_id:
                self._event_ids[message.app_id, message.event_id] = message.id
        return AcceptResult(outcome, message_id)

    def _outcome(self, new: NewMessage) -> tuple[AcceptOutcome, str]:
        message = new.message
        if new.idempotency is not None:
            expires_at_ms, first_id = self._answers.get(new.idempotency.digest, (0, ""))
            if expires_at_ms > message.created_at_ms:
                return AcceptOutcome.REPEATED, first_id
        version = self._versions.get(message.app_id)
        if version is None:
            return AcceptOutcome.GONE, message.id
        if version != new.routing_version:
            return AcceptOutcome.STALE, message.id
        if message.event_id:
            first_id = self._event_ids.get((message.app_id, message.event_id), "")
            if first_id:
                return AcceptOutcome.EVENT_ID_TAKEN, first_id
        return AcceptOutcome.ACCEPTED, message.id


def accept(
    connection: sqlite3.Connection, lease: Lease, batch_id: int, messages: Sequence[NewMessage]
) -> list[AcceptResult]:
    """See `port.Path.accept`. Raises before its first write or not at all."""
    admission = _Admission(connection, lease, messages)
    results = [admission.judge(new) for new in messages]
    accepted = [
        new
        for new, result in zip(messages, results, strict=True)
        if result.outcome is AcceptOutcome.ACCEPTED
    ]
    _write_messages(connection, accepted)
    write_batch(connection, lease, batch_id, [one for new in accepted for one in new.now])
    late = [one for new in accepted for one in new.waiting]
    if late:
        waiting.put(connection, late)
    return results


def write_batch(
    connection: sqlite3.Connection, lease: Lease, batch_id: int, deliveries: Sequence[Delivery]
) -> None:
    """Note what the node has in flight, if that is anything."""
    if deliveries:
        row = (batch_id, lease.epoch, batch_text(deliveries))
        connection.execute(query("insert_batch"), row)


def _write_messages(connection: sqlite3.Connection, accepted: Sequence[NewMessage]) -> None:
    plain = [message_row(new.message) for new in accepted if not is_raw(new.message)]
    raw = [raw_message_row(new.message) for new in accepted if is_raw(new.message)]
    answers = [
        (new.idempotency.digest, new.idempotency.expires_at_ms, new.message.id, bytearray())
        for new in accepted
        if new.idempotency is not None
    ]
    insert(connection, "insert_messages", plain)
    insert(connection, "insert_raw_messages", raw)
    insert(connection, "insert_answers", answers)


def _known_answers(
    connection: sqlite3.Connection, messages: Sequence[NewMessage]
) -> dict[bytes, tuple[int, str]]:
    digests = [new.idempotency.digest for new in messages if new.idempotency is not None]
    found: Any = among(connection, "find_answers", digests)
    return {digest: (expires_at_ms, message_id) for digest, expires_at_ms, message_id in found}


def _taken_event_ids(
    connection: sqlite3.Connection, messages: Sequence[NewMessage]
) -> dict[tuple[str, str], str]:
    wanted = [
        (new.message.app_id, new.message.event_id) for new in messages if new.message.event_id
    ]
    if not wanted:
        return {}
    found = connection.execute(query("find_event_ids"), (as_json(wanted),))
    return {(app_id, event_id): message_id for app_id, event_id, message_id in found}
