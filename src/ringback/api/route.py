"""What a route is: one row of the table in `routes.py`."""

from collections.abc import Callable

from msgspec import Struct
from starlette.types import ASGIApp

from ringback.api.access import Access, Capability
from ringback.api.call import Handler, Services

USUAL_ERRORS = (400, 401, 403, 404, 409, 413, 422, 429, 503)


class Route(Struct, frozen=True, kw_only=True):
    """An operation: how it is reached, who may, what goes in, what comes out.

    `summary` is a few words, `description` more if it needs more. `needs` is what an application
    token must be capable of. `repeat` makes the answer to a repeated idempotency key, for answers
    that hold secrets. `bare` serves the route instead of `handler`, for the path where every
    microsecond counts.
    """

    method: str
    path: str
    operation: str
    summary: str
    handler: Handler
    tag: str
    who: Access = Access.APP
    needs: Capability = Capability.VIEW_BASE
    query: type[Struct] | None = None
    body: type[Struct] | None = None
    out: type[Struct] | None = None
    statuses: tuple[int, ...] = (200,)
    errors: tuple[int, ...] = USUAL_ERRORS
    description: str = ""
    repeat: Handler | None = None
    bare: Callable[[Services], ASGIApp] | None = None
