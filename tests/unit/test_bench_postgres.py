"""What a PostgreSQL costs, as the server and the kernel say it."""

import asyncio
import math

import asyncpg  # type: ignore[import-untyped]
from bench.database import opened
from bench.postgres import Cost, Postgres, running
from bench.stage import database_costs

from ringback.testing import postgres
from ringback.testing.eventually import eventually


def test_writing_costs_log_and_commits() -> None:
    async def run(url: str) -> tuple[Postgres, Cost]:
        found = await running(url)
        connection = await asyncpg.connect(url)
        before = await found.cost()
        await connection.execute("CREATE TABLE one (body text)")
        await connection.execute("INSERT INTO one VALUES (repeat('x', 1000))")
        await connection.close()

        async def used() -> Cost:
            return (await found.cost()).since(before)

        # A server counts what a session did when it has ended, or a little later.
        return found, await eventually(used, lambda cost: cost.commits >= 2)

    with postgres.database() as url:
        found, used = asyncio.run(run(url))
    assert used.wal_bytes > 1_000
    if found.pid:
        assert found.cpu_s() > 0
        assert found.memory_mib() > 1


def test_costs_are_by_delivery_and_unknown_ones_stay_so() -> None:
    figures = database_costs(Cost(cpu_s=0.004, wal_bytes=90_000, commits=2), arrived=100)
    assert figures["postgres_us"] == 40
    assert (figures["wal_bytes"], figures["commits"]) == (900, 0.02)
    assert math.isnan(figures["statements"])


def test_a_database_without_a_name_is_a_file_and_gone_at_the_end() -> None:
    async def run() -> None:
        async with opened() as database:
            assert database.file is not None
            assert database.url == f"sqlite:///{database.file}"
            assert database.place.exists()
        assert not database.place.exists()

    asyncio.run(run())
