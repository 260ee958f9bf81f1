"""Webhooks for Flask, 3.1 or newer.

    @app.post("/webhooks/stripe")
    @webhook("stripe", secrets=SECRET)
    def paid(event: VerifiedEvent) -> None: …                 # or a response of its own

    keep = webhook("stripe", secrets=SECRET, inbox=inbox, connect=connect)
    app.add_url_rule("/webhooks/stripe", view_func=keep, methods=["POST"])

The function gets the event first and then what the route has. Handshakes by GET, or by HEAD
(Intercom, Trello), need `methods=["GET", "HEAD", "POST"]`.
"""

from collections.abc import Callable
from functools import wraps
from io import BytesIO
from typing import TYPE_CHECKING, Any, Unpack, overload

from flask import Response, current_app, request
from werkzeug.exceptions import ClientDisconnected, RequestEntityTooLarge

from ringback.receive.body import Unread, incomplete, read_whole, too_large
from ringback.receive.keeping import Connect
from ringback.receive.options import Options
from ringback.receive.webhook import Webhook
from ringback.receive.wsgi import call_of, inbox_of
from ringback.sign.scheme import Reply, Scheme

if TYPE_CHECKING:
    from ringback.receive.inbox import Inbox

View = Callable[..., Any]


@overload
def webhook(
    provider: str | Scheme, *, inbox: "Inbox", connect: Connect, **options: Unpack[Options]
) -> View: ...
@overload
def webhook(provider: str | Scheme, **options: Unpack[Options]) -> Callable[[View], View]: ...
def webhook(
    provider: str | Scheme,
    *,
    inbox: "Inbox | None" = None,
    connect: Connect | None = None,
    **options: Unpack[Options],
) -> Any:
    """A view that keeps events in the inbox; without one, a decorator for a function of the event.

    `connect` gives a connection to the inbox's database. Raises Misconfigured.
    """
    hook = Webhook(provider, **options)
    if (keep := inbox_of(inbox, connect, source=hook.source)) is None:
        return lambda function: wraps(function)(_view(hook, function))
    view = _view(hook, keep)
    view.__name__ = f"{hook.source or hook.scheme.name}_webhook"
    return view


def _view(hook: Webhook, function: View) -> View:
    def view(*args: Any, **kwargs: Any) -> Any:
        try:
            call = call_of(request.environ, _body(hook.body_bytes_max))
        except Unread as error:
            return _response(hook.refused(error))
        take = current_app.ensure_sync(function)
        taken = hook.take(call, lambda event: take(event, *args, **kwargs))
        return _response(taken) if isinstance(taken, Reply) else taken

    return view


def _body(bytes_max: int) -> bytes:
    request.max_content_length = bytes_max
    try:
        body = request.get_data()
    except RequestEntityTooLarge:
        raise too_large(bytes_max) from None
    except ClientDisconnected:
        raise incomplete() from None
    # Flask stops at a length itself, but gives nothing for a body that it read as a form before.
    return read_whole(
        BytesIO(body).read,
        declared=request.environ.get("CONTENT_LENGTH"),
        is_chunked="HTTP_TRANSFER_ENCODING" in request.environ,
        bytes_max=bytes_max,
    )


def _response(reply: Reply) -> Response:
    return Response(reply.body, reply.status, list(reply.headers))
