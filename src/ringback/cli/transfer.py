"""`ringback transfer`: move everything into PostgreSQL, from a SQLite file or from Svix."""

import asyncio
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
import msgspec

from ringback.cli.exits import Exit, Failure
from ringback.cli.options import Chosen, with_json, with_settings
from ringback.cli.transfer_progress import Progress
from ringback.clock import Clock
from ringback.config import Settings, masked
from ringback.database import check_url, is_postgres, open_database
from ringback.errors import ConfigError
from ringback.model import Endpoint

if TYPE_CHECKING:
    from ringback.store.svix.walk import Moved

SVIX_MAIN_SECRET: Final = "SVIX_MAIN_SECRET"  # noqa: S105  the variable that Svix itself reads


@click.command()
@click.argument("source", required=False, type=click.Path(path_type=Path))
@click.option("--to", metavar="URL", help="Where to; else the setting `database`.")
@click.option("--from-svix", "svix", metavar="URL", help="The PostgreSQL database of a Svix.")
@click.option(
    "--svix-main-secret-file",
    "svix_secret",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Holds Svix's main_secret; else SVIX_MAIN_SECRET in the environment.",
)
@click.option(
    "--update", "updates", is_flag=True, help="Take along what was changed in Svix since."
)
@click.option(
    "--batch-rows",
    type=click.IntRange(1, 100_000),
    default=5_000,
    help="Rows of one transaction (5000).",
)
@click.option(
    "--start-over", "starts_over", is_flag=True, help="Take back an unfinished transfer first."
)
@with_settings
@with_json
def command(
    *,
    chosen: Chosen,
    source: Path | None,
    to: str | None,
    svix: str | None,
    svix_secret: Path | None,
    updates: bool,
    batch_rows: int,
    starts_over: bool,
    as_json: bool,
) -> None:
    """Move everything that the SQLite file SOURCE holds into an empty PostgreSQL database.

    Stop its service first. When it is cut off, the same command goes on from there. In the end both
    sides are read and compared.

    With --from-svix instead of SOURCE: applications, endpoints with their secrets and event types
    of a self-hosted Svix server.
    """
    if (source is None) == (svix is None):
        raise click.UsageError("give a SQLite file, or --from-svix URL")
    settings = chosen.with_flags(database=to).load()
    check_url(settings)
    if svix is not None:
        _from_svix(svix, svix_secret, settings, updates=updates, as_json=as_json)
    elif source is not None:
        how = {"starts_over": starts_over, "batch_rows": batch_rows}
        _from_file(source, settings, how, as_json=as_json)


def _from_file(source: Path, settings: Settings, how: Mapping[str, Any], *, as_json: bool) -> None:
    if not is_postgres(settings):
        raise ConfigError(
            f"database: {masked(settings.database)} is no PostgreSQL database; say where to with"
            " --to postgresql://USER:PASSWORD@HOST:5432/NAME"
        )
    from ringback.store.transfer.walk import transfer

    clock = Clock()
    progress = Progress(clock, is_terminal=sys.stderr.isatty(), as_json=as_json)
    outcome = asyncio.run(transfer(source, settings, clock, report=progress.step, **how))
    progress.end()
    if as_json:
        click.echo(json.dumps({"event": "done", **msgspec.to_builtins(outcome)}))
    elif outcome.was_done:
        click.echo("everything is there already; nothing was done")
    else:
        for one in outcome.tables:
            click.echo(f"{one.table:12} {one.rows:>13,}  {one.checksum}")
        if outcome.replaced:
            click.echo(f"{outcome.replaced} rows held the character NUL, which became U+FFFD")
        click.echo(
            f"{source} is in {masked(settings.database)}, the same on both sides."
            " Start the service there, and never again on the file: it would send everything that"
            " waits a second time."
        )


def _from_svix(
    url: str, secret_file: Path | None, settings: Settings, *, updates: bool, as_json: bool
) -> None:
    secret = _svix_secret(secret_file)
    moved = asyncio.run(_move(url, secret, settings, updates=updates))
    if as_json:
        click.echo(json.dumps({"event": "done", **msgspec.to_builtins(moved)}))
    if moved.problems:
        for problem in moved.problems:
            click.echo(f"ringback: {problem}", err=True)
        raise Failure(
            Exit.USAGE, f"nothing was moved, because of the {len(moved.problems)} problems above"
        )
    if as_json:
        return
    click.echo(
        f"{moved.applications} applications, {moved.endpoints} endpoints and {moved.event_types}"
        f" event types of {len(moved.organizations)} organizations are in"
        f" {masked(settings.database)}, {moved.written} of them written now"
    )
    if settings.header_family != "svix":
        click.echo(
            "Set RINGBACK_HEADER_FAMILY=svix, or receivers look for headers that are not there"
            " (unless whitelabel_headers was on in Svix)."
        )


async def _move(url: str, secret: str, settings: Settings, *, updates: bool) -> "Moved":
    from ringback.api import rules
    from ringback.store.svix.secrets import SvixSecrets
    from ringback.store.svix.source import open_svix
    from ringback.store.svix.walk import move

    def accept(endpoint: Endpoint) -> Endpoint:
        """As the API would have kept it."""
        return msgspec.structs.replace(
            endpoint,
            url=rules.endpoint_url(endpoint.url, is_https_only=settings.endpoint_https_only),
            headers=rules.headers(endpoint.headers),
        )

    clock = Clock()
    async with open_svix(url) as source:
        store = await open_database(settings, clock)
        try:
            return await move(
                source,
                store,
                secrets=SvixSecrets(secret),
                accept=accept,
                now_ms=clock.now_ms(),
                updates=updates,
            )
        finally:
            await store.close()


def _svix_secret(file: Path | None) -> str:
    if file is None:
        return os.environ.get(SVIX_MAIN_SECRET, "")
    try:
        return file.read_text().rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"--svix-main-secret-file: cannot read {file}: {error}") from None
