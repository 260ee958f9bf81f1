"""`serve --workers`: real processes behind one port, replaced, killed and left alone."""

import asyncio
import json
import os
import signal
from collections import Counter
from collections.abc import Coroutine, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]
import pytest

from ringback.testing.caller import Caller
from ringback.testing.collector import Collector
from ringback.testing.eventually import eventually
from ringback.testing.postgres import database
from ringback.testing.process import NotReady, ServiceProcess
from ringback.testing.shop import Shop


@pytest.fixture
def url() -> Iterator[str]:
    with database() as url:
        yield url


@pytest.fixture
def us(tmp_path: Path, url: str) -> ServiceProcess:
    return ServiceProcess(
        tmp_path,
        RINGBACK_DATABASE=url,
        RINGBACK_WORKERS="2",
        RINGBACK_LEASE_S="1",
        RINGBACK_DRAIN_TIMEOUT_S="1",
        RINGBACK_LOG_FORMAT="json",
    )


def run(story: Coroutine[Any, Any, None]) -> None:
    asyncio.run(story)


def logged(us: ServiceProcess, event: str) -> list[dict[str, Any]]:
    marked = [line for line in us.stderr.splitlines() if f'"event":"{event}"' in line]
    return [json.loads(line) for line in marked]


def workers(us: ServiceProcess) -> list[psutil.Process]:
    return list(psutil.Process(us.pid).children())


async def count(us: ServiceProcess, event: str) -> int:
    return len(logged(us, event))


async def whole(us: ServiceProcess) -> None:
    """Until all workers answer."""
    await eventually(lambda: count(us, "workers_ready"), bool)


def test_a_rolling_restart_loses_and_refuses_nothing(us: ServiceProcess) -> None:
    async def story() -> None:
        async with Collector() as receiver, us, AsyncExitStack() as stack:
            await us.start()
            await whole(us)
            before = {process.pid for process in workers(us)}
            accepted: set[str] = set()
            async with Caller(us.url, us.token) as caller:
                shop = await Shop.open(caller)
                await shop.endpoint(receiver.url())
            app_id = shop.path.removeprefix("/app/")
            callers = [Caller(us.url, us.token) for _ in range(8)]
            shops = [Shop(await stack.enter_async_context(one), app_id) for one in callers]
            healths = [await one.caller.get("/health") for one in shops]
            assert len({health.json["engine"]["node"] for health in healths}) == 2
            for one in shops:
                await one.caller.get("/app")
            # A line is written when its request has been answered.
            await eventually(lambda: count(us, "request"), lambda seen: seen == 2 + len(shops))
            spread = Counter(line["worker"] for line in logged(us, "request"))
            assert max(spread.values()) - min(spread.values()) <= 2  # the first caller made two

            is_over = asyncio.Event()

            async def publish(shop: Shop, *, anew: bool) -> None:
                while not is_over.is_set():
                    accepted.add(await shop.publish())
                    if anew:
                        shop.caller.close()

            async with asyncio.TaskGroup() as group:
                for place, one in enumerate(shops):
                    group.create_task(publish(one, anew=place % 2 == 0))
                os.kill(us.pid, signal.SIGHUP)
                await eventually(lambda: count(us, "restarted"), bool)
                is_over.set()
            assert before.isdisjoint({process.pid for process in workers(us)})
            await receiver.until(lambda: accepted <= {one.msg_id for one in receiver.arrivals})
            assert len(accepted) > 20
            for one in shops:
                one.caller.close()
            assert await us.terminate() == 0
            assert {line.get("worker") for line in logged(us, "stopped")} == {1, 2, None}

    run(story())


def test_workers_that_end_are_replaced_and_none_outlives_its_supervisor(
    us: ServiceProcess,
) -> None:
    async def story() -> None:
        async with Collector(lambda _: None) as receiver, us:
            await us.start()
            await whole(us)
            async with Caller(us.url, us.token) as caller:
                shop = await Shop.open(caller)
                await shop.endpoint(receiver.url())
                accepted = {await shop.publish() for _ in range(3)}
                await receiver.received(3)
            [served_by] = {line["worker"] for line in logged(us, "request")}
            for process in workers(us):
                if number_of(process) == served_by:
                    process.kill()
                else:
                    process.terminate()
            # Nobody was answered, so they come again from a node that adopts them.
            await receiver.until(lambda: len(receiver.arrivals) >= 6)
            assert {one.msg_id for one in receiver.arrivals} == accepted
            assert await eventually(lambda: count(us, "ready"), lambda seen: seen == 4)
            codes = {line["worker"]: line["code"] for line in logged(us, "worker_ended")}
            assert codes == {served_by: -9, 3 - served_by: 0}
            left = workers(us)
            await us.kill()

            async def alive() -> list[psutil.Process]:
                return [process for process in left if process.is_running()]

            await eventually(alive, lambda running: not running)
            assert {line["worker"] for line in logged(us, "supervisor_gone")} == {1, 2}

    run(story())


def test_a_service_that_cannot_start_says_why_once(tmp_path: Path) -> None:
    async def story() -> None:
        database = "postgresql://ringback@127.0.0.1:1/nowhere"
        us = ServiceProcess(tmp_path, RINGBACK_DATABASE=database, RINGBACK_WORKERS="3")
        async with us:
            with pytest.raises(NotReady):
                await us.start()
            assert await us.ended() == 3
            said = [line for line in us.stderr.splitlines() if line.startswith("ringback:")]
            assert len(said) == 1
            assert "is the server running" in said[0]

    run(story())


def test_a_file_has_one_owner(tmp_path: Path) -> None:
    async def story() -> None:
        async with ServiceProcess(tmp_path, RINGBACK_WORKERS="2") as us:
            with pytest.raises(NotReady, match="leave workers at 1"):
                await us.start()
            assert await us.ended() == 2

    run(story())


def number_of(worker: psutil.Process) -> int:
    return int(worker.cmdline()[-1].split(":")[0])
