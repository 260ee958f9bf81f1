"""`ringback nodes`: who is alive, what each holds, and whose work is being taken over."""

import asyncio
import json
import sqlite3
from datetime import UTC, datetime
from typing import Final

import click
from msgspec.structs import asdict

from ringback.cli.options import Chosen, with_json, with_settings
from ringback.clock import Clock
from ringback.config import Settings
from ringback.database import check_url, is_postgres, sqlite_path
from ringback.errors import SchemaMismatch, StoreUnavailable
from ringback.store.nodes import NodeState

COLUMNS: Final = (
    ("epoch", "EPOCH"),
    ("host", "HOST"),
    ("pid", "PID"),
    ("role", "ROLE"),
    ("version", "VERSION"),
    ("since", "SINCE (UTC)"),
    ("lease", "LEASE"),
    ("skew", "SKEW"),
    ("batches", "BATCHES"),
    ("deliveries", "IN FLIGHT"),
)


@click.command()
@with_settings
@with_json
def command(*, chosen: Chosen, as_json: bool) -> None:
    """Show which nodes are alive and what each holds.

    A dead one is listed until the others have taken over what it held.
    """
    settings = chosen.load()
    check_url(settings)
    nodes = _of_server(settings) if is_postgres(settings) else _of_file(settings)
    if as_json:
        click.echo(json.dumps([asdict(node) for node in nodes], indent=2))
    elif nodes:
        _print([dict(COLUMNS), *map(_row, nodes)])
    else:
        click.echo("no node runs, and none has left anything behind", err=True)


def _of_server(settings: Settings) -> list[NodeState]:
    from ringback.store.postgres.nodes import nodes_of

    return asyncio.run(nodes_of(settings))


def _of_file(settings: Settings) -> list[NodeState]:
    from ringback.store.sqlite.faults import translated
    from ringback.store.sqlite.file import open_for_reading
    from ringback.store.sqlite.migrate import status
    from ringback.store.sqlite.nodes import list_nodes

    path = sqlite_path(settings)
    if not path.exists():
        raise StoreUnavailable(f"there is no database {path}; `ringback serve` creates it")
    if any(state.applied_at_ms is None for state in status(path)):
        raise SchemaMismatch(f"{path} is not of this version; `ringback migrate up` brings it up")
    connection = open_for_reading(path)
    try:
        return list_nodes(connection, now_ms=Clock().now_ms())
    except sqlite3.Error as error:
        raise translated(error) from error
    finally:
        connection.close()


def _row(node: NodeState) -> dict[str, str]:
    since = datetime.fromtimestamp(node.joined_at_ms / 1000, UTC)
    return {
        "epoch": str(node.epoch),
        "host": node.host,
        "pid": str(node.pid),
        "role": node.role,
        "version": node.version,
        "since": f"{since:%Y-%m-%d %H:%M:%S}",
        "lease": _lease(node),
        "skew": f"{node.skew_ms} ms",
        "batches": str(node.batches),
        "deliveries": str(node.deliveries),
    }


def _lease(node: NodeState) -> str:
    if node.is_gone:
        return "gone, being adopted"
    if node.lease_left_ms <= 0:
        return f"ran out {-node.lease_left_ms / 1000:.1f} s ago"
    return f"{node.lease_left_ms / 1000:.1f} s"


def _print(rows: list[dict[str, str]]) -> None:
    widths = {name: max(len(row[name]) for row in rows) for name, _ in COLUMNS}
    for row in rows:
        click.echo("  ".join(row[name].ljust(widths[name]) for name, _ in COLUMNS).rstrip())
