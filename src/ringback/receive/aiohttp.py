"""Webhooks for aiohttp's server.

    @routes.post("/webhooks/stripe")
    @webhook("stripe", secrets=SECRET)
    async def paid(request: web.Request, event: VerifiedEvent) -> None: …     # or a response

    app.router.add_post("/webhooks/stripe", webhook("stripe", secrets=SECRET, inbox=inbox))

Handshakes by GET, or by HEAD (Intercom, Trello), need `add_route("*", …)`.

aiohttp unpacks compressed bodies, which then are not what was signed; if a provider of yours
compresses, run the server with `AppRunner(app, auto_decompress=False)`.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from functools import wraps
from typing import TYPE_CHECKING, Any, Unpack, overload

from aiohttp import ClientError, web

from ringback.receive.body import Unread, gathered, incomplete
from ringback.receive.keeping import into
from ringback.receive.options import Options
from ringback.receive.webhook import Call, Webhook
from ringback.sign.event import VerifiedEvent
from ringback.sign.scheme import Reply, Scheme

if TYPE_CHECKING:
    from ringback.receive.inbox import Inbox

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Function = Callable[[web.Request, VerifiedEvent], Awaitable[web.StreamResponse | None]]


@overload
def webhook(provider: str | Scheme, *, inbox: "Inbox", **options: Unpack[Options]) -> Handler: ...
@overload
def webhook(
    provider: str | Scheme, **options: Unpack[Options]
) -> Callable[[Function], Handler]: ...
def webhook(
    provider: str | Scheme, *, inbox: "Inbox | None" = None, **options: Unpack[Options]
) -> Any:
    """A handler that keeps events in the inbox; without one, a decorator of a function.

    Raises Misconfigured.
    """
    hook = Webhook(provider, **options)
    if inbox is None:
        return lambda function: wraps(function)(_handler(hook, function))
    keep = into(inbox, source=hook.source)
    return _handler(hook, lambda _, event: keep(event))


def _handler(hook: Webhook, function: Callable[[web.Request, VerifiedEvent], Any]) -> Handler:
    async def handler(request: web.Request) -> web.StreamResponse:
        try:
            body = await gathered(
                _pieces(request),
                declared=_length(request),
                bytes_max=hook.body_bytes_max,
                seconds=hook.body_s_max,
            )
        except Unread as error:
            return _response(hook.refused(error))
        query = request.raw_path.partition("?")[2]
        call = Call(request.method, query, request.raw_headers, body)
        taken = await hook.take_async(call, lambda event: function(request, event))
        return _response(taken) if isinstance(taken, Reply) else taken  # type: ignore[return-value]

    return handler


def _length(request: web.Request) -> str | None:
    """None for a compressed body, which may come unpacked, of another length."""
    is_packed = "Content-Encoding" in request.headers
    return None if is_packed else request.headers.get("Content-Length")


async def _pieces(request: web.Request) -> AsyncIterator[bytes]:
    try:
        async for piece in request.content.iter_any():
            yield piece
    except (ClientError, OSError):
        raise incomplete() from None
    except web.RequestPayloadError:
        raise Unread(
            400,
            "unreadable",
            "the body ended early, or aiohttp could not unpack it, which would not be what was"
            " signed: run it with auto_decompress=False",
        ) from None


def _response(reply: Reply) -> web.Response:
    return web.Response(body=reply.body, status=reply.status, headers=dict(reply.headers))
