"""Webhooks for Django, under WSGI and ASGI; exempt from CSRF tokens, which providers cannot have.

    @webhook("stripe", secrets=SECRET)
    def paid(request: HttpRequest, event: VerifiedEvent) -> None: …    # may be async, or respond

    path("webhooks/stripe", webhook("stripe", secrets=SECRET, inbox=inbox))

The function gets the request, the event and then what the URL has. With an inbox, events are kept
on Django's own connection, `using` says which; with ATOMIC_REQUESTS, when the request's transaction
is committed, and so before the answer.
"""

from collections.abc import Callable
from contextlib import nullcontext
from functools import wraps
from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, Any, Unpack, overload

from django.db import connections
from django.http import HttpRequest, HttpResponse

from ringback.receive.body import Unread, read_whole
from ringback.receive.keeping import into_by
from ringback.receive.options import Options
from ringback.receive.webhook import Call, Webhook
from ringback.receive.wsgi import call_of
from ringback.sign.event import VerifiedEvent
from ringback.sign.scheme import Reply, Scheme

if TYPE_CHECKING:
    from ringback.receive.inbox import Inbox

View = Callable[..., Any]


@overload
def webhook(
    provider: str | Scheme, *, inbox: "Inbox", using: str = "default", **options: Unpack[Options]
) -> View: ...
@overload
def webhook(provider: str | Scheme, **options: Unpack[Options]) -> Callable[[View], View]: ...
def webhook(
    provider: str | Scheme,
    *,
    inbox: "Inbox | None" = None,
    using: str = "default",
    **options: Unpack[Options],
) -> Any:
    """A view that keeps events in the inbox; without one, a decorator for a function of the event.

    Raises Misconfigured.
    """
    hook = Webhook(provider, **options)
    if inbox is None:
        return lambda function: _exempt(wraps(function)(_view(hook, function)))
    keep = into_by(inbox, lambda: nullcontext(connections[using]), source=hook.source)
    return _exempt(_view(hook, lambda _, event, **__: keep(event)))


def _view(hook: Webhook, function: View) -> View:
    def view(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        def take(event: VerifiedEvent) -> Any:
            return function(request, event, *args, **kwargs)

        call = _call(hook, request)
        return _response(call if isinstance(call, Reply) else hook.take(call, take))

    async def view_async(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        async def take(event: VerifiedEvent) -> Any:
            return await function(request, event, *args, **kwargs)

        call = _call(hook, request)
        return _response(call if isinstance(call, Reply) else await hook.take_async(call, take))

    return view_async if iscoroutinefunction(function) else view


def _exempt(view: Any) -> View:
    """What `csrf_exempt` does, without another layer around the view."""
    view.csrf_exempt = True
    exempt: View = view
    return exempt


def _call(hook: Webhook, request: HttpRequest) -> Call | Reply:
    meta = request.META
    try:
        body = read_whole(
            request.read,
            declared=meta.get("CONTENT_LENGTH"),
            is_chunked="HTTP_TRANSFER_ENCODING" in meta,
            bytes_max=hook.body_bytes_max,
        )
    except Unread as error:
        return hook.refused(error)
    scope = getattr(request, "scope", None)
    if scope is None:
        return call_of(meta, body)
    query = scope["query_string"].decode("latin-1")
    return Call(scope["method"], query, scope["headers"], body)


def _response(taken: Any) -> Any:
    if not isinstance(taken, Reply):
        return taken
    response = HttpResponse(taken.body, status=taken.status)
    del response["Content-Type"]
    for name, value in taken.headers:
        response[name] = value
    return response
