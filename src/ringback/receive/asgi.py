"""Webhooks for any ASGI server or framework: `webhook` makes an ASGI app for one URL.

    @webhook("stripe", secrets=SECRET)
    async def stripe(event: VerifiedEvent) -> None: …         # `stripe` is an ASGI app

    stripe = webhook("stripe", secrets=SECRET, inbox=inbox)   # and so it is here

Give it a route. Where it is mounted instead, Starlette answers at `/path/` alone, and sends whoever
asks for `/path` there by a redirect, which providers do not follow.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from typing import TYPE_CHECKING, Any, Unpack, overload

from ringback.receive.body import Unread, gathered
from ringback.receive.keeping import into
from ringback.receive.options import Options
from ringback.receive.webhook import Call, Take, Webhook
from ringback.sign.scheme import Reply, Scheme

if TYPE_CHECKING:
    from ringback.receive.inbox import Inbox

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class Disconnected(Exception):
    """Nobody waits for an answer."""


class App:
    """An ASGI app that takes one provider's webhooks, whatever the path."""

    def __init__(self, hook: Webhook, take: Take) -> None:
        self._hook = hook
        self._take = take

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise RuntimeError("this app takes webhooks: route nothing but HTTP to it")
        try:
            reply = await self._answer(scope, receive)
        except Disconnected:
            return
        headers = [(name.lower().encode(), value.encode()) for name, value in reply.headers]
        headers.append((b"content-length", b"%d" % len(reply.body)))
        await send({"type": "http.response.start", "status": reply.status, "headers": headers})
        await send({"type": "http.response.body", "body": reply.body})

    async def _answer(self, scope: Message, receive: Receive) -> Reply:
        try:
            body = await gathered(
                _pieces(receive),
                declared=_length(scope),
                bytes_max=self._hook.body_bytes_max,
                seconds=self._hook.body_s_max,
            )
        except Unread as error:
            return self._hook.refused(error)
        query = scope["query_string"].decode("latin-1")
        call = Call(scope["method"], query, scope["headers"], body)
        taken = await self._hook.take_async(call, self._take)
        return taken if isinstance(taken, Reply) else self._hook.accepted


@overload
def webhook(provider: str | Scheme, *, inbox: "Inbox", **options: Unpack[Options]) -> App: ...
@overload
def webhook(provider: str | Scheme, **options: Unpack[Options]) -> Callable[[Take], App]: ...
def webhook(
    provider: str | Scheme, *, inbox: "Inbox | None" = None, **options: Unpack[Options]
) -> App | Callable[[Take], App]:
    """An app that keeps events in the inbox; without one, a decorator for a function of the event.

    Raises Misconfigured.
    """
    hook = Webhook(provider, **options)
    if inbox is not None:
        return App(hook, into(inbox, source=hook.source))
    return lambda take: App(hook, take)


async def _pieces(receive: Receive) -> AsyncIterator[bytes]:
    is_last = False
    while not is_last:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Disconnected
        yield message.get("body", b"")
        is_last = not message.get("more_body", False)


def _length(scope: Message) -> str | None:
    found = (value for name, value in scope["headers"] if name.lower() == b"content-length")
    return next((value.decode("latin-1") for value in found), None)
