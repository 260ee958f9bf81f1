"""Nodes that reach PostgreSQL through PgBouncer in transaction mode, under load and killed."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import uvloop

from ringback.testing.fleet import Fleet
from ringback.testing.outcome import NoteFault
from ringback.testing.pgbouncer import PgBouncer, find
from ringback.testing.postgres import durable_server
from ringback.testing.witness import Witness

KILLS = 3
SETTINGS = {"RINGBACK_POSTGRES_PGBOUNCER": "true", "RINGBACK_LEASE_S": "2"}

pytestmark = pytest.mark.skipif(find() is None, reason="pgbouncer is not installed")


@pytest.fixture
def url() -> Iterator[str]:
    """A database whose role has the settings that a session cannot have in transaction mode."""
    server = durable_server()
    url = server.create_database()
    parts = urlsplit(url)
    limits = f"ALTER ROLE {parts.username} IN DATABASE {parts.path[1:]} SET"
    settings = (
        "enable_seqscan = off",
        "statement_timeout = '30s'",
        "lock_timeout = '10s'",
        "idle_in_transaction_session_timeout = '1s'",
    )
    script = "; ".join(f"{limits} {setting}" for setting in settings)
    asyncio.run(Witness(url).execute(script))
    yield url
    server.drop_database(url)


def test_nodes_work_through_pgbouncer_and_lose_nothing(
    tmp_path: Path, url: str, note_fault: NoteFault
) -> None:
    bouncer = PgBouncer(url)
    way = bouncer.url(url)

    async def story() -> None:
        async with Fleet(tmp_path, way, nodes=2, settings=SETTINGS, witness=url) as fleet:
            for number in range(KILLS):
                await fleet.publishers.accept(100)
                node = fleet.nodes[number % 2]
                await node.kill()
                await node.start()
            await fleet.publishers.accept(100)
            outcome = await fleet.settle()
            codes = await asyncio.gather(*(node.terminate() for node in fleet.nodes))
            assert codes == [0, 0], fleet.stderr
            assert "Traceback" not in fleet.stderr
        note_fault(outcome, "kill -9 of nodes behind PgBouncer", times=KILLS)
        assert outcome.lost == 0

    bouncer.start()
    try:
        uvloop.run(story())
    finally:
        bouncer.close()
