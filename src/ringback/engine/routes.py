"""Where an application's messages go: its routing, read once and kept until it changes.

A cached routing may be stale for an instant. That is safe: the accept transaction compares the
version it was routed by with the stored one (`AcceptOutcome.STALE`), and a claim carries the
version of its application. So a cache is never a reason for a stale delivery.
"""

import asyncio
from collections import OrderedDict

from ringback import __version__
from ringback.config import Settings
from ringback.model import Application, Endpoint
from ringback.rules.retry import Rules
from ringback.rules.routing import select
from ringback.store.port import Path, Routing
from ringback.wire.port import Target
from ringback.wire.target import target

USER_AGENT = f"Ringback/{__version__}"
SELECTIONS_MAX = 256  # remembered answers of one application; event types are few


class Plan:
    """One endpoint as deliveries need it. Replaced as a whole when the endpoint changes."""

    __slots__ = ("_target", "app", "endpoint", "is_throttled", "rules")

    def __init__(self, app: Application, endpoint: Endpoint, rules: Rules) -> None:
        self.app = app
        self.endpoint = endpoint
        self.rules = rules
        self.is_throttled = bool(app.throttle_rate or endpoint.throttle_rate)
        self._target: Target | None = None

    @property
    def target(self) -> Target:
        """Parsed at the first delivery. Raises ValueError for a URL that policy now refuses."""
        if self._target is None:
            self._target = target(self.endpoint.url, self.endpoint.headers, user_agent=USER_AGENT)
        return self._target


class AppRoutes:
    """An application and the plans of its endpoints, at one version."""

    __slots__ = ("_endpoints", "_selections", "app", "plans")

    def __init__(self, routing: Routing, settings: Settings) -> None:
        self.app = routing.app
        self.plans = {
            endpoint.id: Plan(routing.app, endpoint, _rules(endpoint, settings))
            for endpoint in routing.endpoints
        }
        self._endpoints = routing.endpoints
        self._selections: dict[tuple[str, tuple[str, ...] | None], tuple[Plan, ...]] = {}

    def select(self, event_type: str, channels: tuple[str, ...] | None) -> tuple[Plan, ...]:
        """The plans of the endpoints that want such a message."""
        known = self._selections.get((event_type, channels))
        if known is not None:
            return known
        found = tuple(
            self.plans[endpoint.id] for endpoint in select(self._endpoints, event_type, channels)
        )
        if len(self._selections) >= SELECTIONS_MAX:
            self._selections.clear()
        self._selections[event_type, channels] = found
        return found


def _rules(endpoint: Endpoint, settings: Settings) -> Rules:
    schedule_s = endpoint.retry.schedule_s if endpoint.retry else settings.retry_schedule
    return Rules(schedule_s, settings.retry_jitter, settings.retry_after_s_max)


class Routes:
    """A bounded cache of `AppRoutes`, least recently loaded first out."""

    def __init__(self, path: Path, settings: Settings) -> None:
        self._path = path
        self._settings = settings
        self._apps: OrderedDict[str, AppRoutes] = OrderedDict()
        self._refs: dict[tuple[str, str], AppRoutes] = {}
        self._size = 0
        self._forgotten = 0
        self._loading: dict[tuple[str, str], asyncio.Task[AppRoutes | None]] = {}

    def cached(self, org_id: str, app_ref: str) -> AppRoutes | None:
        return self._refs.get((org_id, app_ref))

    async def find(self, org_id: str, app_ref: str) -> AppRoutes | None:
        """By id or uid, from the cache or the store; None when there is no such application."""
        return self._refs.get((org_id, app_ref)) or await self._load(org_id, app_ref)

    async def of(self, app_id: str, *, version: int) -> AppRoutes | None:
        """By id, at that version or later; None when the application is gone."""
        routes = self._apps.get(app_id)
        if routes is not None and routes.app.version >= version:
            return routes
        return await self._load("", app_id)

    def is_older(self, app_id: str, version: int) -> bool:
        """Whether what is cached is from before that version."""
        routes = self._apps.get(app_id)
        return routes is not None and routes.app.version < version

    def forget(self, app_id: str) -> None:
        """Drop what is cached, and what is being loaded: it may be older than the change."""
        self._forgotten += 1
        self._loading.clear()
        routes = self._apps.pop(app_id, None)
        if routes is not None:
            self._size -= 1 + len(routes.plans)
            self._refs = {ref: kept for ref, kept in self._refs.items() if kept is not routes}

    async def _load(self, org_id: str, app_ref: str) -> AppRoutes | None:
        """Load once for everybody who asks meanwhile. An empty `org_id` stands for any."""
        task = self._loading.get((org_id, app_ref))
        if task is None:
            task = asyncio.ensure_future(self._read(org_id, app_ref))
            self._loading[org_id, app_ref] = task
            task.add_done_callback(lambda done: self._loaded((org_id, app_ref), done))
        return await asyncio.shield(task)

    async def _read(self, org_id: str, app_ref: str) -> AppRoutes | None:
        forgotten = self._forgotten
        routing = await (
            self._path.routing(org_id, app_ref) if org_id else self._path.routing_of(app_ref)
        )
        if routing is None:
            return None
        routes = AppRoutes(routing, self._settings)
        if forgotten == self._forgotten:
            self._keep((org_id or routing.app.org_id, app_ref), routes)
        return routes

    def _loaded(self, key: tuple[str, str], done: asyncio.Task[AppRoutes | None]) -> None:
        if self._loading.get(key) is done:
            del self._loading[key]
        if not done.cancelled():
            done.exception()  # whoever awaits it sees it; nobody may be left

    def _keep(self, ref: tuple[str, str], routes: AppRoutes) -> None:
        known = self._apps.get(routes.app.id)
        if known is None or known.app.version < routes.app.version:
            if known is not None:
                self._drop(known)
            self._apps[routes.app.id] = known = routes
            self._size += 1 + len(routes.plans)
        self._refs[ref] = known
        while self._size > self._settings.routing_cache_max and len(self._apps) > 1:
            self._drop(next(iter(self._apps.values())))

    def _drop(self, routes: AppRoutes) -> None:
        del self._apps[routes.app.id]
        self._size -= 1 + len(routes.plans)
        for ref in ((routes.app.org_id, routes.app.id), (routes.app.org_id, routes.app.uid or "")):
            self._refs.pop(ref, None)
