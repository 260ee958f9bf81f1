"""`ringback backup`: a consistent copy of the database while it is in use."""

import json
import sys
from pathlib import Path

import click

from ringback.cli.options import Chosen, with_json, with_settings
from ringback.database import sqlite_path
from ringback.store.sqlite.backup import back_up


@click.command()
@click.argument("dest", type=click.Path(path_type=Path))
@with_settings
@with_json
def command(*, chosen: Chosen, dest: Path, as_json: bool) -> None:
    """Copy the database to a new file DEST, checked, while the service runs or not.

    DEST appears when it is whole; an existing file is never overwritten.
    """
    back_up(sqlite_path(chosen.load()), dest, progress=_progress if sys.stderr.isatty() else None)
    size = dest.stat().st_size
    if as_json:
        click.echo(json.dumps({"path": str(dest), "bytes": size}))
    else:
        click.echo(f"{dest} ({size:,} bytes)")


def _progress(left: int, total: int) -> None:
    share = 100 if total == 0 else 100 * (total - left) // total
    click.echo(f"\r{share:3} %{'' if left else chr(10)}", err=True, nl=False)
