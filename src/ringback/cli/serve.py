"""`ringback serve`: run the service, in this process or in several workers.

A worker is this command again, with `--as-worker`, which nobody but the supervisor gives.
"""

import asyncio
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from ringback.cli.exits import Exit, Failure
from ringback.cli.options import Chosen, with_json, with_settings
from ringback.clock import Clock
from ringback.config import Settings
from ringback.database import check_url, is_postgres
from ringback.errors import CannotListen, ConfigError, EngineStopped, WorkersFailed
from ringback.telemetry.logging import configure

if TYPE_CHECKING:
    from ringback.serve import Beside
    from ringback.workers.berth import Berth


@click.command()
@click.option(
    "--workers", type=click.IntRange(1, 256), help="Processes behind one port; PostgreSQL only."
)
@click.option(
    "--role",
    type=click.Choice(["all", "api", "worker"]),
    help="api only takes messages, worker only delivers; PostgreSQL only.",
)
@click.option(
    "--as-worker",
    "place",
    metavar="NUMBER:DESCRIPTOR:URL",
    hidden=True,
    help="Be one of several workers; given by their supervisor alone.",
)
@with_settings
@with_json
def command(
    *, chosen: Chosen, workers: int | None, role: str | None, place: str | None, as_json: bool
) -> None:
    """Run the service until SIGTERM or Ctrl+C, then finish what is in flight and exit 0.

    Logs go to stderr, with --json as JSON whatever stderr is. The service is ready when GET
    /api/v1/health/ping answers 204.

    With several workers, SIGHUP replaces one after the other without refusing anybody.
    """
    log_format = "json" if as_json else None
    chosen = chosen.with_flags(workers=workers, role=role, log_format=log_format)
    settings = chosen.load()
    if place is not None:
        run(settings, berth=_berth(place))
    elif settings.workers > 1:
        _supervise(chosen, settings)
    else:
        run(settings)


def run(
    settings: Settings, *, beside: "Beside | None" = None, berth: "Berth | None" = None
) -> None:
    """`serve`, with exit codes for what only a server can fail at."""
    from ringback.serve import nothing, serve

    try:
        serve(settings, beside=beside or nothing, berth=berth)
    except CannotListen as error:
        raise Failure(Exit.NETWORK, str(error)) from None
    except EngineStopped as error:
        raise Failure(Exit.FAILED, str(error)) from None


def _berth(place: str) -> "Berth":
    from ringback.workers.berth import Berth

    try:
        number, descriptor, url = place.split(":", 2)
        return Berth(int(number), int(descriptor), url)
    except (ValueError, OSError):
        raise click.UsageError("--as-worker is for the supervisor alone; use --workers") from None


def _supervise(chosen: Chosen, settings: Settings) -> None:
    from ringback.serve import tell_doubts
    from ringback.workers.supervisor import Supervisor

    _check(settings)
    log = configure(settings.log_level, settings.log_format)
    tell_doubts(settings, log)

    def worker(number: int, descriptor: int, url: str) -> Sequence[str]:
        # -P: not from whatever happens to lie in the working directory.
        program = [sys.executable, "-P", "-m", "ringback.cli", "serve", *chosen.arguments()]
        return [*program, "--as-worker", f"{number}:{descriptor}:{url}"]

    supervisor = Supervisor(settings, worker, clock=Clock(), log=log)
    try:
        code = asyncio.run(supervisor.run())
    except CannotListen as error:
        raise Failure(Exit.NETWORK, str(error)) from None
    except WorkersFailed as error:
        raise Failure(Exit.FAILED, str(error)) from None
    if code:
        raise click.exceptions.Exit(code)


def _check(settings: Settings) -> None:
    check_url(settings)
    if not is_postgres(settings):
        raise ConfigError(
            "workers: a SQLite file has one owner, so several processes need PostgreSQL; set"
            " database to postgresql://… (`ringback transfer` moves what the file holds), or leave"
            " workers at 1"
        )
