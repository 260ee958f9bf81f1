"""The whole service on PostgreSQL: publishing, kill, and a server that goes away and comes back."""

import asyncio
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest

from ringback.testing.caller import Caller
from ringback.testing.collector import Collector
from ringback.testing.eventually import eventually
from ringback.testing.postgres import EXTERNAL, PostgresServer
from ringback.testing.process import ServiceProcess
from ringback.testing.shop import EVENT_TYPE, Shop

pytestmark = pytest.mark.skipif(bool(EXTERNAL), reason="stops the server: needs its own")

EVENT = {"eventType": EVENT_TYPE, "payload": {}}


@pytest.fixture
def server() -> Iterator[PostgresServer]:
    server = PostgresServer()
    try:
        server.start()
        yield server
    finally:
        server.close()


def run(story: Coroutine[Any, Any, None]) -> None:
    asyncio.run(story)


def test_a_server_that_restarts_is_found_again(server: PostgresServer, tmp_path: Path) -> None:
    async def story() -> None:
        settings = {"RINGBACK_DATABASE": server.create_empty_database(), "RINGBACK_LEASE_S": "1"}
        async with Collector() as receiver, ServiceProcess(tmp_path, **settings) as us:
            await us.start()
            async with Caller(us.url, us.token) as caller:
                shop = await Shop.open(caller)
                await shop.endpoint(receiver.url())
                accepted = {await shop.publish() for _ in range(3)}
                await receiver.received(3)
                server.stop(immediate=True)
                refused = await caller.post(f"{shop.path}/msg", EVENT)
                assert refused.status == 503
                await eventually(lambda: caller.get("/health"), lambda answer: answer.status == 503)
                server.start()
                await eventually(lambda: caller.get("/health"), lambda answer: answer.status == 200)
                accepted |= {await shop.publish() for _ in range(3)}
                assert {one.msg_id for one in await receiver.received(6)} == accepted
            assert await us.terminate() == 0

    run(story())


def test_what_was_accepted_before_a_kill_arrives(server: PostgresServer, tmp_path: Path) -> None:
    async def story() -> None:
        settings = {"RINGBACK_DATABASE": server.create_database(), "RINGBACK_LEASE_S": "1"}
        async with (
            Collector(lambda _: None) as receiver,
            ServiceProcess(tmp_path, **settings) as us,
        ):
            await us.start()
            async with Caller(us.url, us.token) as caller:
                shop = await Shop.open(caller)
                await shop.endpoint(receiver.url())
                accepted = {await shop.publish() for _ in range(5)}
                await receiver.received(5)
            await us.kill()
            await us.start()
            # Nobody was answered, so the same five come again once the lease of the dead is over.
            await receiver.until(lambda: len(receiver.arrivals) >= 10)
            assert {one.msg_id for one in receiver.arrivals} == accepted

    run(story())
