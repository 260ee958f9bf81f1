"""What becomes of a phase's reports, and that no child outlives its block."""

import asyncio
import math
import os
import sys

import psutil  # type: ignore[import-untyped]
import pytest
from bench.child import process
from bench.figures import Latency
from bench.ledger import Account, Window
from bench.plan import Sent
from bench.server import Memory, Server
from bench.sink import Report, Snapshot
from bench.stage import costs, losses, rates, spans

SECOND = 1_000_000_000
SENT = Sent(
    sent=110,
    accepted=100,
    statuses={202: 100, 503: 7},
    refused=[1, 2],
    broken=2,
    unanswered=1,
    start_ns=0,
    window_ns=SECOND,
    end_ns=3 * SECOND + SECOND // 2,
    cpu_s=0.0011,
    accepted_in_window=50,
    accept=Latency(),
    late=Latency(),
)
REPORT = Report(
    arrived=190,
    duplicates=3,
    stale=0,
    stray=0,
    account=Account(missing=10, unexpected=0),
    window=Window(150, Latency(150, 1, 2, 3, 4), [70, 60, 20]),
)
IGNORES_SIGTERM = (
    "import signal, sys, time\n"
    "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    "print('{}', flush=True)\n"
    "time.sleep(60)\n"
)


def test_rates_are_of_the_window_and_the_slowest_second_is_a_whole_one() -> None:
    at_end = Snapshot(arrived=180, hung=0, failed=0, last_ns=0, cpu_s=0)
    figures = rates(SENT, REPORT, at_end=at_end, fan=2)
    assert figures["deliveries_per_s"] == 60
    assert figures["accepts_per_s"] == 20
    assert figures["slowest_second"] == 60
    assert figures["backlog"] == 20
    assert math.isnan(figures["late_p99_ms"])


def test_costs_are_by_delivery_or_by_message_where_none_is_delivered() -> None:
    figures = costs(SENT, cpu_s=0.019, sink_s=0.0019, arrived=190)
    assert figures == pytest.approx({"app_us": 100, "sink_us": 10, "generator_us": 10})
    assert costs(SENT, cpu_s=0.019, sink_s=0, arrived=0)["app_us"] == pytest.approx(190)


def test_losses_count_refusals_and_what_got_no_answer() -> None:
    figures = losses(SENT, REPORT)
    assert (figures["refused"], figures["broken"], figures["duplicates"]) == (7, 3, 3)


def test_a_latency_of_nothing_has_no_figures() -> None:
    assert spans("accept", Latency()) == {}
    assert spans("accept", Latency(1, 1, 2, 3, 4))["accept_p99_ms"] == 3


def test_a_process_tree_is_measured_and_an_unknown_one_is_not() -> None:
    here = Server("", "", os.getpid())
    assert here.cpu_s() > 0
    assert Memory(here).peak_mib > 1
    nowhere = Server("", "")
    assert math.isnan(nowhere.cpu_s())
    assert math.isnan(Memory(nowhere).peak_mib)


def test_a_child_ends_with_its_block_whatever_happens_in_it() -> None:
    async def run() -> int:
        async with process([sys.executable, "-c", IGNORES_SIGTERM]) as child:
            await child.hear()
            assert psutil.pid_exists(child.pid)
            raise KeyError(child.pid)

    with pytest.raises(KeyError) as raised:
        asyncio.run(run())
    assert not psutil.pid_exists(raised.value.args[0])


def test_a_polite_end_lets_the_child_finish() -> None:
    finishes = "import signal, sys\nsignal.signal(signal.SIGTERM, lambda *_: sys.exit(7))\n"

    async def run() -> int | None:
        command = [sys.executable, "-c", finishes + "print('{}', flush=True)\nsignal.pause()"]
        async with process(command, is_polite=True) as child:
            await child.hear()
        return child.exit_code

    assert asyncio.run(run()) == 7


def test_a_child_that_ends_early_is_noticed() -> None:
    async def run() -> None:
        async with process([sys.executable, "-c", "pass"]) as child:
            await child.hear()

    with pytest.raises(RuntimeError, match="ended early"):
        asyncio.run(run())
