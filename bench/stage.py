"""One phase of load from beginning to end: drive, drain, account, and make a row of it.

    begin the sink's ledger → start the generator → [warm-up | window] → drain → settle → figures

What is counted when: deliveries a second are arrivals inside the window. Latency is of what was
sent inside it. CPU is everything from before the first message until all have arrived and a short
settling time has passed, over all deliveries, so that no work is left out at either edge.
"""

import asyncio
import math
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import msgspec
from msgspec import Struct

from bench import database
from bench.child import Child, module
from bench.database import Database
from bench.figures import Latency, Row
from bench.plan import Plan, Sent
from bench.postgres import Cost
from bench.server import Choice, Machine, Memory, Server, started
from bench.sink import Command, Report, Snapshot

PORTS: Final = 2
WARMUP_S: Final = 3.0
QUICK_WARMUP_S: Final = 0.2
QUICK_WINDOW_S: Final = 0.5
DRAIN_POLL_S: Final = 0.02
DRAIN_QUIET_S: Final = 8.0
SETTLE_S: Final = 0.3
PHASE_MARGIN_S: Final = 60.0
OTHERS_WINDOW_S_MIN: Final = 5.0


class Options(Struct, frozen=True):
    """What the command line decides for all scenarios."""

    choice: Choice = Choice()
    is_quick: bool = False
    has_idempotency: bool = False
    connections: int = 64
    payload_bytes: int = 300
    backlog_max: int = 1_000
    window_s: float = 20.0
    drain_s_max: float = 60.0
    stored: int = 0
    waiting: int = 1_000_000


class Target(Struct, frozen=True):
    """Where the load goes: message paths of one server, `fan` counted deliveries a message."""

    server: Server
    host: str
    port: int
    paths: tuple[str, ...]
    fan: int = 1
    ports: tuple[int, ...] = ()


class Stage:
    """What a scenario works with. Rows that it adds are kept even if it fails later."""

    def __init__(self, options: Options, sink: Child, *, ports: Sequence[int], counter: Path):
        self.options = options
        self.rows: list[Row] = []
        self.ports = ports
        self._sink = sink
        self._counter = counter
        self._run = 0

    def server(
        self,
        settings: Mapping[str, str] | None = None,
        *,
        choice: Choice | None = None,
        database: Database | None = None,
        processes: int = 1,
    ) -> AbstractAsyncContextManager[Server]:
        """The server under test (or another choice), fresh for this use."""
        chosen = choice or self.options.choice
        return started(chosen, settings, database=database, processes=processes)

    def database(self) -> AbstractAsyncContextManager[Database]:
        """A database that outlives a server, to be filled between two."""
        return database.opened(self.options.choice.database, self.options.choice.cluster)

    def url(self, path: str, *, is_troubled: bool = False) -> str:
        """A URL of the sink. Troubled endpoints are another origin than healthy ones."""
        return f"http://127.0.0.1:{self.ports[is_troubled]}{path}"

    async def target(
        self, server: Server, *, apps: int = 1, fan: int = 1, hanging: int = 0, path: str = "/ok"
    ) -> Target:
        """Sets up applications with `fan` endpoints each, and `hanging` ones besides."""
        urls = [self.url(f"{path}/{lane}") for lane in range(fan)]
        urls += [self.url(f"/hang/{lane}", is_troubled=True) for lane in range(hanging)]
        with server.api() as api:
            ids = [
                await asyncio.to_thread(api.app, f"bench {number}", urls) for number in range(apps)
            ]
            paths = tuple(f"/api/v1/app/{app}/msg" for app in ids)
            return Target(server, api.host, api.port, paths, fan, server.ports())

    def plan(
        self,
        target: Target,
        *,
        rate: float = 0.0,
        window_s: float | None = None,
        warmup_s: float | None = None,
    ) -> Plan:
        """A phase of load as the options say; change it with `msgspec.structs.replace`."""
        options = self.options
        usual_s = QUICK_WARMUP_S if options.is_quick else WARMUP_S
        full_s = options.window_s if window_s is None else window_s
        self._run += 1
        return Plan(
            host=target.host,
            port=target.port,
            ports=target.ports,
            paths=target.paths,
            run=self._run,
            token=target.server.token,
            fan=target.fan,
            connections=options.connections,
            rate=rate,
            warmup_s=usual_s if warmup_s is None else warmup_s,
            window_s=min(full_s, QUICK_WINDOW_S) if options.is_quick else full_s,
            payload_bytes=options.payload_bytes,
            # A message with many deliveries must be able to follow another without a pause.
            backlog_max=options.backlog_max and max(options.backlog_max, 4 * target.fan),
            counter=str(self._counter),
            has_idempotency=options.has_idempotency,
        )

    async def measure(
        self, scenario: str, variant: str, *, target: Target, plan: Plan, drains: bool = True
    ) -> Row:
        """Runs one phase and adds its row. With `drains` false, what is queued stays queued."""
        print(f"{scenario} {variant} …", file=sys.stderr)
        before = await self._ask(Command("begin", run=plan.run, fan=target.fan))
        asked = await _cost(target.server)
        cpu_before_s, machine = target.server.cpu_s(), Machine()
        memory = Memory(target.server)
        watching = asyncio.create_task(memory.watch())
        try:
            sent, at_end = await self._drive(plan)
            drained = await self._drain(sent, plan) if drains else at_end
            await asyncio.sleep(SETTLE_S)
        finally:
            watching.cancel()
        after = await self._ask(Command("snapshot"))
        cpu_s = target.server.cpu_s() - cpu_before_s
        asked = (await _cost(target.server)).since(asked)
        own_s = cpu_s + sent.cpu_s + after.cpu_s - before.cpu_s
        if target.server.postgres is not None:
            own_s += asked.cpu_s
        others = machine.busy_by_others(own_s) if self._knows_all(plan) else math.nan
        report = await self._report(sent)
        figures = {
            **rates(sent, report, at_end=at_end, fan=plan.fan),
            **losses(sent, report),
            **spans("accept", sent.accept),
            **spans("arrival", report.window.latency),
            "rss_peak_mib": memory.peak_mib,
            "rss_end_mib": memory.now_mib(),
            "others_cores": others,
            "start_s": target.server.start_s,
        }
        if drains:
            sink_s = after.cpu_s - before.cpu_s
            figures |= costs(sent, cpu_s=cpu_s, sink_s=sink_s, arrived=report.arrived)
            figures |= database_costs(asked, arrived=report.arrived)
            if target.server.postgres is not None:
                figures["postgres_mib"] = target.server.postgres.memory_mib()
            figures["drain_s"] = max(drained.last_ns - sent.end_ns, 0) / 1e9
            figures["missing"] = report.account.missing
        row = Row(scenario, variant, {k: v for k, v in figures.items() if not math.isnan(v)})
        self.rows.append(row)
        return row

    def note(self, scenario: str, variant: str, **figures: float) -> None:
        """Adds figures that are no phase of load."""
        self.rows.append(Row(scenario, variant, figures))

    def skip(self, scenario: str, why: str) -> None:
        """Says that a scenario cannot run here."""
        print(f"{scenario}: skipped, {why}", file=sys.stderr)

    def _knows_all(self, plan: Plan) -> bool:
        """Whether the phase is long beside the start of its processes."""
        return plan.window_s >= OTHERS_WINDOW_S_MIN

    async def _drive(self, plan: Plan) -> tuple[Sent, Snapshot]:
        """The generator's whole run, and where the sink stood when the window ended."""
        async with module("bench.generator") as generator:
            await generator.say(plan)
            await generator.hear(plan.warmup_s + PHASE_MARGIN_S)
            await generator.hear(plan.window_s + PHASE_MARGIN_S)
            at_end = await self._ask(Command("snapshot"))
            line = await generator.hear(plan.grace_s + PHASE_MARGIN_S)
        return msgspec.json.decode(line, type=Sent), at_end

    async def _drain(self, sent: Sent, plan: Plan) -> Snapshot:
        """Waits until all that was accepted has arrived, or nothing arrives any more."""
        give_up_s = time.monotonic() + self.options.drain_s_max
        quiet_s = time.monotonic()
        seen = await self._ask(Command("snapshot"))
        while seen.arrived < sent.accepted * plan.fan:
            now_s = time.monotonic()
            if now_s > give_up_s or now_s - quiet_s > DRAIN_QUIET_S:
                break
            await asyncio.sleep(DRAIN_POLL_S)
            last, seen = seen, await self._ask(Command("snapshot"))
            if seen.arrived > last.arrived:
                quiet_s = now_s
        return seen

    async def _ask(self, command: Command) -> Snapshot:
        await self._sink.say(command)
        return msgspec.json.decode(await self._sink.hear(), type=Snapshot)

    async def _report(self, sent: Sent) -> Report:
        await self._sink.say(
            Command(
                "report",
                messages=sent.sent,
                refused=sent.refused,
                start_ns=sent.window_ns,
                end_ns=sent.end_ns,
            )
        )
        return msgspec.json.decode(await self._sink.hear(), type=Report)


@asynccontextmanager
async def opened(options: Options) -> AsyncIterator[Stage]:
    """A stage with a running sink, both gone at the end."""
    with TemporaryDirectory(prefix="ringback-bench-") as place:
        counter = Path(place) / "arrived"
        async with module("bench.sink", str(PORTS), str(counter)) as sink:
            ports = msgspec.json.decode(await sink.hear())["ports"]
            yield Stage(options, sink, ports=ports, counter=counter)


def rates(sent: Sent, report: Report, *, at_end: Snapshot, fan: int) -> dict[str, float]:
    """Throughput inside the window, and what was accepted and not yet arrived at its end."""
    window_s = (sent.end_ns - sent.window_ns) / 1e9
    whole_seconds = report.window.per_second[: int(window_s)]
    return {
        "deliveries_per_s": report.window.arrivals / window_s,
        "slowest_second": min(whole_seconds, default=math.nan),
        "accepts_per_s": sent.accepted_in_window / window_s,
        "backlog": max(sent.accepted * fan - at_end.arrived, 0),
        "late_p99_ms": sent.late.p99 if sent.late.count else math.nan,
    }


def costs(sent: Sent, *, cpu_s: float, sink_s: float, arrived: int) -> dict[str, float]:
    """CPU in µs: of the app and the sink a delivery, of the generator a message.

    Where nothing is delivered, as in bare accepts, the app's is a message's.
    """
    return {
        "app_us": cpu_s / (arrived or sent.accepted or math.nan) * 1e6,
        "generator_us": sent.cpu_s / (sent.sent or math.nan) * 1e6,
        "sink_us": sink_s / (arrived or math.nan) * 1e6,
    }


def database_costs(asked: Cost, *, arrived: int) -> dict[str, float]:
    """What PostgreSQL spent on a delivery, all its processes together; statements as sent."""
    each = arrived or math.nan
    return {
        "postgres_us": asked.cpu_s / each * 1e6,
        "wal_bytes": asked.wal_bytes / each,
        "statements": asked.statements / each,
        "commits": asked.commits / each,
    }


async def _cost(server: Server) -> Cost:
    return Cost() if server.postgres is None else await server.postgres.cost()


def losses(sent: Sent, report: Report) -> dict[str, float]:
    """What did not go as it should, in messages or deliveries."""
    return {
        "duplicates": report.duplicates,
        "refused": sum(sent.statuses.values()) - sent.accepted,
        "broken": sent.broken + sent.unanswered,
        "unexpected": report.account.unexpected,
        "stray": report.stray,
    }


def spans(name: str, latency: Latency) -> dict[str, float]:
    """The percentiles of a latency, or nothing if none was measured."""
    if not latency.count:
        return {}
    return {
        f"{name}_p50_ms": latency.p50,
        f"{name}_p95_ms": latency.p95,
        f"{name}_p99_ms": latency.p99,
        f"{name}_max_ms": latency.max,
    }
