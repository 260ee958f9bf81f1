"""Moving from Svix: everything is checked before anything is written, and compared after.

What the target has already, just as it is in Svix, is left alone: so a move that was cut off is
simply made again, and so is one before a switch that takes along what was added since. What the
target has otherwise is a problem, unless the move `updates`; so is what cannot be kept, and an id
or a uid that something else has there, or had. With one problem nothing is written.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from ringback.errors import RingbackError, StoreCorrupt, StoreError
from ringback.model import Application, Endpoint, EventType
from ringback.store.port import Store
from ringback.store.svix.rows import app_of, endpoint_of, event_type_of, read_endpoint
from ringback.store.svix.secrets import SvixSecrets
from ringback.store.svix.source import SvixSource

T = TypeVar("T")

AT_ONCE: Final = 64
ENDPOINTS_MAX: Final = 2**31  # there they were allowed
PROBLEMS_MAX: Final = 1_000
OLD: Final = {"version": 0, "updated_at_ms": 0}  # what writing sets anew

Accept = Callable[[Endpoint], Endpoint]


class Moved(Struct, frozen=True):
    """How many there are in Svix, and how many of them were written now.

    With `problems` nothing was.
    """

    applications: int
    endpoints: int
    event_types: int
    organizations: tuple[str, ...]
    written: int
    problems: tuple[str, ...]


async def move(
    source: SvixSource,
    store: Store,
    *,
    secrets: SvixSecrets,
    accept: Accept,
    now_ms: int,
    updates: bool = False,
) -> Moved:
    """`accept` gives an endpoint as the API would keep it, or raises Rejected.

    `updates`: what an earlier move has brought is made as it is in Svix now.

    Raises StoreError, and StoreCorrupt when the target has not got it all in the end.
    """
    walk = _Walk(source, store, secrets=secrets, accept=accept, now_ms=now_ms, updates=updates)
    await walk.check()
    if not walk.problems:
        await walk.write()
        await walk.compare()
    return walk.moved()


class _Walk:
    def __init__(
        self,
        source: SvixSource,
        store: Store,
        *,
        secrets: SvixSecrets,
        accept: Accept,
        now_ms: int,
        updates: bool,
    ) -> None:
        self._source = source
        self._resources = store.resources
        self._secrets = secrets
        self._accept = accept
        self._now_ms = now_ms
        self._updates = updates
        self._organizations: set[str] = set()
        self._counts = (0, 0, 0)
        self._written = 0
        self.problems: list[str] = []

    def moved(self) -> Moved:
        applications, endpoints, event_types = self._counts
        return Moved(
            applications=applications,
            endpoints=endpoints,
            event_types=event_types,
            organizations=tuple(sorted(self._organizations)),
            written=self._written,
            problems=tuple(self.problems),
        )

    async def check(self) -> None:
        self._counts = (
            await _each(self._apps(), self._check_app),
            await _each(self._endpoints(), self._check_endpoint),
            await _each(self._event_types(), self._check_event_type),
        )

    async def write(self) -> None:
        """Applications first; of one application one endpoint after the other."""
        await _each(self._apps(), self._write_app)
        await _each(self._event_types(), self._write_event_type)
        await _each(self._endpoints(), self._write_endpoint, apart=lambda one: one.app_id)

    async def compare(self) -> None:
        """Raises StoreCorrupt."""
        await _each(self._apps(), self._compare_app)
        await _each(self._endpoints(), self._compare_endpoint)
        await _each(self._event_types(), self._compare_event_type)

    # ---- reading

    async def _apps(self) -> AsyncIterator[Application]:
        async for row, metadata in self._source.applications():
            app = app_of(row, metadata)
            self._organizations.add(app.org_id)
            yield app

    async def _event_types(self) -> AsyncIterator[EventType]:
        async for (row,) in self._source.event_types():
            yield event_type_of(row)

    async def _endpoints(self) -> AsyncIterator[Endpoint]:
        """Those that can be kept; of the others it is noted why not."""
        async for _, row, metadata in self._source.endpoints():
            theirs = read_endpoint(row)
            try:
                ours = endpoint_of(theirs, metadata, secrets=self._secrets, now_ms=self._now_ms)
                ours = self._accept(ours)
            except StoreError:
                raise
            except RingbackError as error:
                self._note(theirs.id, str(error))
                continue
            if theirs.filter:
                self._note(theirs.id, "it filters by an expression, which cannot be moved")
            yield ours

    def _note(self, what: str, why: str) -> None:
        if len(self.problems) < PROBLEMS_MAX:
            self.problems.append(f"{what}: {why}")

    # ---- what the target has

    async def _their_app(self, app: Application) -> Application | None:
        return await self._resources.get_app(app.org_id, app.id)

    async def _their_endpoint(self, endpoint: Endpoint) -> Endpoint | None:
        return await self._resources.get_endpoint(endpoint.app_id, endpoint.id)

    async def _their_event_type(self, event_type: EventType) -> EventType | None:
        return await self._resources.get_event_type(event_type.org_id, event_type.name)

    # ---- checking

    async def _check_app(self, app: Application) -> None:
        there = await self._their_app(app)
        self._check(app.id, app, there)
        if there is None:
            await self._check_id(app.id)
        if app.uid is not None:
            self._check_uid(app, await self._resources.get_app(app.org_id, app.uid))

    async def _check_endpoint(self, endpoint: Endpoint) -> None:
        there = await self._their_endpoint(endpoint)
        self._check(endpoint.id, endpoint, there)
        if there is None:
            await self._check_id(endpoint.id)
        if endpoint.uid is not None:
            other = await self._resources.get_endpoint(endpoint.app_id, endpoint.uid)
            self._check_uid(endpoint, other)

    async def _check_event_type(self, event_type: EventType) -> None:
        self._check(event_type.name, event_type, await self._their_event_type(event_type))

    def _check(self, name: str, ours: T, theirs: T | None) -> None:
        if theirs is None or _is_same(ours, theirs):
            return
        if not _is_same_thing(ours, theirs):
            self._note(name, "the target has something else of that name; name another database")
        elif not self._updates:
            self._note(name, "the target has it otherwise; --update makes it as it is in Svix")

    async def _check_id(self, id_: str) -> None:
        if await self._resources.is_id_taken(id_):
            self._note(
                id_,
                "the target knows it as deleted, or as another organization's or application's,"
                " so it cannot be written there; name another database, or delete it in Svix",
            )

    def _check_uid(
        self, ours: Application | Endpoint, other: Application | Endpoint | None
    ) -> None:
        if other is not None and other.uid == ours.uid and other.id != ours.id:
            self._note(ours.id, f"its uid {ours.uid} is that of {other.id} in the target")

    # ---- writing

    async def _write_app(self, app: Application) -> None:
        there = await self._their_app(app)
        if there is None:
            await self._resources.create_app(app)
        elif not _is_same(app, there):
            await self._resources.update_app(app.org_id, app.id, lambda _: app)
        else:
            return
        self._written += 1

    async def _write_endpoint(self, endpoint: Endpoint) -> None:
        there = await self._their_endpoint(endpoint)
        if there is None:
            await self._resources.create_endpoint(endpoint, endpoints_max=ENDPOINTS_MAX)
        elif not _is_same(endpoint, there):
            app_id, id_ = endpoint.app_id, endpoint.id
            await self._resources.update_endpoint(app_id, id_, lambda _: endpoint)
        else:
            return
        self._written += 1

    async def _write_event_type(self, event_type: EventType) -> None:
        there = await self._their_event_type(event_type)
        if there is None:
            await self._resources.create_event_type(event_type)
        elif not _is_same(event_type, there):
            org_id, name = event_type.org_id, event_type.name
            await self._resources.update_event_type(org_id, name, lambda _: event_type)
        else:
            return
        self._written += 1

    # ---- comparing

    async def _compare_app(self, app: Application) -> None:
        _compare(app.id, app, await self._their_app(app))

    async def _compare_endpoint(self, endpoint: Endpoint) -> None:
        _compare(endpoint.id, endpoint, await self._their_endpoint(endpoint))

    async def _compare_event_type(self, event_type: EventType) -> None:
        _compare(event_type.name, event_type, await self._their_event_type(event_type))


async def _each(
    found: AsyncIterator[T],
    act: Callable[[T], Awaitable[None]],
    *,
    apart: Callable[[T], object] = id,
) -> int:
    """Act on all, AT_ONCE at a time, on those that `apart` calls the same in turn; how many."""

    async def in_turn(some: list[T]) -> None:
        for one in some:
            await act(one)

    count = 0
    some: dict[object, list[T]] = {}
    async for one in found:
        some.setdefault(apart(one), []).append(one)
        count += 1
        if count % AT_ONCE == 0:
            await asyncio.gather(*map(in_turn, some.values()))
            some = {}
    await asyncio.gather(*map(in_turn, some.values()))
    return count


def _is_same(ours: Any, theirs: Any) -> bool:
    return bool(_without_marks(ours) == _without_marks(theirs))


def _is_same_thing(ours: Any, theirs: Any) -> bool:
    """Whether they are one, perhaps at different times: what a later move may make the same."""
    return isinstance(ours, EventType) or ours.created_at_ms == theirs.created_at_ms


def _without_marks(noun: Any) -> Any:
    return replace(noun, **{name: value for name, value in OLD.items() if hasattr(noun, name)})


def _compare(name: str, ours: Any, theirs: Any) -> None:
    if theirs is None or not _is_same(ours, theirs):
        raise StoreCorrupt(
            f"{name} is not in the target as it is in Svix; was either of them in use? Run the"
            " same command again"
        )
