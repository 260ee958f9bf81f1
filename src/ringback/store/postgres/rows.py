"""Rows as nouns and back. The columns are in the order in which the queries name them.

Endpoint secrets are sealed on the way in and opened on the way out. One that does not open is kept
as it is, and says why: it stops the deliveries of its endpoint, and nothing else.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from ringback.clock import Clock
from ringback.errors import SecretError
from ringback.model import (
    Application,
    Attempt,
    AttemptStatus,
    Delivery,
    Endpoint,
    EventType,
    Message,
    RetryPolicy,
    Secret,
    SignatureScheme,
    Task,
    TaskStatus,
    Timings,
    Trigger,
)
from ringback.sign.sealing import NONCE_BYTES, Sealer, owner
from ringback.store.port import NewMessage, Waiting
from ringback.store.postgres.connection import Connection
from ringback.store.postgres.sql import Row, as_json

_decode_texts: Final = msgspec.json.Decoder(tuple[str, ...]).decode
_decode_map: Final = msgspec.json.Decoder(dict[str, str]).decode
_decode_any: Final = msgspec.json.Decoder(dict[str, Any]).decode
_decode_pairs: Final = msgspec.json.Decoder(tuple[tuple[str, str], ...]).decode
_decode_secrets: Final = msgspec.json.Decoder(tuple[tuple[str, int | None], ...]).decode
_decode_seconds: Final = msgspec.json.Decoder(tuple[float, ...]).decode
_decode_timings: Final = msgspec.json.Decoder(
    tuple[float | None, float | None, float | None, float | None, float]
).decode
_decode_deliveries: Final = msgspec.json.Decoder(list[tuple[str, str, str, int, Trigger]]).decode
_TRIGGERS: Final = tuple(Trigger)
_STATUSES: Final = tuple(AttemptStatus)


# ---- messages -----------------------------------------------------------------------------------


def message_row(new: NewMessage) -> Row:
    """A `message_row` of the schema."""
    message, key = new.message, new.idempotency
    channels = message.channels
    return (
        message.created_at_ms,
        message.payload_expires_at_ms or 0,
        new.routing_version,
        None if key is None else key.expires_at_ms,
        message.app_id,
        message.id,
        message.event_type,
        message.event_id or "",
        "" if channels is None else as_json(channels),
        _storable(message.content_type),
        message.payload,
        message.raw_body,
        None if key is None else key.digest,
    )


def message_of(row: Sequence[Any]) -> Message:
    return Message(
        id=row[0],
        app_id=row[1],
        event_type=row[2],
        event_id=row[3] or None,
        channels=_decode_texts(row[4]) if row[4] else None,
        payload=row[5],
        raw_body=row[6],
        content_type=row[7],
        payload_expires_at_ms=row[8] or None,
        created_at_ms=row[9],
    )


# ---- attempts -----------------------------------------------------------------------------------


def attempt_row(attempt: Attempt) -> Row:
    """An `attempt_row` of the schema."""
    timings = attempt.timings
    headers = attempt.response_headers
    return (
        attempt.batch_id,
        attempt.started_at_ms,
        attempt.next_at_ms or 0,
        attempt.number,
        attempt.status_code,
        attempt.trigger,
        attempt.status,
        attempt.id,
        attempt.msg_id,
        attempt.endpoint_id,
        as_json(
            (
                timings.dns_ms,
                timings.connect_ms,
                timings.tls_ms,
                timings.first_byte_ms,
                timings.total_ms,
            )
        ),
        attempt.url,
        _storable(attempt.error) or "",
        as_json(headers) if headers else "",
        attempt.response,
    )


def attempt_of(row: Sequence[Any]) -> Attempt:
    return Attempt(
        id=row[0],
        app_id=row[1],
        msg_id=row[2],
        endpoint_id=row[3],
        batch_id=row[4],
        number=row[5],
        trigger=_TRIGGERS[row[6]],
        status=_STATUSES[row[7]],
        status_code=row[8],
        url=row[9],
        response=row[10],
        response_headers=_decode_pairs(row[11]) if row[11] else (),
        error=row[12] or None,
        timings=Timings(*_decode_timings(row[13])),
        started_at_ms=row[14],
        next_at_ms=row[15] or None,
    )


# ---- waiting ------------------------------------------------------------------------------------


def waiting_row(waiting: Waiting, place: int = 0) -> Row:
    """A `waiting_row` of the schema; `place`, from 1, is that of its message among others."""
    delivery = waiting.delivery
    return (
        waiting.due_at_ms,
        place,
        delivery.attempts_made,
        delivery.trigger,
        delivery.endpoint_id,
        delivery.app_id,
        delivery.msg_id,
    )


# ---- batches ------------------------------------------------------------------------------------


def batch_text(deliveries: Sequence[Delivery]) -> str:
    """What a batch row holds."""
    return as_json(
        [(d.app_id, d.msg_id, d.endpoint_id, d.attempts_made, d.trigger) for d in deliveries]
    )


def deliveries_of(text: str) -> list[Delivery]:
    return [Delivery(*values) for values in _decode_deliveries(text)]


# ---- applications, endpoints --------------------------------------------------------------------


def app_row(app: Application) -> Row:
    """Of `insert_app`."""
    return (
        app.id,
        app.org_id,
        app.name,
        app.uid,
        app.throttle_rate,
        as_json(app.metadata),
        app.version,
        app.created_at_ms,
        app.updated_at_ms,
    )


def app_of(row: Sequence[Any]) -> Application:
    return Application(
        id=row[0],
        org_id=row[1],
        name=row[2],
        uid=row[3],
        throttle_rate=row[4],
        metadata=_decode_map(row[5]),
        version=row[6],
        created_at_ms=row[7],
        updated_at_ms=row[8],
    )


class EndpointRows:
    """Endpoints with their secrets sealed."""

    def __init__(self, sealer: Sealer, clock: Clock) -> None:
        self._sealer = sealer
        self._clock = clock

    def row(self, endpoint: Endpoint) -> Row:
        """Of `insert_endpoint`."""
        return (
            endpoint.id,
            endpoint.app_id,
            endpoint.uid,
            endpoint.url,
            endpoint.description,
            endpoint.is_disabled,
            _text_or_none(endpoint.event_types),
            _text_or_none(endpoint.channels),
            endpoint.throttle_rate,
            as_json(endpoint.metadata),
            as_json(endpoint.headers),
            self._sealed(endpoint),
            endpoint.signature_scheme.value,
            None if endpoint.retry is None else as_json(endpoint.retry.schedule_s),
            endpoint.failing_since_ms,
            endpoint.version,
            endpoint.created_at_ms,
            endpoint.updated_at_ms,
        )

    def endpoint(self, row: Sequence[Any]) -> Endpoint:
        return Endpoint(
            id=row[0],
            app_id=row[1],
            uid=row[2],
            url=row[3],
            description=row[4],
            is_disabled=row[5],
            event_types=_texts_or_none(row[6]),
            channels=_texts_or_none(row[7]),
            throttle_rate=row[8],
            metadata=_decode_map(row[9]),
            headers=_decode_map(row[10]),
            secrets=self._opened(row[1], row[0], row[11]),
            signature_scheme=SignatureScheme(row[12]),
            retry=None if row[13] is None else RetryPolicy(_decode_seconds(row[13])),
            failing_since_ms=row[14],
            version=row[15],
            created_at_ms=row[16],
            updated_at_ms=row[17],
        )

    def _sealed(self, endpoint: Endpoint) -> str:
        aad = owner(endpoint.app_id, endpoint.id)
        return as_json(
            [(self._seal(secret, aad), secret.expires_at_ms) for secret in endpoint.secrets]
        )

    def _seal(self, secret: Secret, aad: bytes) -> str:
        if secret.why_closed:
            return secret.key
        nonce = self._clock.token_bytes(NONCE_BYTES)
        return self._sealer.seal(secret.key, aad=aad, nonce=nonce)

    def _opened(self, app_id: str, endpoint_id: str, text: str) -> tuple[Secret, ...]:
        aad = owner(app_id, endpoint_id)
        return tuple(
            self._open(sealed, aad, expires_at_ms)
            for sealed, expires_at_ms in _decode_secrets(text)
        )

    def _open(self, sealed: str, aad: bytes, expires_at_ms: int | None) -> Secret:
        try:
            return Secret(self._sealer.open(sealed, aad=aad), expires_at_ms)
        except SecretError as error:
            return Secret(sealed, expires_at_ms, str(error))


# ---- event types, tasks -------------------------------------------------------------------------


def event_type_row(event_type: EventType) -> Row:
    """Of `upsert_event_type`."""
    return (
        event_type.org_id,
        event_type.name,
        event_type.description,
        event_type.is_archived,
        event_type.is_deprecated,
        _text_or_none(event_type.schemas),
        event_type.feature_flag,
        event_type.group_name,
        event_type.created_at_ms,
        event_type.updated_at_ms,
    )


def event_type_of(row: Sequence[Any]) -> EventType:
    return EventType(
        org_id=row[0],
        name=row[1],
        description=row[2],
        is_archived=row[3],
        is_deprecated=row[4],
        schemas=None if row[5] is None else _decode_any(row[5]),
        feature_flag=row[6],
        group_name=row[7],
        created_at_ms=row[8],
        updated_at_ms=row[9],
    )


def task_row(task: Task) -> Row:
    """Of `insert_task`."""
    return (
        task.id,
        task.org_id,
        task.app_id,
        task.kind,
        task.status.value,
        as_json(task.arguments),
        task.cursor,
        task.done_count,
        task.created_at_ms,
        task.updated_at_ms,
    )


def task_of(row: Sequence[Any]) -> Task:
    return Task(
        id=row[0],
        org_id=row[1],
        app_id=row[2],
        kind=row[3],
        status=TaskStatus(row[4]),
        arguments=_decode_any(row[5]),
        cursor=row[6],
        done_count=row[7],
        created_at_ms=row[8],
        updated_at_ms=row[9],
    )


async def one(connection: Connection, text: str, *values: Any) -> Sequence[Any] | None:
    """The first row of a query, None when it has none."""
    return await connection.fetchrow(text, *values)


def _text_or_none(values: Sequence[str] | Mapping[str, object] | None) -> str | None:
    return None if values is None else as_json(values)


def _texts_or_none(text: str | None) -> tuple[str, ...] | None:
    return None if text is None else _decode_texts(text)


def _storable(text: str | None) -> str | None:
    """PostgreSQL keeps every character but NUL. One bad text must not refuse a whole batch."""
    return text.replace("\0", "\ufffd") if text and "\0" in text else text
