"""Svix's rows as our nouns. A row comes as one JSON object, whichever columns its version has."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import msgspec
from msgspec import Struct

from ringback.errors import SchemaMismatch
from ringback.model import Application, Endpoint, EventType, Secret, SignatureScheme
from ringback.store.svix.secrets import SvixSecrets

BYTEA: Final = "\\x"


class SvixApplication(Struct, frozen=True):
    id: str
    org_id: str
    name: str
    created_at: datetime
    updated_at: datetime
    deleted: bool
    uid: str | None = None
    rate_limit: int | None = None
    metadata: dict[str, str] | None = None


class SvixOldKey(Struct, frozen=True, rename={"key": "signingKey"}):
    key: str
    expiration: datetime


class SvixEndpoint(Struct, frozen=True):
    """`key` is bytea as JSON shows it. `filter` is an expression that we have no twin for."""

    id: str
    app_id: str
    key: str
    url: str
    created_at: datetime
    updated_at: datetime
    deleted: bool
    disabled: bool
    description: str = ""
    uid: str | None = None
    rate_limit: int | None = None
    event_types_ids: list[str] | None = None
    channels: list[str] | None = None
    headers: dict[str, str] | None = None
    old_keys: list[SvixOldKey] | None = None
    first_failure_at: datetime | None = None
    filter: str | None = None
    metadata: dict[str, str] | None = None


class SvixEventType(Struct, frozen=True):
    """`deleted` is what its API calls archived."""

    org_id: str
    name: str
    created_at: datetime
    updated_at: datetime
    deleted: bool
    description: str = ""
    schemas: dict[str, Any] | None = None
    feature_flag: str | None = None
    deprecated: bool = False


_decode_app: Final = msgspec.json.Decoder(SvixApplication).decode
_decode_endpoint: Final = msgspec.json.Decoder(SvixEndpoint).decode
_decode_event_type: Final = msgspec.json.Decoder(SvixEventType).decode


def app_of(row: str, metadata: str | None) -> Application:
    """Raises SchemaMismatch."""
    try:
        theirs = _decode_app(row)
    except msgspec.ValidationError as error:
        raise _strange("application", error) from None
    return Application(
        id=theirs.id,
        org_id=theirs.org_id,
        name=theirs.name,
        uid=theirs.uid,
        throttle_rate=theirs.rate_limit or None,
        metadata=_metadata(metadata),
        version=0,
        created_at_ms=_ms(theirs.created_at),
        updated_at_ms=_ms(theirs.updated_at),
    )


def read_endpoint(row: str) -> SvixEndpoint:
    """Raises SchemaMismatch."""
    try:
        return _decode_endpoint(row)
    except msgspec.ValidationError as error:
        raise _strange("endpoint", error) from None


def endpoint_of(
    theirs: SvixEndpoint, metadata: str | None, *, secrets: SvixSecrets, now_ms: int
) -> Endpoint:
    """Old keys that have expired by `now_ms` are left. Raises SecretError."""
    current = secrets.text(bytes.fromhex(theirs.key.removeprefix(BYTEA)))
    old = [
        Secret(secrets.old_text(key.key), _ms(key.expiration))
        for key in theirs.old_keys or ()
        if _ms(key.expiration) > now_ms
    ]
    return Endpoint(
        id=theirs.id,
        app_id=theirs.app_id,
        uid=theirs.uid,
        url=theirs.url,
        description=theirs.description,
        is_disabled=theirs.disabled,
        event_types=_tuple(theirs.event_types_ids),
        channels=_tuple(theirs.channels),
        throttle_rate=theirs.rate_limit or None,
        metadata=_metadata(metadata),
        headers=theirs.headers or {},
        secrets=(Secret(current), *old),
        signature_scheme=SignatureScheme.STANDARD,
        retry=None,
        failing_since_ms=None if theirs.first_failure_at is None else _ms(theirs.first_failure_at),
        version=0,
        created_at_ms=_ms(theirs.created_at),
        updated_at_ms=_ms(theirs.updated_at),
    )


def event_type_of(row: str) -> EventType:
    """Raises SchemaMismatch."""
    try:
        theirs = _decode_event_type(row)
    except msgspec.ValidationError as error:
        raise _strange("eventtype", error) from None
    return EventType(
        org_id=theirs.org_id,
        name=theirs.name,
        description=theirs.description,
        is_archived=theirs.deleted,
        is_deprecated=theirs.deprecated,
        schemas=theirs.schemas,
        feature_flag=theirs.feature_flag,
        group_name=None,
        created_at_ms=_ms(theirs.created_at),
        updated_at_ms=_ms(theirs.updated_at),
    )


def _metadata(text: str | None) -> Mapping[str, str]:
    found = None if text is None else msgspec.json.decode(text, type=dict[str, str] | None)
    return found or {}


def _tuple(values: list[str] | None) -> tuple[str, ...] | None:
    return None if values is None else tuple(values)


def _ms(at: datetime) -> int:
    return round(at.timestamp() * 1000)


def _strange(table: str, error: msgspec.ValidationError) -> SchemaMismatch:
    return SchemaMismatch(
        f"the table {table} is not as Svix makes it ({error}); is this the database of its server?"
    )
