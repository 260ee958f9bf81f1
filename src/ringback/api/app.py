"""The API as one ASGI application: the table of routes with what holds for all of them.

    draining? ─▶ request id ─▶ CORS ─▶ hot path | router ─▶ route ─▶ answer ─▶ access log

A trailing slash is trimmed, never redirected. Everything that is answered, errors and unknown paths
too, is JSON (or the documentation page) and carries `x-request-id`.
"""

import re
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Final

import structlog
from starlette.routing import Route as StarletteRoute
from starlette.routing import Router
from starlette.types import ASGIApp, Receive, Scope, Send

from ringback.api.auth import Tokens
from ringback.api.call import Answer, EnginePort, Services
from ringback.api.dispatch import Resource, RouteApp, answer_or_report, not_served
from ringback.api.docs import docs_page
from ringback.api.errors import answer_to, problem
from ringback.api.exchange import KEY, Exchange, exchange_of, send_answer
from ringback.api.idempotency import Repeats
from ringback.api.message_create import MessageCreate
from ringback.api.openapi import openapi_json
from ringback.api.route import Route
from ringback.api.routes import ROUTES
from ringback.clock import Clock
from ringback.config import Settings
from ringback.errors import Unavailable
from ringback.store.port import Store
from ringback.telemetry.logging import Log

CORS_MAX_AGE_S: Final = 600
ASKED_HEADERS_MAX: Final = 1_024
OPENAPI_PATH: Final = "/api/v1/openapi.json"
DOCS_PATH: Final = "/docs"

Refuse = Callable[[Exchange], Answer | None]

_REQUEST_ID: Final = re.compile(rb"[A-Za-z0-9._\-]{1,128}")
_HOT_START: Final = "/api/v1/app/"
_HOT_END: Final = "/msg"
_PROBES: Final = "/api/v1/health"
_METHODS: Final = b"GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"
_CLOSE: Final = (b"connection", b"close")


def create_app(
    store: Store,
    engine: EnginePort,
    settings: Settings,
    clock: Clock,
    *,
    log: Log | None = None,
    portal_url: str | None = None,
) -> "Api":
    """The API over a store and an engine that are open and started.

    `portal_url` is the page that application tokens are made for; the documentation unless given.
    Raises ConfigError when the key of the tokens is missing or unfit.
    """
    services = Services(
        store=store,
        engine=engine,
        settings=settings,
        clock=clock,
        tokens=Tokens(settings, clock),
        log=structlog.get_logger() if log is None else log,
        portal_url=portal_url or f"http://{settings.listen}{DOCS_PATH}",
    )
    return Api(services, ROUTES)


class Api:
    """An ASGI application. After `drain()` it turns every request away."""

    def __init__(self, services: Services, routes: Iterable[Route]) -> None:
        self._services = services
        self._hot = MessageCreate(services)
        self._router = _router(services, routes)
        # What is answered instead of serving; asked for each request only if there is something.
        is_worker = services.settings.role == "worker"
        self._refuse: Refuse | None = _unless_health if is_worker else None
        # Asked once: even a line that is filtered out costs microseconds to put together.
        self._logs_all = services.settings.log_level == "debug"
        # Unguessable is not asked of a request id, only that no two are equal.
        self._id_prefix = services.clock.new_id("req")[:-8].encode()
        self._count = 0

    def drain(self) -> None:
        """From now on answer 503 and close connections, so that callers go elsewhere."""
        self._refuse = _turned_away

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await _not_http(scope, receive, send)
            return
        exchange = self._exchange(scope)
        scope[KEY] = exchange
        started = time.perf_counter()
        is_hot = exchange.method == "POST" and _is_hot(exchange.path)
        if self._refuse is not None and (refusal := self._refuse(exchange)):
            await send_answer(send, exchange, refusal)
        elif is_hot:
            await self._hot(scope, receive, send)
        elif exchange.method == "OPTIONS":
            await send_answer(send, exchange, _preflight(exchange))
        else:
            await self._route(scope, receive, send)
        is_quiet = exchange.status == 202 if is_hot else exchange.path.startswith(_PROBES)
        if self._logs_all or not is_quiet:
            self._log(exchange, started, is_quiet=is_quiet)

    def _exchange(self, scope: Scope) -> Exchange:
        headers = dict(scope["headers"])
        given = headers.get(b"x-request-id")
        if given is None or not _REQUEST_ID.fullmatch(given):
            self._count += 1
            given = b"%b%08x" % (self._id_prefix, self._count)
        path: str = scope["path"]
        root: str = scope.get("root_path", "")
        if root and path.startswith(root):
            path = path[len(root) :]
        if len(path) > 1 and path.endswith("/"):
            path = path[:-1]
            scope["path"] = root + path
        return Exchange(given, scope["method"], path, headers)

    async def _route(self, scope: Scope, receive: Receive, send: Send) -> None:
        exchange = exchange_of(scope)
        try:
            await self._router(scope, receive, send)
        except Exception as error:
            if exchange.status:
                raise  # the answer has begun; the server closes the connection
            await send_answer(send, exchange, answer_or_report(error, exchange, self._services))

    def _log(self, exchange: Exchange, started: float, *, is_quiet: bool) -> None:
        """One line, without query, body or token. Accepted messages, which may be thousands a
        second, and probes are for debugging only."""
        log = self._services.log
        line = log.debug if is_quiet else log.info
        principal = exchange.principal
        line(
            "request",
            method=exchange.method,
            path=exchange.path,
            status=exchange.status,
            ms=round((time.perf_counter() - started) * 1000, 2),
            org=None if principal is None else principal.org_id,
            request_id=exchange.request_id.decode(),
        )


def _is_hot(path: str) -> bool:
    """Whether it is `/api/v1/app/{app_id}/msg`."""
    if not (path.endswith(_HOT_END) and path.startswith(_HOT_START)):
        return False
    app_ref = path[len(_HOT_START) : -len(_HOT_END)]
    return app_ref != "" and "/" not in app_ref


# ---- routing ------------------------------------------------------------------------------------


def _router(services: Services, routes: Iterable[Route]) -> Router:
    repeats = Repeats(services)
    by_path: dict[str, dict[str, ASGIApp]] = defaultdict(dict)
    for route in routes:
        app = RouteApp(route, services, repeats) if route.bare is None else route.bare(services)
        by_path[route.path][route.method] = app
    document = openapi_json()
    pages = {
        OPENAPI_PATH: Answer(200, document),
        DOCS_PATH: docs_page(document),
        "/": Answer(307, headers=((b"location", DOCS_PATH.encode()),)),
    }
    for path, answer in pages.items():
        by_path[path]["GET"] = _Page(answer)
    return Router(
        [StarletteRoute(path, Resource(methods)) for path, methods in by_path.items()],
        redirect_slashes=False,
        default=_unknown,
    )


class _Page:
    """An answer that is always the same."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send_answer(send, exchange_of(scope), self._answer)


async def _unknown(scope: Scope, receive: Receive, send: Send) -> None:
    exchange = exchange_of(scope)
    nothing = problem(404, "not_found", detail=f"There is no such path; {DOCS_PATH} lists all.")
    await send_answer(send, exchange, not_served(exchange.path) or nothing)


# ---- what holds for all -------------------------------------------------------------------------


def _turned_away(_exchange: Exchange) -> Answer:
    return _unavailable("The server is stopping; try again.")


def _unless_health(exchange: Exchange) -> Answer | None:
    if exchange.path.startswith(_PROBES):
        return None
    return _unavailable("This node only delivers (role: worker); ask one of the role api or all.")


def _unavailable(why: str) -> Answer:
    answer = answer_to(Unavailable(why))
    assert answer is not None  # noqa: S101  `Unavailable` is planned for
    return Answer(answer.status, answer.body, (*answer.headers, _CLOSE))


def _preflight(exchange: Exchange) -> Answer:
    """Any origin may call: who may do what is said by the token, and cookies are not used."""
    asked = exchange.headers.get(b"access-control-request-headers", b"*")[:ASKED_HEADERS_MAX]
    return Answer(
        204,
        headers=(
            (b"access-control-allow-methods", _METHODS),
            (b"access-control-allow-headers", asked),
            (b"access-control-max-age", str(CORS_MAX_AGE_S).encode()),
            (b"allow", _METHODS),
        ),
    )


async def _not_http(scope: Scope, receive: Receive, send: Send) -> None:
    """Web sockets are refused; the server's own start and stop are acknowledged."""
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1000})
        return
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
