"""Webhooks for FastAPI and Starlette.

    Stripe = Annotated[VerifiedEvent, Depends(webhook("stripe", secrets=SECRET))]

    @app.post("/webhooks/stripe")
    async def paid(event: Stripe) -> None: …                  # a dependency

    keep = webhook("stripe", secrets=SECRET, inbox=inbox)     # an endpoint
    app.add_api_route("/webhooks/stripe", keep, methods=["POST"])

Handshakes by GET, or by HEAD (Intercom, Trello), need `methods=["GET", "HEAD", "POST"]`. Refusals
and handshakes are answered before the endpoint of a dependency is called, by an exception for which
the dependency brings the handler.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING, Unpack, overload

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from ringback.receive.body import Unread, gathered, incomplete
from ringback.receive.keeping import into
from ringback.receive.options import Options
from ringback.receive.webhook import Call, Webhook
from ringback.sign.event import VerifiedEvent
from ringback.sign.scheme import Reply, Scheme

if TYPE_CHECKING:
    from ringback.receive.inbox import Inbox


Endpoint = Callable[[Request], Awaitable[Response]]


class Answered(HTTPException):
    """The request has its answer, so the endpoint is not called."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.status, headers=dict(reply.headers))
        self.reply = reply


class Dependency:
    """Gives the verified event to an endpoint."""

    def __init__(self, hook: Webhook) -> None:
        self._hook = hook

    async def __call__(self, request: Request) -> VerifiedEvent:
        call = await _call(self._hook, request)
        proven = call if isinstance(call, Reply) else await self._hook.prove_async(call)
        if isinstance(proven, Reply):
            # The app's own handlers, for whom `Answered` is an HTTPException, cannot say it whole.
            request.scope["starlette.exception_handlers"][0].setdefault(Answered, _answer)
            raise Answered(proven)
        return proven


@overload
def webhook(provider: str | Scheme, *, inbox: "Inbox", **options: Unpack[Options]) -> Endpoint: ...
@overload
def webhook(provider: str | Scheme, **options: Unpack[Options]) -> Dependency: ...
def webhook(
    provider: str | Scheme, *, inbox: "Inbox | None" = None, **options: Unpack[Options]
) -> Dependency | Endpoint:
    """A dependency; with an inbox, an endpoint that keeps events there.

    Raises Misconfigured.
    """
    hook = Webhook(provider, **options)
    if inbox is None:
        return Dependency(hook)
    keep = into(inbox, source=hook.source)

    async def endpoint(request: Request) -> Response:
        call = await _call(hook, request)
        taken = call if isinstance(call, Reply) else await hook.take_async(call, keep)
        return _response(taken if isinstance(taken, Reply) else hook.accepted)

    return endpoint


async def _call(hook: Webhook, request: Request) -> Call | Reply:
    try:
        body = await gathered(
            _pieces(request),
            declared=request.headers.get("content-length"),
            bytes_max=hook.body_bytes_max,
            seconds=hook.body_s_max,
        )
    except Unread as error:
        return hook.refused(error)
    query = request.scope["query_string"].decode("latin-1")
    return Call(request.method, query, request.headers.raw, body)


async def _pieces(request: Request) -> AsyncIterator[bytes]:
    try:
        async for piece in request.stream():
            yield piece
    except ClientDisconnect:
        raise incomplete() from None


async def _answer(_: Request, answered: Answered) -> Response:
    return _response(answered.reply)


def _response(reply: Reply) -> Response:
    return Response(reply.body, reply.status, dict(reply.headers))
