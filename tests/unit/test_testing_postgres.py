"""The PostgreSQL of tests: its version, and several processes on one that runs already."""

import asyncio
import os
import subprocess
import sys

import asyncpg  # type: ignore[import-untyped]
import pytest

from ringback.testing.postgres import number_of, shared_server

USE = """
from ringback.testing.postgres import TEMPLATE, durable_server, shared_server, version
server = shared_server()
assert server is durable_server()
role = server.create_role("guest", "hunter2")
assert role == server.create_role("guest", "hunter2")
for _ in range(2):
    server.drop_database(server.create_database())
print(version(), TEMPLATE, role)
"""
LEFT = "SELECT datname FROM pg_database UNION SELECT rolname FROM pg_roles"


@pytest.mark.parametrize(
    ("told", "number"),
    [
        ("postgres (PostgreSQL) 13.23\n", 13),
        ("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n", 15),
        ("postgres (PostgreSQL) 18beta1\n", 18),
        ("postgres (PostgreSQL) 19devel\n", 19),
    ],
)
def test_a_version_is_its_first_number(told: str, number: int) -> None:
    assert number_of(told) == number


def test_processes_that_share_a_server_leave_it_as_it_was() -> None:
    """Without any programs of PostgreSQL: a URL is enough."""
    url = shared_server().url("postgres")
    environment = {**os.environ, "RINGBACK_TEST_POSTGRES": url, "PATH": ""}
    users = [
        subprocess.Popen(
            [sys.executable, "-c", USE], env=environment, stdout=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    told = [user.communicate()[0].split() for user in users]
    assert [user.returncode for user in users] == [0, 0]
    (version, *names), (other_version, *other_names) = told
    assert version == other_version
    assert len({*names, *other_names}) == 4
    assert asyncio.run(left(url)).isdisjoint([*names, *other_names])


async def left(url: str) -> set[str]:
    """The names of all that is on a server."""
    connection = await asyncpg.connect(url)
    try:
        return {name for (name,) in await connection.fetch(LEFT)}
    finally:
        await connection.close()
