"""Applications: one for each customer of the organization."""

from collections.abc import Callable
from typing import TypeVar

from msgspec import structs

from ringback.api import rules
from ringback.api.access import check_application
from ringback.api.call import Answer, Call, Services, reply, rfc3339
from ringback.api.paging import listed, page
from ringback.api.schemas.application import (
    ApplicationCreateQuery,
    ApplicationIn,
    ApplicationListQuery,
    ApplicationOut,
    ApplicationPatch,
)
from ringback.api.schemas.words import given
from ringback.errors import Conflict, Invalid, NotFound
from ringback.model import Application

T = TypeVar("T")


async def list_all(call: Call[ApplicationListQuery, None]) -> Answer:
    asked = page(
        call.query.limit,
        call.query.iterator,
        prefix="app",
        is_descending=call.query.order == "descending",
    )
    found = await call.services.store.resources.list_apps(call.principal.org_id, asked)
    return reply(200, listed(found, shown, key=lambda app: app.id))


async def create(call: Call[ApplicationCreateQuery, ApplicationIn]) -> Answer:
    """With `get_if_exists` the one that has the uid is the answer instead of a conflict."""
    try:
        app = await create_from(call.services, call.principal.org_id, call.body)
    except Conflict:
        if not (call.query.get_if_exists and call.body.uid):
            raise
        app = await _find(call.services, call.principal.org_id, call.body.uid)
        return reply(200, shown(app))
    return reply(201, shown(app))


async def get(call: Call[None, None]) -> Answer:
    return reply(200, shown(await of_call(call)))


async def upsert(call: Call[None, ApplicationIn]) -> Answer:
    """Creates one when there is none; its uid is then the body's, not the path's."""
    body, now_ms = call.body, call.services.clock.now_ms()
    notes = rules.metadata(body.metadata)

    def change(app: Application) -> Application:
        return structs.replace(
            app,
            name=body.name,
            uid=body.uid,
            throttle_rate=body.rate(),
            metadata=notes,
            updated_at_ms=now_ms,
        )

    try:
        return await _update(call, change)
    except NotFound:
        app = await create_from(call.services, call.principal.org_id, body)
        return reply(201, shown(app))


async def patch(call: Call[None, ApplicationPatch]) -> Answer:
    body, now_ms = call.body, call.services.clock.now_ms()
    changes: dict[str, object] = {"updated_at_ms": now_ms}
    if given(body.name):
        changes["name"] = body.name
    if given(body.uid):
        changes["uid"] = body.uid
    rate = body.throttle_rate if given(body.throttle_rate) else body.rate_limit
    if given(rate):
        changes["throttle_rate"] = rate
    if isinstance(body.metadata, dict):
        changes["metadata"] = rules.metadata(body.metadata)
    return await _update(call, lambda app: structs.replace(app, **changes))


async def delete(call: Call[None, None]) -> Answer:
    services = call.services
    app = await services.store.resources.delete_app(
        call.principal.org_id, call.path["app_id"], at_ms=services.clock.now_ms()
    )
    services.engine.changed(app.id)
    return Answer(204)


# ---- for the other resources --------------------------------------------------------------------


async def of_call(call: Call[object, object]) -> Application:
    """The application of the path. Raises NotFound, also for a token of another application."""
    app = await _find(call.services, call.principal.org_id, call.path["app_id"])
    check_application(call.principal, app)
    return app


async def create_from(services: Services, org_id: str, body: ApplicationIn) -> Application:
    """A new application. Raises Conflict when the uid is taken."""
    now_ms = services.clock.now_ms()
    app = Application(
        id=services.clock.new_id("app"),
        org_id=org_id,
        name=body.name,
        uid=body.uid,
        throttle_rate=body.rate(),
        metadata=rules.metadata(body.metadata),
        version=1,
        created_at_ms=now_ms,
        updated_at_ms=now_ms,
    )
    return await services.store.resources.create_app(app)


async def get_or_create(
    services: Services, org_id: str, ref: str, *, body: ApplicationIn | None
) -> Application:
    """The one that `ref` names, or else one made from `body`, whose uid must be `ref`."""
    app = await services.store.resources.get_app(org_id, ref)
    if app is not None:
        return app
    if body is None:
        raise NotFound
    if body.uid is None:
        raise Invalid(
            "give the application a uid equal to the path's, so that it can be found again",
            loc=("body", "application", "uid"),
            code="application_uid_missing",
        )
    if body.uid != ref:
        raise Invalid(
            f"the uid must be the path's, {ref}",
            loc=("body", "application", "uid"),
            code="application_uid_mismatch",
        )
    try:
        return await create_from(services, org_id, body)
    except Conflict:  # somebody else created it just now
        return await _find(services, org_id, ref)


def shown(app: Application) -> ApplicationOut:
    return ApplicationOut(
        id=app.id,
        uid=app.uid,
        name=app.name,
        throttle_rate=app.throttle_rate,
        rate_limit=app.throttle_rate,
        metadata=dict(app.metadata),
        created_at=rfc3339(app.created_at_ms),
        updated_at=rfc3339(app.updated_at_ms),
    )


async def _update(call: Call[None, T], change: Callable[[Application], Application]) -> Answer:
    app = await call.services.store.resources.update_app(
        call.principal.org_id, call.path["app_id"], change
    )
    call.services.engine.changed(app.id)
    return reply(200, shown(app))


async def _find(services: Services, org_id: str, ref: str) -> Application:
    app = await services.store.resources.get_app(org_id, ref)
    if app is None:
        raise NotFound
    return app
