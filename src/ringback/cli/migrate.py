"""`ringback migrate`: what the schema of the database is, and bringing it to this version."""

import asyncio
import json
from datetime import UTC, datetime
from typing import Protocol

import click
from msgspec.structs import asdict

from ringback.cli.options import Chosen, with_json, with_settings
from ringback.clock import Clock
from ringback.config import Settings
from ringback.database import check_url, is_postgres, sqlite_path
from ringback.store.migrate import Migration, State, known


class Schema(Protocol):
    """Where the migrations are, and what the database of the settings has of them."""

    package: str

    def up(self) -> list[State]: ...
    def status(self) -> list[State]: ...
    def script(self, migration: Migration) -> str: ...


@click.command()
@click.argument("action", type=click.Choice(["status", "up"]), default="status")
@click.option("--sql", is_flag=True, help="Print what is pending as SQL, and change nothing.")
@with_settings
@with_json
def command(*, chosen: Chosen, action: str, sql: bool, as_json: bool) -> None:
    """Show which migrations the database has, or apply what is pending.

    `serve` migrates by itself when it starts; `up` is for doing it apart: of a SQLite file while
    nothing runs, of PostgreSQL as a user who may change the schema.
    """
    schema = _schema(chosen.load())
    states = schema.up() if action == "up" and not sql else schema.status()
    if sql:
        _print_sql(schema, states, as_json=as_json)
    elif as_json:
        click.echo(json.dumps([asdict(state) for state in states], indent=2))
    else:
        for state in states:
            click.echo(f"{state.number:04} {state.name:30} {_when(state)}")


class SqliteSchema:
    package = "ringback.store.sqlite"

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._path = sqlite_path(settings)

    def up(self) -> list[State]:
        from ringback.store.sqlite.migrate import up

        return up(self._path.absolute(), self._settings, Clock())

    def status(self) -> list[State]:
        from ringback.store.sqlite.migrate import status

        if self._path.exists():
            return status(self._path)
        return [State(one.number, one.name, None) for one in known(self.package)]

    def script(self, migration: Migration) -> str:
        return f"{migration.text.rstrip()}\n"


class PostgresSchema:
    package = "ringback.store.postgres"

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def up(self) -> list[State]:
        from ringback.store.postgres.migrate import up

        return asyncio.run(up(self._settings, Clock()))

    def status(self) -> list[State]:
        from ringback.store.postgres.migrate import status

        return asyncio.run(status(self._settings))

    def script(self, migration: Migration) -> str:
        from ringback.store.postgres.migrate import script

        return script(migration, now_ms=Clock().now_ms())


def _schema(settings: Settings) -> Schema:
    check_url(settings)
    return PostgresSchema(settings) if is_postgres(settings) else SqliteSchema(settings)


def _print_sql(schema: Schema, states: list[State], *, as_json: bool) -> None:
    pending = {state.number for state in states if state.applied_at_ms is None}
    scripts = [
        {"number": migration.number, "name": migration.name, "sql": schema.script(migration)}
        for migration in known(schema.package)
        if migration.number in pending
    ]
    if as_json:
        click.echo(json.dumps(scripts, indent=2))
        return
    for script in scripts:
        click.echo(f"-- {script['number']:04}_{script['name']}\n{script['sql']}")


def _when(state: State) -> str:
    if state.applied_at_ms is None:
        return "pending"
    at = datetime.fromtimestamp(state.applied_at_ms / 1000, UTC)
    by = "" if state.is_known else " by a later version, which lets this one run on"
    return f"applied {at:%Y-%m-%d %H:%M:%S} UTC{by}"
