"""`ringback migrate`: what the schema of the database is, and bringing it to this version."""

import json
from datetime import UTC, datetime

import click
from msgspec.structs import asdict

from ringback.cli.options import Chosen, with_json, with_settings
from ringback.clock import Clock
from ringback.database import sqlite_path
from ringback.store.migrate import State, known
from ringback.store.sqlite.migrate import status, up

MIGRATIONS = "ringback.store.sqlite"


@click.command()
@click.argument("action", type=click.Choice(["status", "up"]), default="status")
@click.option("--sql", is_flag=True, help="Print what is pending as SQL, and change nothing.")
@with_settings
@with_json
def command(*, chosen: Chosen, action: str, sql: bool, as_json: bool) -> None:
    """Show which migrations the database has, or apply what is pending.

    `serve` migrates by itself when it starts; `up` is for doing it apart, while nothing runs.
    """
    settings = chosen.load()
    path = sqlite_path(settings)
    if action == "up" and not sql:
        states = up(path.absolute(), settings, Clock())
    else:
        states = status(path) if path.exists() else _none_applied()
    if sql:
        _print_sql(states)
    elif as_json:
        click.echo(json.dumps([asdict(state) for state in states], indent=2))
    else:
        for state in states:
            click.echo(f"{state.number:04} {state.name:30} {_when(state)}")


def _none_applied() -> list[State]:
    return [State(one.number, one.name, None) for one in known(MIGRATIONS)]


def _print_sql(states: list[State]) -> None:
    pending = {state.number for state in states if state.applied_at_ms is None}
    for migration in known(MIGRATIONS):
        if migration.number in pending:
            click.echo(f"-- {migration.number:04}_{migration.name}\n{migration.text.rstrip()}\n")


def _when(state: State) -> str:
    if state.applied_at_ms is None:
        return "pending"
    at = datetime.fromtimestamp(state.applied_at_ms / 1000, UTC)
    return f"applied {at:%Y-%m-%d %H:%M:%S} UTC"
