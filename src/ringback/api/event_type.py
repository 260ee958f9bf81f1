"""Event types: the names that endpoints subscribe to, with their schemas."""

from msgspec import structs

from ringback.api import rules
from ringback.api.access import Principal
from ringback.api.call import Answer, Call, reply, rfc3339
from ringback.api.paging import listed, page
from ringback.api.schemas.event_type import (
    EventTypeDeleteQuery,
    EventTypeIn,
    EventTypeListQuery,
    EventTypeOut,
    EventTypePatch,
    EventTypeUpdate,
)
from ringback.api.schemas.words import given
from ringback.errors import NotFound
from ringback.model import EventType


async def list_all(call: Call[EventTypeListQuery, None]) -> Answer:
    query, principal = call.query, call.principal
    asked = page(query.limit, query.iterator, prefix=None, is_descending=False)
    found = await call.services.store.resources.list_event_types(
        principal.org_id,
        asked,
        include_archived=query.include_archived,
        flags=None if principal.app_id is None else principal.feature_flags,
    )
    return reply(
        200,
        listed(
            found,
            lambda event_type: shown(event_type, with_content=query.with_content),
            key=lambda event_type: event_type.name,
        ),
    )


async def create(call: Call[None, EventTypeIn]) -> Answer:
    created = await _create(call, call.body.name, body=call.body)
    return reply(201, shown(created))


async def get(call: Call[None, None]) -> Answer:
    found = await call.services.store.resources.get_event_type(
        call.principal.org_id, call.path["event_type_name"]
    )
    if found is None or not _may_see(call.principal, found):
        raise NotFound
    return reply(200, shown(found))


async def upsert(call: Call[None, EventTypeUpdate]) -> Answer:
    """Creates it under the path's name when there is none."""
    body = call.body
    changes: dict[str, object] = {
        "description": body.description,
        "is_archived": body.archived,
        "is_deprecated": body.deprecated,
        "schemas": _schemas(call, body.schemas),
        "feature_flag": _flag(body),
        "group_name": body.group_name,
    }
    try:
        updated = await _update(call, changes)
    except NotFound:
        created = await _create(call, _name(call), body=body)
        return reply(201, shown(created))
    return reply(200, shown(updated))


async def patch(call: Call[None, EventTypePatch]) -> Answer:
    body = call.body
    sent: dict[str, object] = {
        "description": body.description,
        "is_archived": body.archived,
        "is_deprecated": body.deprecated,
        "group_name": body.group_name,
    }
    changes = {field: value for field, value in sent.items() if given(value)}
    if body.schemas is None or isinstance(body.schemas, dict):
        changes["schemas"] = _schemas(call, body.schemas)
    if given(body.feature_flag):
        changes["feature_flag"] = body.feature_flag
    elif body.feature_flags is None or isinstance(body.feature_flags, list):
        changes["feature_flag"] = next(iter(body.feature_flags or ()), None)
    return reply(200, shown(await _update(call, changes)))


async def delete(call: Call[EventTypeDeleteQuery, None]) -> Answer:
    await call.services.store.resources.delete_event_type(
        call.principal.org_id,
        _name(call),
        expunge=call.query.expunge,
        at_ms=call.services.clock.now_ms(),
    )
    return Answer(204)


def shown(event_type: EventType, *, with_content: bool = True) -> EventTypeOut:
    flag = event_type.feature_flag
    schemas = None if event_type.schemas is None else dict(event_type.schemas)
    return EventTypeOut(
        name=event_type.name,
        description=event_type.description,
        archived=event_type.is_archived,
        deprecated=event_type.is_deprecated,
        schemas=schemas if with_content else None,
        feature_flag=flag,
        feature_flags=[] if flag is None else [flag],
        group_name=event_type.group_name,
        created_at=rfc3339(event_type.created_at_ms),
        updated_at=rfc3339(event_type.updated_at_ms),
    )


# ---- details ------------------------------------------------------------------------------------


def _may_see(principal: Principal, event_type: EventType) -> bool:
    """An application sees the types without a feature flag, and those whose flag it has."""
    flag = event_type.feature_flag
    return principal.app_id is None or flag is None or flag in principal.feature_flags


def _name(call: Call[object, object]) -> str:
    return call.path["event_type_name"]


def _flag(body: EventTypeIn | EventTypeUpdate) -> str | None:
    return body.feature_flag or next(iter(body.feature_flags or ()), None)


def _schemas(
    call: Call[object, object], schemas: dict[str, object] | None
) -> dict[str, object] | None:
    return rules.json_schemas(schemas, bytes_max=call.services.settings.schema_bytes_max)


async def _create(
    call: Call[object, object], name: str, *, body: EventTypeIn | EventTypeUpdate
) -> EventType:
    now_ms = call.services.clock.now_ms()
    event_type = EventType(
        org_id=call.principal.org_id,
        name=name,
        description=body.description,
        is_archived=body.archived,
        is_deprecated=body.deprecated,
        schemas=_schemas(call, body.schemas),
        feature_flag=_flag(body),
        group_name=body.group_name,
        created_at_ms=now_ms,
        updated_at_ms=now_ms,
    )
    return await call.services.store.resources.create_event_type(event_type)


async def _update(call: Call[object, object], changes: dict[str, object]) -> EventType:
    changes["updated_at_ms"] = call.services.clock.now_ms()
    return await call.services.store.resources.update_event_type(
        call.principal.org_id, _name(call), lambda was: structs.replace(was, **changes)
    )
