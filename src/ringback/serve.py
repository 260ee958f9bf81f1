"""The composition root: settings → store → wire → engine → API → HTTP front.

Nothing else knows which concrete parts are used. `running` puts them together for a program or a
test that has an event loop; `serve` is the whole process, with signals and its own loop.

Order of starting: the address is taken first (two services never open one database by mistake),
then the database is opened, then sending resumes, then requests are answered.

Order of stopping, within `drain_timeout_s`: no new connections; requests in progress get their
answer; attempts in flight end and are recorded; what is left is handed over; the database closes.
"""

import asyncio
import gc
import os
import resource
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, suppress
from typing import Final

import structlog
import uvloop
from msgspec import Struct

from ringback import __version__
from ringback.api.app import Api, create_app
from ringback.clock import Clock
from ringback.config import Settings, masked, unknown_variables, weakness_of_key
from ringback.database import check_url, is_postgres, open_database
from ringback.engine.engine import Engine
from ringback.errors import ConfigError, EngineStopped
from ringback.front import Front
from ringback.rules.egress import Policy
from ringback.store.port import Store
from ringback.store.sqlite.writer import SWITCH_INTERVAL_S
from ringback.telemetry.logging import Log, configure
from ringback.wire.client import Client
from ringback.workers.berth import Berth

# A second signal means "now": nothing accepted is lost by it, see `docs/operations.md`.
INTERRUPTED: Final = 130
GC_THRESHOLDS: Final = (4_000, 20, 50)
OPEN_FILES_MAX: Final = 65_536
# A worker that is replaced waits so long for callers to let go of their connections.
WIND_DOWN_S: Final = 5.0


class Service(Struct, frozen=True):
    """A running service. `url` is where its API answers, without `/api/v1`."""

    url: str
    settings: Settings
    store: Store
    engine: Engine


Beside = Callable[[Service], AbstractAsyncContextManager[None]]


@asynccontextmanager
async def nothing(_service: Service) -> AsyncIterator[None]:
    """Runs beside a service that needs nothing beside it."""
    yield


def serve(settings: Settings, *, beside: Beside = nothing, berth: Berth | None = None) -> None:
    """Run the service until SIGTERM or SIGINT, then drain. A second signal ends it at once.

    `beside` is entered when the service answers and left before it stops. With a `berth` it is one
    of several workers, and its connections come from there. Raises ConfigError, MainSecretNeeded,
    CannotListen, or a StoreError if it cannot start, EngineStopped if it could not go on, and when
    it was stopped the StoreError for which it wrote nothing any more, if there was one.
    """
    check(settings)
    log = configure(settings.log_level, settings.log_format)
    if berth is not None:
        structlog.contextvars.bind_contextvars(worker=berth.number)
    else:
        tell_doubts(settings, log)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(settings, log, beside=beside, berth=berth))


def tell_doubts(settings: Settings, log: Log) -> None:
    """What does not stop the service, and is hardly what was meant."""
    for variable, why in unknown_variables(os.environ).items():
        log.warning("unknown_setting", variable=variable, why=why)
    if weakness := weakness_of_key(settings):
        log.warning("weak_jwt_secret", why=weakness)


def check(settings: Settings) -> None:
    """Everything about settings that only running a service needs. Raises ConfigError."""
    check_url(settings)
    if settings.role != "all" and not is_postgres(settings):
        raise ConfigError(
            f"role: a SQLite file has one owner, who does everything, so {settings.role} needs"
            " PostgreSQL; set database to postgresql://…, or leave role at all"
        )
    if not settings.jwt_secret:
        raise ConfigError(
            "jwt_secret is not set, so nobody could call the API: to try things out run"
            " `ringback dev`, which makes and keeps one; otherwise"
            " export RINGBACK_JWT_SECRET=$(openssl rand -base64 32)"
        )


@asynccontextmanager
async def running(
    settings: Settings,
    *,
    clock: Clock | None = None,
    log: Log | None = None,
    berth: Berth | None = None,
) -> AsyncIterator[Service]:
    """A service in this event loop, stopped in order at the end. Raises as `serve` does.

    Sets up no logging: that belongs to whoever owns the process.
    """
    check(settings)
    clock = clock or Clock()
    log = log or structlog.get_logger()
    async with AsyncExitStack() as cleanup:
        front = Front(
            clock,
            body_bytes_max=settings.body_bytes_max,
            bodies_bytes_max=settings.bodies_bytes_max,
        )
        cleanup.push_async_callback(front.close, 0.0)
        url = await _take_place(front, settings, berth)
        store = await open_database(settings, clock)
        cleanup.push_async_callback(store.close)
        wire = Client(settings, clock, Policy(allow=settings.egress_networks()))
        cleanup.push_async_callback(wire.close)
        engine = Engine(store, wire, settings, clock)
        app = create_app(store, engine, settings, clock, log=log, portal_url=f"{url}/docs")
        within_s = settings.drain_timeout_s
        cleanup.push_async_callback(
            _stop, app, front, engine, within_s=within_s, clock=clock, log=log
        )
        if berth is not None:
            cleanup.push_async_callback(_let_go, front, berth)
        await engine.start()
        await front.open(app)
        if berth is not None:
            berth.serve(front.take, lambda: front.connection_count)
        log.info("ready", url=url, database=masked(settings.database), version=__version__)
        yield Service(url=url, settings=settings, store=store, engine=engine)


async def _take_place(front: Front, settings: Settings, berth: Berth | None) -> str:
    if berth is None:
        return await front.bind(*settings.address())
    front.feed()
    return berth.url


async def _let_go(front: Front, berth: Berth) -> None:
    """When others serve on, callers go to them without having been refused."""
    if berth.is_replaced:
        await front.wind_down(WIND_DOWN_S)


async def _stop(
    app: Api, front: Front, engine: Engine, *, within_s: float, clock: Clock, log: Log
) -> None:
    """Requests first, because accepting needs the engine; then the engine, with the time left."""
    began_s = clock.monotonic()
    app.drain()
    cut_off = await front.close(within_s / 2)
    if cut_off:
        log.warning("requests_cut_off", count=cut_off)
    await engine.drain(max(0.0, within_s - (clock.monotonic() - began_s)))
    log.info("stopped", took_s=round(clock.monotonic() - began_s, 3))


async def _serve(settings: Settings, log: Log, *, beside: Beside, berth: Berth | None) -> None:
    stop = asyncio.Event()
    asked = asyncio.Event()
    leave = stop.set if berth is None else berth.leave
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, _on_signal, number, asked, leave, log)
    if berth is not None:
        berth.attach(stop.set)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # it is for the supervisor alone
    _allow_many_files()
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    async with running(settings, log=log, berth=berth) as service, beside(service):
        _settle_garbage()
        await _until(stop, service.engine)
        if berth is not None and berth.is_orphaned:
            log.warning("supervisor_gone")
    if service.store.fault is not None:
        raise service.store.fault  # ending well would claim that everything is kept


async def _until(stop: asyncio.Event, engine: Engine) -> None:
    """Until the event is set. Raises EngineStopped when the engine has come to an end before."""
    asked = asyncio.create_task(stop.wait())
    ended = asyncio.create_task(engine.ended())
    try:
        await asyncio.wait({asked, ended}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        asked.cancel()
        ended.cancel()
    if not stop.is_set():
        raise EngineStopped


def _on_signal(
    number: signal.Signals, asked: asyncio.Event, leave: Callable[[], None], log: Log
) -> None:
    if asked.is_set():
        log.warning("stopping_at_once", signal=number.name)
        os._exit(INTERRUPTED)
    log.info("stopping", signal=number.name)
    asked.set()
    leave()


def _allow_many_files() -> None:
    """As many open sockets as the system lets us have without asking anybody."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES_MAX if hard == resource.RLIM_INFINITY else min(hard, OPEN_FILES_MAX)
    if soft < wanted:
        # Some systems name a hard limit that they do not grant; the soft one works as well.
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _settle_garbage() -> None:
    """Start-up's objects live as long as the process: the collector need not look at them again.

    What is in flight comes and goes without cycles, so it need not be looked at often either.
    Measured and compared with two alternatives in `docs/decisions/0004-garbage-collection.md`.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)
