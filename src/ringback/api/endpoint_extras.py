"""What hangs on an endpoint: its secret, its headers, its numbers, and sending to it again."""

from collections.abc import Mapping
from typing import Final

from msgspec import structs

from ringback.api import application, endpoint, rules
from ringback.api.call import Answer, Call, encode, reply, rfc3339, to_ms
from ringback.api.message import shown
from ringback.api.payload import check_payload
from ringback.api.schemas.endpoint import (
    GRACE_S,
    EndpointAttemptStatsOut,
    EndpointHeadersIn,
    EndpointHeadersOut,
    EndpointHeadersPatchIn,
    EndpointSecretOut,
    EndpointSecretRotateIn,
    EndpointStatsOut,
    EventExampleIn,
    RecoverIn,
    RecoverOut,
    StatsQuery,
)
from ringback.engine.accept import Draft
from ringback.errors import BadRequest, Conflict, Invalid, NotFound, Unavailable
from ringback.model import Endpoint, EventType, Secret
from ringback.store.port import EndpointStats

SLACK_MS: Final = 5 * 60_000
STATS_RANGE_MS: Final = 28 * 86_400_000
RECOVER_RANGE_MS: Final = 14 * 86_400_000

SENSITIVE: Final = frozenset(
    {
        "authorization",
        "proxy-authenticate",
        "proxy-authorization",
        "www-authenticate",
        "x-api-key",
        "x-auth-token",
    }
)

PING: Final = "svix.ping"
_PING_PAYLOAD: Final = b'{"success":true}'
_NO_PAYLOAD: Final = (b"", b"null")

# ---- secret -------------------------------------------------------------------------------------


async def get_secret(call: Call[None, object]) -> Answer:
    current = (await endpoint.of_call(call)).secrets[0]
    if current.why_closed:
        raise Unavailable(f"It cannot be shown: {current.why_closed}.")
    return reply(200, EndpointSecretOut(key=rules.shown_secret(current.key)))


async def rotate_secret(call: Call[None, EndpointSecretRotateIn]) -> Answer:
    """The new secret signs at once, the old one goes on signing beside it for the grace period."""
    app = await application.of_call(call)
    old = await endpoint.find(call, app, call.path["endpoint_id"])
    scheme, body = old.signature_scheme, call.body
    if body.key is None:
        key = endpoint.new_secret_text(call, scheme)
    else:
        key = rules.given_secret(body.key, scheme, field="key")
    grace_s = GRACE_S if body.grace_period_seconds is None else body.grace_period_seconds
    now_ms = call.services.clock.now_ms()
    old_max = call.services.settings.old_secrets_max

    def change(current: Endpoint) -> Endpoint:
        if current.signature_scheme is not scheme:
            raise Conflict("The signature scheme was changed at the same time; try again.")
        secrets = _rotated(
            current.secrets, key, now_ms=now_ms, grace_ms=grace_s * 1000, old_max=old_max
        )
        return structs.replace(current, secrets=secrets, updated_at_ms=now_ms)

    await endpoint.update(call, app, change=change)
    return reply(200, EndpointSecretOut(key=rules.shown_secret(key)))


def _rotated(
    secrets: tuple[Secret, ...], key: str, *, now_ms: int, grace_ms: int, old_max: int
) -> tuple[Secret, ...]:
    current, *retired = secrets
    if current.key == key:
        return secrets
    kept = [
        old
        for old in retired
        if old.key != key and (old.expires_at_ms is None or old.expires_at_ms > now_ms)
    ]
    if grace_ms > 0:
        kept.insert(0, structs.replace(current, expires_at_ms=now_ms + grace_ms))
    if len(kept) > old_max:
        raise BadRequest(
            f"{old_max} old secrets of this endpoint are still valid; wait until one expires,"
            " or rotate with a shorter gracePeriodSeconds.",
            code="limit_reached",
        )
    return (Secret(key), *kept)


# ---- headers ------------------------------------------------------------------------------------


async def get_headers(call: Call[None, None]) -> Answer:
    found = await endpoint.of_call(call)
    plain = {name: value for name, value in found.headers.items() if not _is_sensitive(name)}
    sensitive = sorted(name for name in found.headers if _is_sensitive(name))
    return reply(200, EndpointHeadersOut(headers=plain, sensitive=sensitive))


async def set_headers(call: Call[None, EndpointHeadersIn]) -> Answer:
    headers = rules.headers(call.body.headers)
    return await _write_headers(call, headers, removed=None)


async def patch_headers(call: Call[None, EndpointHeadersPatchIn]) -> Answer:
    sent = call.body.headers or {}
    removed = {name.lower() for name in (*sent, *(call.body.delete_headers or ()))}
    added = {name: value for name, value in sent.items() if value is not None}
    return await _write_headers(call, rules.headers(added), removed=removed)


async def _write_headers(
    call: Call[None, object], added: Mapping[str, str], *, removed: set[str] | None
) -> Answer:
    """`removed` are lower-case names to drop first, None for all of them."""
    app = await application.of_call(call)
    now_ms = call.services.clock.now_ms()

    def change(current: Endpoint) -> Endpoint:
        kept = {
            name: value
            for name, value in current.headers.items()
            if removed is not None and name.lower() not in removed
        }
        headers = rules.headers({**kept, **added})
        return structs.replace(current, headers=headers, updated_at_ms=now_ms)

    await endpoint.update(call, app, change=change)
    return Answer(204)


def _is_sensitive(name: str) -> bool:
    return name.lower() in SENSITIVE


# ---- numbers ------------------------------------------------------------------------------------


async def get_stats(call: Call[StatsQuery, None]) -> Answer:
    stats = await _stats(call)
    return reply(
        200,
        EndpointStatsOut(
            success=stats.success,
            pending=stats.pending,
            sending=stats.sending,
            fail=stats.fail,
            canceled=stats.canceled,
        ),
    )


async def get_attempt_stats(call: Call[StatsQuery, None]) -> Answer:
    stats = await _stats(call)
    return reply(
        200,
        EndpointAttemptStatsOut(success=stats.success, fail=stats.fail, canceled=stats.canceled),
    )


async def _stats(call: Call[StatsQuery, None]) -> EndpointStats:
    found = await endpoint.of_call(call)
    query, now_ms = call.query, call.services.clock.now_ms()
    until_ms = now_ms if query.until is None else to_ms(query.until)
    since_ms = until_ms - STATS_RANGE_MS if query.since is None else to_ms(query.since)
    if not 0 <= until_ms - since_ms <= STATS_RANGE_MS + SLACK_MS:
        raise BadRequest("since must come before until, by at most 28 days.", code="invalid_range")
    return await call.services.store.history.endpoint_stats(
        found.id, since_ms=since_ms, until_ms=until_ms
    )


# ---- sending to it ------------------------------------------------------------------------------


async def send_example(call: Call[None, EventExampleIn]) -> Answer:
    app = await application.of_call(call)
    found = await endpoint.find(call, app, call.path["endpoint_id"])
    if found.is_disabled:
        raise BadRequest("The endpoint is disabled; enable it, then send the example.")
    payload = await _example(call)
    message = await call.services.engine.accept(
        Draft(
            org_id=app.org_id,
            app_ref=app.id,
            event_type=call.body.event_type,
            payload=payload,
            only_endpoint_id=found.id,
        )
    )
    return reply(200, shown(message, with_content=True))


async def _example(call: Call[None, EventExampleIn]) -> bytes:
    body = call.body
    given = bytes(body.payload)
    if given not in _NO_PAYLOAD:
        check_payload(given)
        return given
    if body.event_type == PING:
        return _PING_PAYLOAD
    event_type = await call.services.store.resources.get_event_type(
        call.principal.org_id, body.event_type
    )
    if event_type is None:
        raise NotFound(f"There is no event type {body.event_type}; create it, or send a payload.")
    examples = _examples(event_type)
    if not 0 <= body.example_index < len(examples):
        raise Invalid(
            f"the schema of {event_type.name} has {len(examples)} examples; add `examples` to it,"
            " or send a payload",
            loc=("body", "eventType"),
        )
    example = examples[body.example_index]
    if not isinstance(example, dict):
        raise Invalid("the example is not a JSON object", loc=("body", "eventType"))
    return encode(example)


def _examples(event_type: EventType) -> list[object]:
    """Those of the newest version of the schema that has some."""
    schemas = event_type.schemas or {}
    for version in sorted(schemas, key=lambda name: (len(name), name), reverse=True):
        schema = schemas[version]
        examples = schema.get("examples") if isinstance(schema, dict) else None
        if isinstance(examples, list) and examples:
            return examples
    return []


async def recover(call: Call[None, RecoverIn]) -> Answer:
    app = await application.of_call(call)
    found = await endpoint.find(call, app, call.path["endpoint_id"])
    now_ms = call.services.clock.now_ms()
    since_ms = to_ms(call.body.since)
    until_ms = now_ms if call.body.until is None else to_ms(call.body.until)
    if since_ms < now_ms - RECOVER_RANGE_MS - SLACK_MS:
        raise Invalid("since may lie at most 14 days back", loc=("body", "since"))
    if since_ms >= now_ms:
        raise Invalid("since must lie in the past", loc=("body", "since"))
    if since_ms >= until_ms:
        raise Invalid("until must come after since", loc=("body", "until"))
    task = await call.services.engine.recover(
        app, found, since_ms=since_ms, until_ms=min(until_ms, now_ms)
    )
    return reply(
        202,
        RecoverOut(
            id=task.id,
            status=task.status,
            task=task.kind,
            updated_at=rfc3339(task.updated_at_ms),
        ),
    )
