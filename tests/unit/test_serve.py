"""The composition root as a library, and what it refuses to start with."""

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest
import uvloop
from msgspec.structs import replace
from structlog.testing import capture_logs

from ringback import serve
from ringback.cli.call import Server, call
from ringback.config import Settings
from ringback.errors import CannotListen, ConfigError, EngineStopped, StoreOwned
from ringback.serve import Service, check, running
from ringback.testing.caller import Caller
from ringback.testing.collector import Collector
from ringback.testing.process import token
from ringback.testing.shop import Shop, loopback

KEY = "a key for tests, long enough for HS256 to be happy"


def settings(directory: Path, **changes: Any) -> Settings:
    values = {
        "database": f"sqlite:///{directory / 'ringback.db'}",
        "listen": "127.0.0.1:0",
        "jwt_secret": KEY,
    }
    return Settings(**(values | changes))


def run(story: Coroutine[Any, Any, None]) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(story)


async def status_of(service: Service, path: str) -> int:
    return (await asyncio.to_thread(call, Server(service.url), "GET", path)).status


def test_a_service_runs_in_any_event_loop_and_leaves_nothing_behind(tmp_path: Path) -> None:
    async def story() -> None:
        for _ in range(2):
            async with running(settings(tmp_path)) as service:
                assert await status_of(service, "/health") == 200
                assert (await service.engine.health()).is_alive
            assert len(asyncio.all_tasks()) == 1

    run(story())


def test_a_service_that_cannot_start_leaves_nothing_behind(tmp_path: Path) -> None:
    async def story() -> None:
        async with running(settings(tmp_path)) as first:
            port = first.url.rpartition(":")[2]
            with pytest.raises(CannotListen):
                await started(settings(tmp_path, listen=f"127.0.0.1:{port}"))
            with pytest.raises(StoreOwned):
                await started(settings(tmp_path))
            with pytest.raises(ConfigError):
                await started(settings(tmp_path, jwt_secret=""))
            assert await status_of(first, "/health") == 200

    run(story())


async def started(chosen: Settings) -> None:
    async with running(chosen):
        raise AssertionError("it must not start")


def test_without_a_key_it_says_how_to_get_one() -> None:
    with pytest.raises(ConfigError, match="ringback dev") as caught:
        check(Settings())
    assert "openssl rand" in str(caught.value)


class DeadEngine:
    """An engine that has come to its end by itself."""

    async def ended(self) -> None:
        return


def test_a_process_whose_engine_is_dead_ends() -> None:
    dead: Any = DeadEngine()
    with pytest.raises(EngineStopped, match="start the service again"):
        run(serve._until(asyncio.Event(), dead))


def test_an_engine_that_broke_is_waited_for_by_nobody(tmp_path: Path) -> None:
    """Neither attempts in flight nor results would ever be recorded; and it ends in one line."""

    async def defect(*_: object) -> None:
        raise RuntimeError("a defect")

    async def story() -> None:
        chosen = replace(loopback(tmp_path / "ringback.db"), drain_timeout_s=3_600)
        async with (
            Collector(lambda arrival: None if arrival.path == "/hangs" else 200) as receiver,
            asyncio.timeout(60),
            running(chosen) as service,
            Caller(service.url, token()) as caller,
        ):
            shop = await Shop.open(caller)
            await shop.endpoint(receiver.url("/hangs"))
            await shop.endpoint(receiver.url("/answers"))
            path: Any = service.store.path
            path.record = defect
            await shop.publish()
            await service.engine.ended()
            refused = await caller.post(f"{shop.path}/msg", {"eventType": "e", "payload": {}})
            assert refused.status == 503
            raise EngineStopped

    with capture_logs() as lines, pytest.raises(EngineStopped, match="see the log above") as caught:
        run(story())
    assert not isinstance(caught.value.__cause__, ExceptionGroup)
    events = [line["event"] for line in lines]
    assert events.count("engine_stopped") == 1
    assert "results_abandoned" in events


def test_start_and_end_are_logged(tmp_path: Path) -> None:
    async def story() -> None:
        async with running(settings(tmp_path)):
            pass

    with capture_logs() as lines:
        run(story())
    assert {"ready", "stopped"} <= {line["event"] for line in lines}


@pytest.mark.parametrize("role", ["api", "worker"])
def test_on_a_file_one_process_does_everything(tmp_path: Path, role: str) -> None:
    with pytest.raises(ConfigError, match=r"^role: .*PostgreSQL"):
        check(settings(tmp_path, role=role))
    check(settings(tmp_path, role=role, database="postgresql://localhost/ringback"))
