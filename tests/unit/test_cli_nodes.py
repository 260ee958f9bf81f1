"""`ringback nodes`: what is shown of those who run, of those who died, and where nobody was."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from ringback.cli.group import ringback
from ringback.clock import Clock
from ringback.config import Settings
from ringback.database import open_database
from ringback.errors import SchemaMismatch, StoreUnavailable
from ringback.store.nodes import NodeAbout
from ringback.store.port import Lease, Store
from ringback.testing.postgres import database

HOUR_MS = 3_600_000


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'ringback.db'}"
    else:
        with database() as made:
            yield made


def printed(url: str, *arguments: str) -> str:
    result = CliRunner().invoke(ringback, ["nodes", "--database", url, *arguments])
    assert result.exit_code == 0, result.output
    return str(result.stdout)


def with_nodes(url: str, *leases_ms: int) -> None:
    """Nodes that joined, in this order, and never left."""

    async def run() -> None:
        store = await open_database(Settings(database=url), Clock())
        for place, lease_ms in enumerate(leases_ms):
            await joined(store, f"host-{place}", lease_ms=lease_ms)
        await store.close()

    asyncio.run(run())


async def joined(store: Store, host: str, *, lease_ms: int) -> Lease:
    about = NodeAbout(host, pid=7, role="worker", version="1.2")
    lease = await store.nodes.join(about, lease_ms=lease_ms)
    await store.nodes.renew(lease, lease_ms=lease_ms, skew_ms=-42)
    return lease


def test_the_living_and_the_dead_are_told_apart(url: str) -> None:
    with_nodes(url, HOUR_MS, 0)
    head, alive, dead = printed(url).splitlines()
    assert head.split()[:3] == ["EPOCH", "HOST", "PID"]
    for word in ("host-0", "7", "worker", "1.2", "-42 ms"):
        assert word in alive
    assert "ran out" not in alive
    assert "ran out" in dead


def test_programs_get_numbers(url: str) -> None:
    with_nodes(url, HOUR_MS)
    [node] = json.loads(printed(url, "--json"))
    assert 0 < node.pop("lease_left_ms") <= HOUR_MS
    assert node.pop("joined_at_ms") > 0
    assert node.pop("id").startswith("node_")
    assert node.pop("epoch") == 1
    assert node == {
        "host": "host-0",
        "pid": 7,
        "role": "worker",
        "version": "1.2",
        "skew_ms": -42,
        "is_gone": False,
        "batches": 0,
        "deliveries": 0,
    }


def test_a_database_without_nodes_is_no_error(url: str) -> None:
    with_nodes(url)
    assert printed(url) == ""
    assert json.loads(printed(url, "--json")) == []


def test_a_file_that_is_not_migrated_is_told_how_it_is(tmp_path: Path) -> None:
    file = tmp_path / "ringback.db"
    file.touch()
    result = CliRunner().invoke(ringback, ["nodes", "--database", f"sqlite:///{file}"])
    assert isinstance(result.exception, SchemaMismatch)
    assert "ringback migrate up" in str(result.exception)


def test_there_is_no_database(tmp_path: Path) -> None:
    arguments = ["nodes", "--database", f"sqlite:///{tmp_path / 'none.db'}"]
    result = CliRunner().invoke(ringback, arguments)
    assert isinstance(result.exception, StoreUnavailable)
    assert "there is no database" in str(result.exception)
