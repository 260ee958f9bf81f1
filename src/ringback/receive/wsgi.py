"""Webhooks for any WSGI server: `webhook` makes a WSGI app for one URL.

    @webhook("stripe", secrets=SECRET)
    def stripe(event: VerifiedEvent) -> None: …               # `stripe` is a WSGI app

    stripe = webhook("stripe", secrets=SECRET, inbox=inbox, connect=connect)

WSGI servers join headers that were sent twice with a comma, so that is how they are judged. How
long a slow body is waited for is the server's to say.
"""

from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Unpack, overload

from ringback.errors import Misconfigured
from ringback.receive.body import Unread, read_whole
from ringback.receive.keeping import Connect, into_by
from ringback.receive.options import Options
from ringback.receive.webhook import Call, Take, Webhook
from ringback.sign.scheme import Reply, Scheme

if TYPE_CHECKING:
    from ringback.receive.inbox import Inbox

Environ = dict[str, Any]


class App:
    """A WSGI app that takes one provider's webhooks, whatever the path."""

    def __init__(self, hook: Webhook, take: Take) -> None:
        self._hook = hook
        self._take = take

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        reply = self._answer(environ)
        status = f"{reply.status} {HTTPStatus(reply.status).phrase}"
        start_response(status, [*reply.headers, ("Content-Length", str(len(reply.body)))])
        return [reply.body]

    def _answer(self, environ: Environ) -> Reply:
        try:
            body = _body(environ, self._hook.body_bytes_max)
        except Unread as error:
            return self._hook.refused(error)
        taken = self._hook.take(call_of(environ, body), self._take)
        return taken if isinstance(taken, Reply) else self._hook.accepted


@overload
def webhook(
    provider: str | Scheme, *, inbox: "Inbox", connect: Connect, **options: Unpack[Options]
) -> App: ...
@overload
def webhook(provider: str | Scheme, **options: Unpack[Options]) -> Callable[[Take], App]: ...
def webhook(
    provider: str | Scheme,
    *,
    inbox: "Inbox | None" = None,
    connect: Connect | None = None,
    **options: Unpack[Options],
) -> App | Callable[[Take], App]:
    """An app that keeps events in the inbox; without one, a decorator for a function of the event.

    `connect` gives a connection to the inbox's database. Raises Misconfigured.
    """
    hook = Webhook(provider, **options)
    take = inbox_of(inbox, connect, source=hook.source)
    return (lambda take: App(hook, take)) if take is None else App(hook, take)


def inbox_of(inbox: "Inbox | None", connect: Connect | None, *, source: str | None) -> Take | None:
    """Raises Misconfigured for one without the other."""
    if inbox is not None and connect is not None:
        return into_by(inbox, connect, source=source)
    if inbox is not None or connect is not None:
        raise Misconfigured(
            "give `inbox` and `connect`: there is no event loop here, so the inbox is written on a"
            " connection of this app's"
        )
    return None


def call_of(environ: Environ, body: bytes) -> Call:
    """Without what else is in an environ, because it may hold the whole environment."""
    headers = [
        (name.removeprefix("HTTP_").replace("_", "-"), value)
        for name, value in environ.items()
        if name.startswith("HTTP_") or name in ("CONTENT_TYPE", "CONTENT_LENGTH")
    ]
    return Call(environ["REQUEST_METHOD"], environ.get("QUERY_STRING", ""), headers, body)


def _body(environ: Environ, bytes_max: int) -> bytes:
    """A stream without a length has an end only if the server says that it has."""
    declared = environ.get("CONTENT_LENGTH")
    stream = environ["wsgi.input"]
    has_end = bool(declared) or environ.get("wsgi.input_terminated")
    return read_whole(
        stream.read if has_end else lambda _: b"",
        declared=declared,
        is_chunked="HTTP_TRANSFER_ENCODING" in environ,
        bytes_max=bytes_max,
    )
