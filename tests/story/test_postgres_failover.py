"""The primary dies under load and its standby is promoted: nothing that was acknowledged is lost.

The standby is synchronous, so a commit is on both before it is answered. Nodes are told of both
servers and find the one that takes writes.
"""

from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import pytest
import uvloop

from ringback.testing.eventually import eventually
from ringback.testing.fleet import Fleet
from ringback.testing.outcome import NoteFault
from ringback.testing.postgres import DURABLE, EXTERNAL, USER, PostgresServer, aside

pytestmark = pytest.mark.skipif(bool(EXTERNAL), reason="ends servers: needs its own")


def test_a_standby_is_promoted_under_load(tmp_path: Path, note_fault: NoteFault) -> None:
    primary = PostgresServer(**DURABLE, synchronous_standby_names="*")
    standby = PostgresServer(**DURABLE, hot_standby="on")

    async def story() -> None:
        # Without a standby nothing can be committed, so it follows before there is anything.
        await aside(primary.start)
        await aside(lambda: standby.follow(primary))
        parts = urlsplit(primary.create_database())
        hosts = f"{USER}@127.0.0.1:{primary.port},127.0.0.1:{standby.port}"
        url = urlunsplit(parts._replace(netloc=hosts, query="target_session_attrs=read-write"))
        async with Fleet(tmp_path, url, nodes=2) as fleet:
            await fleet.publishers.accept(200)
            await aside(lambda: primary.stop(immediate=True))
            await fleet.publishers.refuse(4)
            await aside(standby.promote)
            await fleet.publishers.accept(200)
            async with fleet.caller() as caller:
                await eventually(lambda: caller.get("/health"), lambda answer: answer.status == 200)
            outcome = await fleet.settle()
            for node in fleet.nodes:
                assert await node.terminate() == 0, node.stderr
            assert "Traceback" not in fleet.stderr
        note_fault(outcome, "a standby is promoted")
        assert outcome.lost == 0

    try:
        uvloop.run(story())
    finally:
        standby.close()
        primary.close()
