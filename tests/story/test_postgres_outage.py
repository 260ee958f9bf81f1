"""The database crashes, restarts or is down for a while, under load: nothing accepted is lost.

RINGBACK_TEST_OUTAGE_S is how long it is down in the longest of these stories.
"""

import asyncio
import os
from functools import partial
from pathlib import Path

import pytest
import uvloop

from ringback.testing.caller import Caller
from ringback.testing.eventually import eventually
from ringback.testing.fleet import Fleet
from ringback.testing.load import check_refusal
from ringback.testing.outcome import NoteFault
from ringback.testing.postgres import EXTERNAL, aside, durable_server

OUTAGE_S = float(os.environ.get("RINGBACK_TEST_OUTAGE_S", "3"))
LINES_MAX = 4  # of one node for one outage: it broke, it is not there, it starts
LEASE = {"RINGBACK_LEASE_S": "2"}

pytestmark = pytest.mark.skipif(bool(EXTERNAL), reason="restarts the server: needs one of its own")


@pytest.mark.parametrize(("how", "restarts"), [("crashes", [True] * 3), ("is restarted", [False])])
def test_the_server_restarts_under_load(
    how: str, restarts: list[bool], tmp_path: Path, note_fault: NoteFault
) -> None:
    server = durable_server()
    url = server.create_database()

    async def story() -> None:
        async with Fleet(tmp_path, url, nodes=2) as fleet:
            for is_crash in restarts:
                await fleet.publishers.accept(100)
                await aside(partial(server.restart, immediate=is_crash))
            await fleet.publishers.accept(100)
            outcome = await fleet.settle()
            for node in fleet.nodes:
                assert await node.terminate() == 0, node.stderr
            note_fault(outcome, f"PostgreSQL {how}", times=len(restarts))
            assert outcome.lost == 0
            assert "Traceback" not in fleet.stderr
            assert len(fleet.said("store_unavailable")) <= LINES_MAX * 2 * len(restarts)

    uvloop.run(story())
    server.drop_database(url)


def test_while_the_server_is_down_nothing_is_accepted_and_then_all_goes_on(
    tmp_path: Path, note_fault: NoteFault
) -> None:
    server = durable_server()
    url = server.create_database()

    async def story() -> None:
        async with Fleet(tmp_path, url, nodes=2, settings=LEASE) as fleet:
            await fleet.publishers.accept(200)
            await aside(lambda: server.stop(immediate=True))
            await fleet.publishers.refuse(20)
            accepted = len(fleet.publishers.accepted)
            async with fleet.caller() as caller:
                await is_refused(caller, fleet.app_id)
                await asyncio.sleep(OUTAGE_S)  # sleeps: that long
                await fleet.publishers.refuse(20)
                assert len(fleet.publishers.accepted) == accepted, "accepted without a database"
                await is_refused(caller, fleet.app_id)
                await aside(server.start)
                await fleet.publishers.accept(200)
                await eventually(lambda: caller.get("/health"), lambda answer: answer.status == 200)
            outcome = await fleet.settle()
            for node in fleet.nodes:
                assert await node.terminate() == 0, node.stderr
            note_fault(outcome, f"PostgreSQL is down for {OUTAGE_S:g} s")
            assert outcome.lost == 0
            assert "Traceback" not in fleet.stderr
            minutes = 1 + OUTAGE_S // 60
            assert len(fleet.said("store_unavailable")) <= LINES_MAX * 2 * minutes

    uvloop.run(story())
    server.drop_database(url)


async def is_refused(caller: Caller, app_id: str) -> None:
    """The process is there, and says that its database is not."""
    assert (await caller.get("/health/ping")).status == 204
    health = await caller.get("/health")
    assert health.status == 503
    [why] = health.json["database"]["detail"].splitlines()
    assert "connection" in why or "starting or stopping" in why
    body = {"eventType": "order.paid", "payload": {}}
    check_refusal(await caller.post(f"/app/{app_id}/msg", body))
    check_refusal(await caller.get(f"/app/{app_id}"))
    check_refusal(await caller.post("/app", {"name": "Another"}))
