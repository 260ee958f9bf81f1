"""From a request to a handler and back, for every route of the table.

authenticate ─▶ allowed? ─▶ path, query, body ─▶ idempotency ─▶ handler ─▶ answer
"""

import re
from collections.abc import Mapping
from functools import partial
from typing import Final

import msgspec
from starlette.types import ASGIApp, Receive, Scope, Send

from ringback.api.access import Access, Principal, check_access
from ringback.api.call import Answer, Call, Services
from ringback.api.errors import ClientGone, answer_to, invalid_body, problem, unexpected
from ringback.api.exchange import Exchange, exchange_of, read_body, send_answer
from ringback.api.idempotency import Repeats, idempotency_key
from ringback.api.query import parse_query
from ringback.api.route import Route
from ringback.api.schemas.words import SENTENCES, UID
from ringback.api.unsupported import instead_of
from ringback.errors import NotFound

REFERENCE_CHARS_MAX: Final = 256
_REFERENCE: Final = re.compile(r"[a-zA-Z0-9\-_.]+")
_NO_REFERENCE: Final = "No id or name looks like that: " + SENTENCES[UID] + "."
_NOBODY: Final = Principal(org_id="")


class RouteApp:
    """An ASGI application that serves one route."""

    def __init__(self, route: Route, services: Services, repeats: Repeats) -> None:
        self._route = route
        self._services = services
        self._repeats = repeats
        self._decoder = None if route.body is None else msgspec.json.Decoder(route.body)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        exchange = exchange_of(scope)
        try:
            answer = await self._serve(scope, receive, exchange)
        except ClientGone:
            return
        except Exception as error:
            answer = answer_or_report(error, exchange, self._services)
        await send_answer(send, exchange, answer)

    async def _serve(self, scope: Scope, receive: Receive, exchange: Exchange) -> Answer:
        route, services = self._route, self._services
        principal = _NOBODY
        if route.who is not Access.NONE:
            principal = services.tokens.principal(exchange.headers.get(b"authorization"))
            exchange.principal = principal
            check_access(principal, route.who, route.needs)
        path: dict[str, str] = scope.get("path_params", {})
        for value in path.values():
            check_reference(value)
        query = None
        if route.query is not None:
            query = parse_query(scope["query_string"], route.query)
        body = await self._body(exchange, receive)
        call = Call(services=services, principal=principal, path=path, query=query, body=body)
        key = exchange.headers.get(b"idempotency-key")
        if key is None or exchange.method != "POST" or route.who is Access.NONE:
            return await route.handler(call)
        return await self._once(key, call, exchange)

    async def _once(self, key: bytes, call: Call[object, object], exchange: Exchange) -> Answer:
        target = f"{exchange.method}\n{exchange.path}".encode()
        digest = idempotency_key(
            key,
            call.principal,
            target=target,
            settings=self._services.settings,
            now_ms=self._services.clock.now_ms(),
        )
        return await self._repeats.once(
            digest,
            partial(self._route.handler, call),
            repeat=None if self._route.repeat is None else partial(self._route.repeat, call),
        )

    async def _body(self, exchange: Exchange, receive: Receive) -> object:
        """The decoded body; an empty one stands for `{}`."""
        if self._decoder is None:
            return None
        raw = await read_body(exchange, receive, bytes_max=self._services.settings.body_bytes_max)
        try:
            return self._decoder.decode(raw or b"{}")
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            raise invalid_body(error) from None


def check_reference(text: str) -> None:
    """Nothing is called by a name that no name may have, so the store is not asked for it."""
    if len(text) > REFERENCE_CHARS_MAX or not _REFERENCE.fullmatch(text):
        raise NotFound(_NO_REFERENCE)


class Resource:
    """One path: its methods, and 405 for the others. HEAD is served wherever GET is.

    `POST …/msg/bulk-expunge` looks like the path of a message; 501 says more than 405 there.
    """

    def __init__(self, methods: Mapping[str, ASGIApp]) -> None:
        self._methods = dict(methods)
        if "GET" in self._methods:
            self._methods["HEAD"] = self._methods["GET"]
        self._allow = ", ".join(sorted(self._methods))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        app = self._methods.get(scope["method"])
        if app is not None:
            await app(scope, receive, send)
            return
        exchange = exchange_of(scope)
        await send_answer(send, exchange, not_served(exchange.path) or self._wrong_method())

    def _wrong_method(self) -> Answer:
        return problem(
            405,
            "method_not_allowed",
            detail=f"This path takes {self._allow}.",
            headers=((b"allow", self._allow.encode()),),
        )


def not_served(path: str) -> Answer | None:
    """501 for what Svix has and we have not; None for everything else."""
    instead = instead_of(path)
    if instead is None:
        return None
    return problem(501, "not_implemented", detail=f"This is not served here. {instead}")


def answer_or_report(error: Exception, exchange: Exchange, services: Services) -> Answer:
    """The answer to an error; one that nobody planned for is logged with its traceback."""
    answer = answer_to(error)
    if answer is not None:
        return answer
    request_id = exchange.request_id.decode()
    services.log.exception(
        "request_failed", request_id=request_id, method=exchange.method, path=exchange.path
    )
    return unexpected(request_id)
