"""The network between a node and PostgreSQL fails, at the worst moments: nothing is lost.

One of two nodes reaches the database through a gate that can be spoilt, the other one directly.
"""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import uvloop

from ringback.testing.eventually import eventually
from ringback.testing.fleet import Fleet
from ringback.testing.gate import Gate, Loss
from ringback.testing.outcome import NoteFault, Outcome
from ringback.testing.postgres import durable_server

RESETS = 8
LOSSES = 4
SLOW_S = 0.05
# So short that a silent connection is given up within the story.
PATIENCE = {
    "RINGBACK_POSTGRES_STATEMENT_TIMEOUT_S": "1",
    "RINGBACK_POSTGRES_CONNECT_TIMEOUT_S": "2",
    "RINGBACK_LEASE_S": "2",
}
STATEMENTS = ("accept_messages", "claim_waiting", "UPDATE node", "record_attempts")

Fault = Callable[[Fleet, Gate], Awaitable[None]]


def through_a_gate(
    tmp_path: Path, fault: Fault, *, settings: dict[str, str] | None = None
) -> Outcome:
    """Two nodes under load, and the fault on the way of the first one."""
    server = durable_server()
    url = server.create_database()

    async def story() -> Outcome:
        async with Gate.to(url) as gate:
            ways = (gate.url(url), url)
            async with Fleet(tmp_path, *ways, nodes=2, settings=settings, witness=url) as fleet:
                await fleet.publishers.accept(50)
                await fault(fleet, gate)
                await fleet.publishers.accept(100)
                outcome = await fleet.settle()
                for node in fleet.nodes:
                    assert await node.terminate() == 0, node.stderr
                assert "Traceback" not in fleet.stderr
                return outcome

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        outcome = runner.run(story())
    server.drop_database(url)
    assert outcome.lost == 0
    return outcome


def test_connections_are_reset(tmp_path: Path, note_fault: NoteFault) -> None:
    async def fault(fleet: Fleet, gate: Gate) -> None:
        for _ in range(RESETS):
            await fleet.publishers.accept(20)
            gate.cut()

    outcome = through_a_gate(tmp_path, fault)
    note_fault(outcome, "connections are reset", times=RESETS)


@pytest.mark.parametrize("loss", Loss)
def test_an_answer_or_a_question_is_lost(loss: Loss, tmp_path: Path, note_fault: NoteFault) -> None:
    """Whether it was committed is not known to the node. It is never taken for granted."""

    async def fault(fleet: Fleet, gate: Gate) -> None:
        for _ in range(LOSSES):
            for statement in STATEMENTS:
                gate.lose(loss, statement)
                await gate.has_lost()
            # What was lost is repeated meanwhile, and gets through.
            await fleet.publishers.accept(100)

    outcome = through_a_gate(tmp_path, fault, settings={"RINGBACK_LEASE_S": "2"})
    note_fault(outcome, f"the {loss.value} is lost", times=LOSSES * len(STATEMENTS))


def test_the_network_falls_silent(tmp_path: Path, note_fault: NoteFault) -> None:
    """Half-open: no error, no answer. The other node takes over, this one gives up and recovers."""

    async def fault(fleet: Fleet, gate: Gate) -> None:
        gate.is_silent = True
        async with fleet.caller() as caller:
            await eventually(lambda: caller.get("/health"), lambda answer: answer.status == 503)
            await fleet.publishers.refuse(1)
            gate.is_silent = False
            await eventually(lambda: caller.get("/health"), lambda answer: answer.status == 200)

    outcome = through_a_gate(tmp_path, fault, settings=PATIENCE)
    note_fault(outcome, "the network falls silent")


def test_the_network_is_slow(tmp_path: Path, note_fault: NoteFault) -> None:
    async def fault(fleet: Fleet, gate: Gate) -> None:
        gate.delay_s = SLOW_S
        await fleet.publishers.accept(200)
        gate.delay_s = 0.0

    outcome = through_a_gate(tmp_path, fault)
    note_fault(outcome, f"every answer takes {SLOW_S * 1000:g} ms")
    assert outcome.refused == 0
    assert outcome.duplicates == 0
