"""Which server a connection is to, when the URL names several, and what is asked of the network."""

import asyncio
import socket
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import asyncpg  # type: ignore[import-untyped]
import pytest

from ringback.clock import Clock
from ringback.config import Settings
from ringback.errors import SchemaMismatch, StoreUnavailable
from ringback.store.postgres import connection as connections
from ringback.store.postgres.connection import SILENCE_S, Servers, _one_by_one, connect
from ringback.store.postgres.pool import Pool
from ringback.testing.chaos import closed_port
from ringback.testing.postgres import database


@pytest.fixture
def url() -> Iterator[str]:
    with database() as url:
        yield url


def several(url: str, *hosts: str) -> str:
    parts = urlsplit(url)
    user, _, host = parts.netloc.rpartition("@")
    return parts._replace(netloc=f"{user}@{','.join((*hosts, host))}").geturl()


@pytest.mark.parametrize(
    ("url", "hosts"),
    [
        ("postgresql://u:p@a/db", ["u:p@a"]),
        ("postgresql://u:p@a:1,b:2/db", ["u:p@a:1", "u:p@b:2"]),
        ("postgresql://a,b", ["a", "b"]),
        ("postgresql://u@[::1]:5,[::2]/db", ["u@[::1]:5", "u@[::2]"]),
    ],
)
def test_each_host_is_tried_by_itself(url: str, hosts: list[str]) -> None:
    found = _one_by_one(f"{url}?target_session_attrs=read-write")
    assert [urlsplit(one).netloc for one in found] == hosts
    assert {urlsplit(one).query for one in found} == {"target_session_attrs=read-write"}


def test_a_url_without_a_host_is_left_to_the_driver() -> None:
    url = "postgresql:///db?host=/run/postgresql"
    assert _one_by_one(url) == [url]


def test_the_server_that_took_writes_last_is_asked_first(url: str) -> None:
    async def run() -> list[str]:
        gone = f"127.0.0.1:{closed_port()}"
        servers = Servers(Settings(database=several(url, gone, gone)))
        connection = await servers.connect()
        await connection.close()
        return servers._urls

    assert asyncio.run(run())[0] == url


def test_a_server_that_takes_no_writes_is_passed(url: str) -> None:
    name = urlsplit(url).path[1:]

    async def run(settings: Settings) -> None:
        connection = await connect(Settings(database=url))
        await connection.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
        await connection.close()
        await connect(settings)

    host = urlsplit(url).netloc.rpartition("@")[2]
    for attributes in ("", "?target_session_attrs=read-write"):
        with pytest.raises(StoreUnavailable, match=f"{host}.*takes no writes; connect to the pri"):
            asyncio.run(run(Settings(database=url + attributes)))


def test_the_system_watches_over_a_connection(url: str) -> None:
    async def run() -> dict[str, int]:
        connection: Any = await connect(Settings(database=url))
        link = connection._transport.get_extra_info("socket")
        names = [name for name in ("TCP_USER_TIMEOUT", "TCP_KEEPIDLE") if hasattr(socket, name)]
        found = {name: link.getsockopt(socket.IPPROTO_TCP, getattr(socket, name)) for name in names}
        found["SO_KEEPALIVE"] = link.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        await connection.close()
        return found

    found = asyncio.run(run())
    assert found.pop("SO_KEEPALIVE") == 1
    assert all(0 < value <= SILENCE_S * 1000 for value in found.values())


def test_a_server_that_is_too_old_is_refused(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as change:
        change.setattr(connections, "OLDEST_SERVER", 990_000)
        with pytest.raises(SchemaMismatch, match="needs 99 or later: upgrade the server"):
            asyncio.run(connect(Settings(database=url)))


def test_a_server_that_could_not_be_reached_is_not_asked_again_at_once() -> None:
    tries = 0

    async def fail() -> Any:
        nonlocal tries
        tries += 1
        raise StoreUnavailable("not there")

    async def run() -> None:
        pool = Pool(fail, 2, wait_s=1, clock=StillClock())
        for _ in range(3):
            with pytest.raises(StoreUnavailable, match="not there"):
                async with pool.use():
                    pass

    class StillClock(Clock):
        def monotonic(self) -> float:
            return 1.0

    asyncio.run(run())
    assert tries == 1


def test_who_is_stopped_while_connecting_leaves_nothing_open(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Any] = []
    is_made = asyncio.Event()
    really = asyncpg.connect

    async def noted(*args: Any, **options: Any) -> Any:
        made.append(await really(*args, **options))
        is_made.set()
        return made[-1]

    monkeypatch.setattr(asyncpg, "connect", noted)

    async def run() -> None:
        connecting = asyncio.create_task(connect(Settings(database=url)))
        await is_made.wait()
        connecting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await connecting
        assert made[0].is_closed()

    asyncio.run(run())
