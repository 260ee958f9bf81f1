"""Tokens for applications."""

from typing import Final

from ringback.api import application
from ringback.api.access import Capability
from ringback.api.auth import mint_app_token
from ringback.api.call import Answer, Call, reply
from ringback.api.schemas.authentication import (
    EXPIRY_S,
    AppPortalAccessIn,
    AppPortalAccessOut,
)
from ringback.errors import NotImplementedHere

NO_LOGOUT: Final = (
    "Tokens cannot be taken back; they expire. Ask for a short `expiry`, or change the JWT secret"
    " to end all of them."
)


async def app_portal_access(call: Call[None, AppPortalAccessIn]) -> Answer:
    services, body = call.services, call.body
    app = await application.get_or_create(
        services, call.principal.org_id, call.path["app_id"], body=body.application
    )
    token = mint_app_token(
        services.settings,
        app.org_id,
        app_id=app.id,
        now_ms=services.clock.now_ms(),
        expiry_s=EXPIRY_S if body.expiry is None else body.expiry,
        feature_flags=tuple(body.feature_flags or ()),
        capabilities=_capabilities(body),
        session=body.session_id,
    )
    return reply(200, AppPortalAccessOut(url=f"{services.portal_url}#key={token}", token=token))


def _capabilities(body: AppPortalAccessIn) -> tuple[Capability, ...] | None:
    """None for all. The base one always comes along; `readOnly` is that one alone."""
    if body.read_only:
        return (Capability.VIEW_BASE,)
    if body.capabilities is None:
        return None
    return tuple(dict.fromkeys((Capability.VIEW_BASE, *body.capabilities)))


async def logout(call: Call[None, None]) -> Answer:
    raise NotImplementedHere(NO_LOGOUT)
