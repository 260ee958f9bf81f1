"""The transfer itself: every table in its order, batch by batch, then both sides compared."""

from collections.abc import Callable
from pathlib import Path
from typing import Final, Literal

from msgspec import Struct
from msgspec.structs import replace

from ringback.clock import Clock
from ringback.config import Settings
from ringback.errors import ConfigError
from ringback.store.postgres.faults import FAULTS, translated
from ringback.store.sqlite.sql import Row
from ringback.store.transfer.mark import Mark
from ringback.store.transfer.secrets import EndpointSecrets
from ringback.store.transfer.source import Source, open_source
from ringback.store.transfer.tables import TABLES, Converter, Table
from ringback.store.transfer.target import Target, open_target
from ringback.store.transfer.verify import Checked, verify

BATCH_ROWS: Final = 5_000
PARTITIONED: Final = ("message", "attempt")

Phase = Literal["copy", "verify"]


class Step(Struct, frozen=True):
    """How far a phase has come with a table; `is_last` when it is through with it."""

    phase: Phase
    table: str
    done: int
    total: int
    is_last: bool = False


class Outcome(Struct, frozen=True):
    """What became of it. `replaced` rows held a NUL, which PostgreSQL cannot keep."""

    tables: list[Checked]
    replaced: int
    was_done: bool


Report = Callable[[Step], None]


async def transfer(
    path: Path,
    settings: Settings,
    clock: Clock,
    *,
    report: Report,
    starts_over: bool = False,
    batch_rows: int = BATCH_ROWS,
) -> Outcome:
    """Move what the SQLite file holds into the database of the settings, and compare.

    Cut off at any moment, it goes on when it is called again, and does nothing when it was done.
    With `starts_over` what an unfinished transfer has written is taken back first.

    Raises ConfigError, StoreOwned, SchemaMismatch, StoreCorrupt (the sides differ) or
    StoreUnavailable.
    """
    source = await open_source(path, settings, clock)
    try:
        target = await open_target(settings, clock)
        try:
            move = _Move(source, target, settings=settings, clock=clock, report=report)
            return await move.run(starts_over=starts_over, batch_rows=batch_rows)
        except FAULTS as error:
            raise translated(error) from error
        finally:
            await target.close()
    finally:
        source.close()


class _Move:
    def __init__(
        self,
        source: Source,
        target: Target,
        *,
        settings: Settings,
        clock: Clock,
        report: Report,
    ) -> None:
        self._source = source
        self._target = target
        self._report = report
        self._secrets = EndpointSecrets(settings.main_secret, clock)
        self._replaced = 0

    async def run(self, *, starts_over: bool, batch_rows: int) -> Outcome:
        endpoints = next(table for table in TABLES if table.name == "endpoint")
        self._secrets.check(self._source.rows(endpoints))
        mark = await self._begun(starts_over=starts_over)
        if mark.is_done:
            return Outcome([], 0, was_done=True)
        await self._target.prepare(self._spans_ms())
        names = [table.name for table in TABLES]
        for table in TABLES[names.index(mark.table) :]:
            if table.name != mark.table:
                mark = await self._next(mark, table)
            mark = await self._copy(table, mark, batch_rows=batch_rows)
        await self._count_on(mark)
        await self._target.analyze()
        checked = [await self._verify(table) for table in TABLES]
        await self._target.move(mark, replace(mark, is_done=True), is_durable=True)
        return Outcome(checked, self._replaced, was_done=False)

    async def _begun(self, *, starts_over: bool) -> Mark:
        """The mark to go on from. Raises ConfigError or StoreOwned when there must be none."""
        new = Mark(self._source.identity, TABLES[0].name, None, {})
        old = await self._target.mark()
        if old is None:
            await self._target.refuse_what_is_not_ours()
            await self._target.begin(new)
            return new
        if starts_over and not old.is_done:
            await self._target.start_over(old, new)
            return new
        if old.identity == new.identity:
            if not old.is_done:
                await self._target.refuse_services()
            return old
        if old.is_done:
            raise ConfigError(
                "the target holds what another transfer has brought; name a new database with --to"
            )
        raise ConfigError(
            "an unfinished transfer in the target is of another file, or a service has run on this"
            " one since; --start-over takes back what it has written, and begins again"
        )

    def _spans_ms(self) -> dict[str, tuple[int, int]]:
        spans = ((name, self._source.span_ms(name)) for name in PARTITIONED)
        return {name: span for name, span in spans if span is not None}

    async def _next(self, mark: Mark, table: Table) -> Mark:
        moved = replace(mark, table=table.name, after=None)
        await self._target.move(mark, moved)
        return moved

    async def _copy(self, table: Table, mark: Mark, *, batch_rows: int) -> Mark:
        total = self._source.count(table)
        convert = Converter(table)
        done = mark.rows.get(table.name, 0)
        for batch in self._source.batches(table, after=mark.after, rows_max=batch_rows):
            rows = [self._stored(table, convert.row(row)) for row in batch.rows]
            done += len(rows)
            moved = replace(mark, after=batch.last_key, rows={**mark.rows, table.name: done})
            await self._target.append(table, rows, old=mark, new=moved)
            mark = moved
            self._report(Step("copy", table.name, done, total))
        self._report(Step("copy", table.name, done, total, is_last=True))
        return mark

    def _stored(self, table: Table, row: Row) -> Row:
        return self._secrets.sealed(row) if table.name == "endpoint" else row

    async def _count_on(self, mark: Mark) -> None:
        """Numbers that were given out are not given out again: batches of attempts hold epochs."""
        await self._target.count_on("node", "epoch", mark.identity.epoch)
        await self._target.count_on("waiting", "id", self._source.last_waiting)

    async def _verify(self, table: Table) -> Checked:
        total = self._source.count(table)

        def seen(done: int) -> None:
            self._report(Step("verify", table.name, done, 2 * total))

        convert = Converter(table)
        opened = self._secrets.opened if table.name == "endpoint" else None
        ours = (convert.row(row) for row in self._source.rows(table))
        checked = await verify(table, ours, self._target.rows(table), opened=opened, seen=seen)
        self._replaced += convert.replaced
        self._report(Step("verify", table.name, 2 * total, 2 * total, is_last=True))
        return checked
