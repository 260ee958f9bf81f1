"""Who is calling, and what they may do.

organization token    everything of its organization
application token     the routes marked APP, for its own application only, and of those the
                      ones whose capability it has
"""

from enum import StrEnum

from msgspec import Struct

from ringback.errors import Forbidden, NotFound
from ringback.model import Application


class Access(StrEnum):
    """Who a route is for."""

    ORG = "organization"
    APP = "application"
    NONE = "none"


class Capability(StrEnum):
    """What an application token may do. The names are those of the Svix API."""

    VIEW_BASE = "ViewBase"
    VIEW_ENDPOINT_SECRET = "ViewEndpointSecret"  # noqa: S105
    MANAGE_ENDPOINT_SECRET = "ManageEndpointSecret"  # noqa: S105
    MANAGE_TRANSFORMATIONS = "ManageTransformations"
    CREATE_ATTEMPTS = "CreateAttempts"
    MANAGE_ENDPOINT = "ManageEndpoint"


# A capability is had by whoever has one of these.
_INCLUDED_IN = {
    Capability.VIEW_ENDPOINT_SECRET: frozenset(
        {
            Capability.VIEW_ENDPOINT_SECRET,
            Capability.MANAGE_ENDPOINT_SECRET,
            Capability.MANAGE_ENDPOINT,
        }
    ),
    Capability.MANAGE_ENDPOINT_SECRET: frozenset(
        {Capability.MANAGE_ENDPOINT_SECRET, Capability.MANAGE_ENDPOINT}
    ),
}


class Principal(Struct, frozen=True):
    """The bearer of a verified token. `app_id` is None for an organization token.

    `capabilities` None means all of them.
    """

    org_id: str
    app_id: str | None = None
    feature_flags: tuple[str, ...] = ()
    capabilities: frozenset[Capability] | None = None

    @property
    def subject(self) -> str:
        return self.app_id or self.org_id


def check_access(principal: Principal, access: Access, needs: Capability) -> None:
    """Raises Forbidden when the token is not good for the route."""
    if principal.app_id is None:
        return
    if access is not Access.APP:
        raise Forbidden("this needs an organization token; yours is for one application")
    held = principal.capabilities
    enough = _INCLUDED_IN.get(needs, frozenset({needs}))
    if held is not None and not held & enough:
        raise Forbidden(f"this token lacks the capability {needs}; ask for one that has it")


def check_application(principal: Principal, app: Application) -> None:
    """Raises NotFound when the token is for another application."""
    if principal.app_id is not None and principal.app_id != app.id:
        raise NotFound
