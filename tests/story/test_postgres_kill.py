"""Kill nodes with SIGKILL at random, under load: others take over, nothing accepted is lost.

Three nodes over one database with fsync on. What a dead node had in flight is what may arrive
twice: the database itself notes it.

RINGBACK_TEST_KILLS is how often to kill, all worlds together.
"""

import asyncio
import os
import random
from pathlib import Path

import pytest
import uvloop

from ringback.testing.fleet import Fleet
from ringback.testing.outcome import NoteFault, Outcome
from ringback.testing.postgres import durable_server
from ringback.testing.process import ServiceProcess

KILLS = int(os.environ.get("RINGBACK_TEST_KILLS", "100"))
NODES = 3
KILLED_WHILE_STARTING = 0.2
LIVES_S_MAX = 0.8
LEASE = {"RINGBACK_LEASE_S": "2"}
WORLDS: dict[str, dict[str, str]] = {
    "plain": {},
    "overflow": {"RINGBACK_LANE_QUEUE_MAX": "5", "RINGBACK_CLAIM_BATCH_MAX": "20"},
    "small batches": {
        "RINGBACK_ACCEPT_BATCH_MAX": "5",
        "RINGBACK_RECORD_BATCH_MAX": "5",
        "RINGBACK_RECORD_QUEUE_MAX": "10",
    },
}


@pytest.mark.timeout(900)
@pytest.mark.parametrize("world", WORLDS)
def test_nothing_accepted_is_lost_when_nodes_are_killed(
    world: str, tmp_path: Path, note_fault: NoteFault
) -> None:
    kills = -(-KILLS // len(WORLDS))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        outcome = runner.run(kill_again_and_again(world, tmp_path, kills=kills))
    note_fault(outcome, f"kill -9 of nodes, {world}", times=kills)
    assert outcome.lost == 0
    assert outcome.duplicates <= outcome.bound


async def kill_again_and_again(world: str, tmp_path: Path, *, kills: int) -> Outcome:
    url = durable_server().create_database()
    async with Fleet(tmp_path, url, nodes=NODES, settings=LEASE | WORLDS[world]) as fleet:
        left = Kills(kills)
        async with asyncio.TaskGroup() as group:
            for place, node in enumerate(fleet.nodes):
                group.create_task(haunt(node, left, random.Random(f"{world} {place}")))
        outcome = await fleet.settle()
        for node in fleet.nodes:
            assert await node.terminate() == 0, node.stderr
        assert "Traceback" not in fleet.stderr
    durable_server().drop_database(url)
    return outcome


class Kills:
    def __init__(self, left: int) -> None:
        self._left = left

    def take(self) -> bool:
        self._left -= 1
        return self._left >= 0


async def haunt(node: ServiceProcess, kills: Kills, chance: random.Random) -> None:
    """Each node dies by itself: now one of them, now all at once, now one that is starting."""
    while kills.take():
        await asyncio.sleep(chance.uniform(0, LIVES_S_MAX))  # sleeps: any moment
        await node.kill()
        node.spawn()
        while chance.random() < KILLED_WHILE_STARTING and kills.take():
            await asyncio.sleep(chance.uniform(0.1, 1.0))  # sleeps: at any step of its start
            await node.kill()
            node.spawn()
        await node.ready()
