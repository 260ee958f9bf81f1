"""`Inbox`: what users of the inbox see. See the package's page for the shape of it."""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Final, TypeVar

from ringback.clock import Clock
from ringback.errors import ConfigError, InboxUnavailable, SchemaMismatch
from ringback.receive.inbox import statements
from ringback.receive.inbox.answers import not_ours, receipt, unavailable
from ringback.receive.inbox.app import AppDriver, Connect
from ringback.receive.inbox.driver import Driver
from ringback.receive.inbox.entry import Entry, Reading, entries_of
from ringback.receive.inbox.event import Health, InboxEvent, Receipt, Record, State, record_of
from ringback.receive.inbox.gather import Gather
from ringback.receive.inbox.handlers import Handlers
from ringback.receive.inbox.kept import Kept, committed
from ringback.receive.inbox.reconcile import (
    MISSING_NAMED_MAX,
    Listed,
    Reconciled,
    as_event,
    in_batches,
)
from ringback.receive.inbox.settings import InboxSettings
from ringback.receive.inbox.sql import VERSION, Statement, ddl
from ringback.receive.inbox.worker import Worker
from ringback.sign.event import VerifiedEvent

NUMBER_MAX: Final = 2**63 - 1
FOUND_MAX: Final = 1_000
COUNTED_MAX: Final = 10_000

C = TypeVar("C", bound=Callable[..., Any])


class Inbox:
    """Keeps verified events and has them processed. Belongs to one event loop while it is open.

    database   `sqlite:///shop.db`, `postgresql://…`, an `asyncpg.Pool`, or a callable that gives a
               connection of the app's in a transaction, as a context manager (see `inbox.app`)
    settings   limits and times
    key_of     events with the same key are processed one after the other, in the order in which
               they were kept; None for those that need no order. What it raises refuses the event
    identify   what events of a source are deduped by; by default `event.id`, and nothing where the
               provider may send the same bytes for two events (`event.is_id_unique`)
    """

    def __init__(
        self,
        database: "str | Connect | Any",
        *,
        settings: InboxSettings | None = None,
        key_of: Callable[[VerifiedEvent], str | None] | None = None,
        identify: Callable[[VerifiedEvent], str] | None = None,
        clock: Clock | None = None,
    ) -> None:
        """Opens nothing yet. Raises ConfigError."""
        self.settings = settings or InboxSettings()
        self._clock = clock or Clock()
        self._reading = Reading(identify, key_of, self.settings.body_bytes_max, self._fresh_id)
        self._driver = _driver(database, self.settings)
        self._handlers = Handlers(connections_are_own=self._driver.is_own)
        self._gather = Gather(self._insert, bytes_max=self.settings.waiting_bytes_max)
        self._worker: Worker | None = None
        self._opening = asyncio.Lock()
        self._is_open = False

    # ---- handlers -------------------------------------------------------------------------------

    def on(self, source: str, *types: str) -> Callable[[C], C]:
        """Register a handler: of types, of `prefix.*`, or, without any, of all that no other takes.

        It takes the event and, if it has a second parameter, a transaction; it may be async. What
        it raises is a failed attempt; TryLater and Unprocessable say more. `source` may be `*`.
        Raises ConfigError for a second handler of the same events.
        """

        def register(call: C) -> C:
            self._handlers.add(source, types, call)
            return call

        return register

    # ---- receiving ------------------------------------------------------------------------------

    async def receive(self, event: VerifiedEvent, *, source: str | None = None) -> Receipt:
        """Keep an event, or all events of a request; when it returns, they are kept: answer 2xx.

        `source` tells several senders of one scheme apart, so that none can take another's ids.
        Raises InboxUnavailable (answer its status, 503) if they are not known to be kept within
        `receive_timeout_s`, and PayloadTooLarge (413).
        """
        entries = self._entries(event, source)
        try:
            async with asyncio.timeout(self.settings.receive_timeout_s):
                await self.open()
                are_new = await self._gather.add(entries)
        except (InboxUnavailable, ConfigError):
            raise
        except TimeoutError as error:
            raise InboxUnavailable(
                f"the database did not keep the event within {self.settings.receive_timeout_s:g} s;"
                " answer 503, so that the provider sends it again"
            ) from error
        except Exception as error:
            raise unavailable(error) from error
        self.wake()
        return receipt(entries, are_new)

    @contextmanager
    def transaction(self, connection: Any) -> Iterator[Kept]:
        """The inbox on a connection of the app's, without async; committed at the end.

        `connection` is one of sqlite3, psycopg or psycopg2, SQLAlchemy or Django. Raises
        InboxUnavailable if the end does not commit.
        """
        with committed(connection):
            yield Kept(connection, read=self._entries, clock=self._clock)

    async def finish(self, event: InboxEvent, connection: Any) -> None:
        """For handlers with a transaction of their own on an asyncpg connection: done, with it.

        Raises TransactionEnded if the event is another worker's by now: let it out.
        """
        from ringback.receive.inbox.postgres import execute

        end = statements.end(event, State.DONE, self._clock.now_ms())
        if not await execute(connection, end):
            raise not_ours(event)

    # ---- processing -----------------------------------------------------------------------------

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Process what is kept, as long as the context lasts. Several processes may.

        Opens the inbox and, in the end, closes it. Raises ConfigError or SchemaMismatch, or what
        the database raises, if it cannot be opened.
        """
        if self._worker is not None:
            raise ConfigError("this inbox is running already; run a second one in another process")
        await self.open()
        worker = Worker(self._driver, self._handlers, settings=self.settings, clock=self._clock)
        self._worker = worker
        task = asyncio.create_task(worker.run(), name="ringback-inbox")
        try:
            yield
        finally:
            worker.stop()
            try:
                await task
            finally:
                self._worker = None
                await self.close()

    def wake(self) -> None:
        """Look for work now: for what was kept on a connection of the app's."""
        if self._worker is not None:
            self._worker.wake()

    # ---- looking after it -----------------------------------------------------------------------

    async def health(self) -> Health:
        """How things stand; no number exceeds `COUNTED_MAX`, which then means "or more"."""
        await self.open()
        [[row]] = await self._driver.run(Statement("read_health", (COUNTED_MAX,)))
        waiting, running, retrying, oldest_ms, dead = row
        oldest_s = (self._clock.now_ms() - oldest_ms) / 1_000 if oldest_ms is not None else 0.0
        return Health(waiting, running, retrying, dead, max(oldest_s, 0.0))

    async def find(
        self,
        state: State | str = State.DEAD,
        *,
        source: str | None = None,
        type: str | None = None,
        below: int | None = None,
        limit: int = 100,
    ) -> list[Record]:
        """The newest first; `below` the number of the last one for the next page.

        Raises ConfigError for a `limit` that is not 1 to `FOUND_MAX`, or an unknown state.
        """
        if not 1 <= limit <= FOUND_MAX:
            raise ConfigError(f"limit must be from 1 to {FOUND_MAX}; page on with `below`")
        await self.open()
        values = (NUMBER_MAX if below is None else below, source, type, limit)
        [rows] = await self._driver.run(Statement("find_events", values, _state(state)))
        return [record_of(row) for row in rows]

    async def read(self, source: str, id: str) -> Record | None:
        """The event that is deduped by this id."""
        await self.open()
        [rows] = await self._driver.run(Statement("read_event", (source, id)))
        return record_of(rows[0]) if rows else None

    async def bytes_of(self, event: Record | InboxEvent) -> bytes | None:
        """The body as it was received and verified; None if it is forgotten."""
        await self.open()
        [rows] = await self._driver.run(Statement("read_bytes", (event.number,)))
        return bytes(rows[0][0]) if rows and rows[0][0] is not None else None

    async def replay(self, *events: Record) -> int:
        """Have dead, ignored or done events processed again, from their first attempt; how many.

        What their handler wrote before is not undone. Those that wait already are left alone.
        """
        await self.open()
        numbers = [event.number for event in events]
        asked = statements.replay(self._driver.dialect, numbers, self._clock.now_ms())
        [rows] = await self._driver.run(asked)
        self.wake()
        return len(rows)

    async def reconcile(
        self,
        source: str,
        listed: Iterable[Listed] | AsyncIterable[Listed],
        *,
        keep: bool = True,
    ) -> Reconciled:
        """Find what a provider lists and what never arrived; `keep` it, to be processed.

        The list comes from the provider's own API; list no further back than `kept_days`, because
        what is forgotten looks as if it never came. Raises as `receive` does.
        """
        await self.open()
        count, missing_count, stored = 0, 0, 0
        missing: list[str] = []
        async for batch in in_batches(listed):
            count += len(batch)
            absent = await self._absent(source, batch)
            missing_count += len(absent)
            missing += [entry.id for entry in absent[: MISSING_NAMED_MAX - len(missing)]]
            if keep and absent:
                stored += sum(await self._gather.add(absent))
                self.wake()
        return Reconciled(count, missing_count, stored, tuple(missing))

    async def _absent(self, source: str, batch: list[Listed]) -> list[Entry]:
        entries = {}
        for one in batch:
            [entry] = entries_of(
                as_event(source, one), self._reading, source=source, origin="backfill"
            )
            entries[entry.id] = entry
        asked = statements.find_known(self._driver.dialect, source, entries)
        [rows] = await self._driver.run(asked)
        known = {row[0] for row in rows}
        return [entry for entry in entries.values() if entry.id not in known]

    # ---- the tables -----------------------------------------------------------------------------

    def ddl(self) -> str:
        """The tables, as a script that may run again and again."""
        if isinstance(self._driver, AppDriver):
            return ddl(self._driver.look())
        return ddl(self._driver.dialect)

    async def open(self) -> None:
        """Connect, and see to the tables. Safe to call again; `receive` and `running` do.

        Raises ConfigError, SchemaMismatch, or what the database raises.
        """
        if self._is_open:
            return
        async with self._opening:
            if self._is_open:
                return
            await self._driver.open()
            await self._see_to_tables()
            if isinstance(self._driver, AppDriver):
                await self._driver.try_out(self._clock.new_id("trial"))
            self._is_open = True

    async def close(self) -> None:
        """Keep what is being received, and let go of the database. Safe to call twice."""
        await self._gather.close()
        self._is_open = False
        await self._driver.close()

    async def _see_to_tables(self) -> None:
        if not (await self._driver.run(Statement("find_schema")))[0]:
            if not self.settings.create_tables:
                raise SchemaMismatch(
                    "the inbox has no tables: apply what `inbox.ddl()` returns, or let it make them"
                    " with create_tables=True"
                )
            dialect = self._driver.dialect
            lock = Statement("lock_schema") if dialect == "postgres" else None
            await self._driver.run_script(ddl(dialect), lock=lock)
        [rows] = await self._driver.run(Statement("read_mark", ("version",)))
        found = rows[0][0] if rows else None
        if found != VERSION:
            raise SchemaMismatch(
                f"the tables of the inbox have version {found}, and this Ringback knows version"
                f" {VERSION}: upgrade whichever is older"
            )

    def _entries(self, event: VerifiedEvent, source: str | None) -> list[Entry]:
        return entries_of(event, self._reading, source=source, origin="webhook")

    def _fresh_id(self) -> str:
        return self._clock.new_id("evt")

    async def _insert(self, entries: list[Entry]) -> list[bool]:
        places = sorted(range(len(entries)), key=lambda place: _order(entries[place]))
        ordered = [entries[place] for place in places]
        asked = statements.insert(self._driver.dialect, ordered, self._clock.now_ms())
        found = statements.inserted(await self._driver.run(*asked), ordered)
        are_new = [False] * len(entries)
        for place, is_new in zip(places, found, strict=True):
            are_new[place] = is_new
        return are_new


def _order(entry: Entry) -> tuple[bool, str, str]:
    """So that no two processes wait for each other's ids in a ring.

    Those with a key stay in their order: the locks on their keys, taken before, see to it.
    """
    if entry.order_key is not None:
        return True, "", ""
    return False, entry.source, entry.id


def _state(state: State | str) -> State:
    try:
        return State(state)
    except ValueError:
        raise ConfigError(
            f"{state!r} is no state of an event; there are {', '.join(State)}"
        ) from None


def _driver(database: Any, settings: InboxSettings) -> Driver:
    """Each driver is imported when it is used."""
    from ringback.receive.inbox.sqlite import PREFIX, SqliteDriver, path_of

    if isinstance(database, str) and not database.startswith(("postgresql://", "postgres://")):
        if not database.startswith(PREFIX):
            raise ConfigError(
                "the inbox's database must be sqlite:///FILE or postgresql://…, an asyncpg pool, or"
                " a callable that gives a connection"
            )
        return SqliteDriver(
            path_of(database),
            busy_s=settings.receive_timeout_s,
            transaction_s=settings.sqlite_transaction_s,
        )
    if isinstance(database, str) or type(database).__module__.startswith("asyncpg"):
        try:
            from ringback.receive.inbox.postgres import PostgresDriver
        except ModuleNotFoundError:
            raise ConfigError(
                "the inbox needs asyncpg for PostgreSQL: pip install asyncpg"
            ) from None
        return PostgresDriver(database, concurrency=settings.concurrency)
    if callable(database):
        return AppDriver(database)
    raise ConfigError(
        f"the inbox cannot use a {type(database).__name__} as its database: give a URL, an asyncpg"
        " pool, or a callable that gives a connection, like engine.begin"
    )
