"""Endpoints: the URLs that asked for events."""

from collections.abc import Callable

from msgspec import structs

from ringback.api import application, rules
from ringback.api.call import Answer, Call, reply, rfc3339
from ringback.api.paging import listed, page
from ringback.api.schemas.endpoint import (
    EndpointIn,
    EndpointListQuery,
    EndpointOut,
    EndpointPatch,
    EndpointUpdate,
    RetryOut,
)
from ringback.api.schemas.words import given
from ringback.errors import Invalid, NotFound
from ringback.model import Application, Endpoint, Secret, SignatureScheme, SignatureType


async def list_all(call: Call[EndpointListQuery, None]) -> Answer:
    app = await application.of_call(call)
    asked = page(
        call.query.limit,
        call.query.iterator,
        prefix="ep",
        is_descending=call.query.order == "descending",
    )
    found = await call.services.store.resources.list_endpoints(app.id, asked)
    return reply(200, listed(found, shown, key=lambda endpoint: endpoint.id))


async def create(call: Call[None, EndpointIn]) -> Answer:
    app = await application.of_call(call)
    return await _create(call, app, body=call.body)


async def get(call: Call[None, None]) -> Answer:
    return reply(200, shown(await of_call(call)))


async def upsert(call: Call[None, EndpointUpdate]) -> Answer:
    """Creates one when there is none; its uid is then the body's, not the path's."""
    app = await application.of_call(call)
    if await call.services.store.resources.get_endpoint(app.id, call.path["endpoint_id"]) is None:
        return await _create(call, app, body=_as_new(call.body))
    body = call.body
    changes: dict[str, object] = {
        "uid": body.uid,
        "description": body.description or "",
        "is_disabled": bool(body.disabled),
        "event_types": await _event_types(call, body.event_types or body.filter_types),
        "channels": _unique(body.channels),
        "throttle_rate": body.throttle_rate or body.rate_limit,
        "metadata": rules.metadata(body.metadata),
        **_common_changes(call, body),
    }
    return await _update(call, app, changes=changes)


async def patch(call: Call[None, EndpointPatch]) -> Answer:
    app = await application.of_call(call)
    body = call.body
    changes = _common_changes(call, body)
    for field, value in (
        ("uid", body.uid),
        ("description", body.description),
        ("is_disabled", body.disabled),
    ):
        if given(value):
            changes[field] = value
    rate = body.throttle_rate if given(body.throttle_rate) else body.rate_limit
    if given(rate):
        changes["throttle_rate"] = rate
    if isinstance(body.metadata, dict):
        changes["metadata"] = rules.metadata(body.metadata)
    names = body.event_types if given(body.event_types) else body.filter_types
    if names is None or isinstance(names, list):
        changes["event_types"] = await _event_types(call, names)
    if body.channels is None or isinstance(body.channels, list):
        changes["channels"] = _unique(body.channels)
    return await _update(call, app, changes=changes)


async def delete(call: Call[None, None]) -> Answer:
    app = await application.of_call(call)
    services = call.services
    await services.store.resources.delete_endpoint(
        app.id, call.path["endpoint_id"], at_ms=services.clock.now_ms()
    )
    services.engine.changed(app.id)
    return Answer(204)


# ---- for the other resources --------------------------------------------------------------------


async def of_call(call: Call[object, object]) -> Endpoint:
    """The endpoint of the path. Raises NotFound."""
    app = await application.of_call(call)
    return await find(call, app, call.path["endpoint_id"])


async def find(call: Call[object, object], app: Application, ref: str) -> Endpoint:
    endpoint = await call.services.store.resources.get_endpoint(app.id, ref)
    if endpoint is None:
        raise NotFound
    return endpoint


async def update(
    call: Call[object, object], app: Application, *, change: Callable[[Endpoint], Endpoint]
) -> Endpoint:
    """Write the endpoint of the path and tell the engine. Raises NotFound or Conflict."""
    endpoint = await call.services.store.resources.update_endpoint(
        app.id, call.path["endpoint_id"], change
    )
    call.services.engine.changed(app.id)
    return endpoint


def shown(endpoint: Endpoint) -> EndpointOut:
    return EndpointOut(**fields(endpoint))  # type: ignore[arg-type]


def fields(endpoint: Endpoint) -> dict[str, object]:
    """An endpoint's fields as they are shown, under both generations of names."""
    names = None if endpoint.event_types is None else list(endpoint.event_types)
    retry = endpoint.retry
    return {
        "id": endpoint.id,
        "uid": endpoint.uid,
        "url": endpoint.url,
        "description": endpoint.description,
        "disabled": endpoint.is_disabled,
        "event_types": names,
        "filter_types": names,
        "channels": None if endpoint.channels is None else list(endpoint.channels),
        "throttle_rate": endpoint.throttle_rate,
        "rate_limit": endpoint.throttle_rate,
        "metadata": dict(endpoint.metadata),
        "version": 1,
        "signature_scheme": endpoint.signature_scheme,
        "retry": None if retry is None else RetryOut(schedule=list(retry.schedule_s)),
        "created_at": rfc3339(endpoint.created_at_ms),
        "updated_at": rfc3339(endpoint.updated_at_ms),
    }


def new_secret_text(call: Call[object, object], scheme: SignatureScheme) -> str:
    return rules.new_secret(
        SignatureType(call.services.settings.default_signature_type),
        scheme,
        random_bytes=call.services.clock.token_bytes(rules.SECRET_RANDOM_BYTES),
    )


# ---- details ------------------------------------------------------------------------------------


def _as_new(body: EndpointUpdate) -> EndpointIn:
    known = {
        field: value for field in body.__struct_fields__ if given(value := getattr(body, field))
    }
    return EndpointIn(**known)


async def _create(call: Call[object, object], app: Application, *, body: EndpointIn) -> Answer:
    services = call.services
    scheme = body.signature_scheme
    if body.secret is None:
        secret = new_secret_text(call, scheme)
    else:
        secret = rules.given_secret(body.secret, scheme, field="secret")
    now_ms = services.clock.now_ms()
    endpoint = Endpoint(
        id=services.clock.new_id("ep"),
        app_id=app.id,
        uid=body.uid,
        url=_url(call, body.url),
        description=body.description or "",
        is_disabled=bool(body.disabled),
        event_types=await _event_types(call, body.event_types or body.filter_types),
        channels=_unique(body.channels),
        throttle_rate=body.throttle_rate or body.rate_limit,
        metadata=rules.metadata(body.metadata),
        headers=rules.headers(body.headers or {}),
        secrets=(Secret(secret),),
        signature_scheme=scheme,
        retry=rules.retry_policy(body.retry),
        failing_since_ms=None,
        version=1,
        created_at_ms=now_ms,
        updated_at_ms=now_ms,
    )
    created = await services.store.resources.create_endpoint(
        endpoint, endpoints_max=services.settings.endpoints_per_app_max
    )
    services.engine.changed(app.id)
    return reply(201, shown(created))


def _common_changes(
    call: Call[object, object], body: EndpointUpdate | EndpointPatch
) -> dict[str, object]:
    """What PUT and PATCH treat alike: left out means kept."""
    changes: dict[str, object] = {"updated_at_ms": call.services.clock.now_ms()}
    if isinstance(body.url, str):
        changes["url"] = _url(call, body.url)
    if given(body.signature_scheme):
        changes["signature_scheme"] = body.signature_scheme
    if given(body.retry):
        changes["retry"] = rules.retry_policy(body.retry)  # type: ignore[arg-type]
    return changes


async def _update(
    call: Call[object, object], app: Application, *, changes: dict[str, object]
) -> Answer:
    now_ms = call.services.clock.now_ms()

    def change(endpoint: Endpoint) -> Endpoint:
        changed = structs.replace(endpoint, **changes)
        if changed.signature_scheme is not endpoint.signature_scheme:
            rules.scheme_for(changed.signature_scheme, _valid_secrets(endpoint, now_ms))
        if endpoint.is_disabled and not changed.is_disabled:
            # It starts afresh: what failed before must not disable it again at the first failure.
            changed = structs.replace(changed, failing_since_ms=None)
        return changed

    return reply(200, shown(await update(call, app, change=change)))


def _valid_secrets(endpoint: Endpoint, now_ms: int) -> list[str]:
    """Those that sign."""
    return [
        secret.key
        for secret in endpoint.secrets
        if not secret.why_closed and (secret.expires_at_ms is None or secret.expires_at_ms > now_ms)
    ]


def _url(call: Call[object, object], url: str) -> str:
    return rules.endpoint_url(url, is_https_only=call.services.settings.endpoint_https_only)


def _unique(names: list[str] | None) -> tuple[str, ...] | None:
    return None if names is None else tuple(dict.fromkeys(names))


async def _event_types(
    call: Call[object, object], names: list[str] | None
) -> tuple[str, ...] | None:
    """The filter, None for all. Raises Invalid for names that the organization does not have."""
    if not names:
        return None
    unique = tuple(dict.fromkeys(names))
    unknown = await call.services.store.resources.unknown_event_types(call.principal.org_id, unique)
    if unknown:
        raise Invalid(
            f"The following event types don't exist: {', '.join(unknown)}",
            loc=("body", "eventTypes"),
        )
    return unique
