"""What cannot work is said in one line with what to do, and the password is in none of them.

Wrong URLs, missing rights, other schemas: refused at the start. A full disk, rights that were taken
away: answered 503 while it lasts. Nothing is half-applied.
"""

import asyncio
import os
import random
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg  # type: ignore[import-untyped]
import pytest

from ringback.cli.exits import Exit
from ringback.testing.caller import Answer, Caller
from ringback.testing.chaos import closed_port
from ringback.testing.collector import Collector
from ringback.testing.eventually import eventually
from ringback.testing.load import check_refusal
from ringback.testing.postgres import EXTERNAL, durable_server
from ringback.testing.process import ServiceProcess
from ringback.testing.shop import EVENT_TYPE, Shop

PASSWORD = "hunter2"
GUARDED = "guarded"
HBA = "host all {role} 127.0.0.1/32 scram-sha-256\n"
ROOM = "48m"
PUBLISHED_MAX = 2_000
PADDING_BYTES = 64 * 1024
TABLES = "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace"

needs_own_server = pytest.mark.skipif(
    bool(EXTERNAL), reason="changes the server's files: needs one of its own"
)


def execute(url: str, text: str) -> Any:
    """A script, or the first value of a query."""

    async def run() -> Any:
        connection = await asyncpg.connect(url)
        try:
            if text.startswith("SELECT"):
                return await connection.fetchval(text)
            return await connection.execute(text)
        finally:
            await connection.close()

    return asyncio.run(run())


@pytest.fixture
def empty() -> Iterator[str]:
    server = durable_server()
    url = server.create_empty_database()
    yield url
    server.drop_database(url)


@pytest.fixture
def migrated() -> Iterator[str]:
    server = durable_server()
    url = server.create_database()
    yield url
    server.drop_database(url)


@pytest.fixture
def reader() -> str:
    """A role that may connect, and nothing else."""
    return durable_server().create_role("story_reader", PASSWORD)


def as_role(url: str, role: str, password: str = PASSWORD) -> str:
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{role}:{password}@{host}"))


def refused(directory: Path, url: str, *words: str) -> int:
    """Start on it, which must fail with one line that says these words; the exit code."""

    async def start() -> tuple[int, str]:
        async with ServiceProcess(directory, RINGBACK_DATABASE=url) as service:
            service.spawn()
            async with asyncio.timeout(90):
                return await service.ended(), service.stderr

    code, said = asyncio.run(start())
    lines = [line for line in said.splitlines() if line]
    assert len(lines) == 1, said
    assert [word for word in words if word not in lines[0]] == [], lines[0]
    assert PASSWORD not in said
    return code


# ---- at the start -------------------------------------------------------------------------------


def test_nobody_listens_there(tmp_path: Path) -> None:
    url = f"postgresql://ringback:{PASSWORD}@127.0.0.1:{closed_port()}/x"
    assert refused(tmp_path, url, "no connection", "is the server running") == Exit.STORE


def test_there_is_no_such_host(tmp_path: Path) -> None:
    url = f"postgresql://ringback:{PASSWORD}@nowhere.invalid/x"
    assert refused(tmp_path, url, "no connection to", "nowhere.invalid") == Exit.STORE


def test_several_servers_and_none_answers(tmp_path: Path) -> None:
    hosts = [f"127.0.0.1:{closed_port()}" for _ in range(2)]
    url = f"postgresql://ringback:{PASSWORD}@{','.join(hosts)}/x"
    assert refused(tmp_path, url, *hosts) == Exit.STORE


def test_a_url_that_is_none(tmp_path: Path) -> None:
    url = f"postgresql://ringback:{PASSWORD}/2@127.0.0.1/x"
    assert refused(tmp_path, url, "%XX") == Exit.USAGE


def test_there_is_no_such_database(tmp_path: Path) -> None:
    url = durable_server().url("nowhere")
    assert refused(tmp_path, url, "no such database", "CREATE DATABASE") == Exit.USAGE


@needs_own_server
def test_the_password_is_wrong(tmp_path: Path, empty: str) -> None:
    server = durable_server()
    execute(empty, f"CREATE ROLE {GUARDED} LOGIN PASSWORD 'another'")
    rules = server.files / "pg_hba.conf"
    rules.write_text(HBA.format(role=GUARDED) + rules.read_text())
    execute(empty, "SELECT pg_reload_conf()")
    url = as_role(empty, GUARDED)
    assert refused(tmp_path, url, "the password is not right") == Exit.USAGE


def test_a_role_that_may_not_create(tmp_path: Path, empty: str, reader: str) -> None:
    execute(empty, "REVOKE CREATE ON SCHEMA public FROM PUBLIC")  # as it is since PostgreSQL 15
    url = as_role(empty, reader)
    assert refused(tmp_path, url, "may not change it", "ringback migrate up") == Exit.STORE
    assert execute(empty, TABLES) == 0


def test_a_newer_schema(tmp_path: Path, migrated: str) -> None:
    execute(migrated, "INSERT INTO migration VALUES (9999, 'later', 'x', 0)")
    before = execute(migrated, TABLES)
    assert refused(tmp_path, migrated, "9999_later", "upgrade Ringback") == Exit.STORE
    assert execute(migrated, TABLES) == before


def test_an_altered_schema(tmp_path: Path, migrated: str) -> None:
    execute(migrated, "UPDATE migration SET checksum = 'x' WHERE number = 1")
    assert refused(tmp_path, migrated, "not the one that was applied", "reinstall") == Exit.STORE


def test_an_older_schema_that_may_not_be_changed(
    tmp_path: Path, migrated: str, reader: str
) -> None:
    """As after an upgrade, when the service runs as a role with few rights."""
    execute(migrated, "DELETE FROM migration WHERE number > 1")
    execute(migrated, f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {reader}")
    before = execute(migrated, TABLES)
    url = as_role(migrated, reader)
    assert refused(tmp_path, url, "not up to date", "ringback migrate up") == Exit.STORE
    assert execute(migrated, TABLES) == before


def test_a_foreign_database_with_tables_of_our_names(tmp_path: Path, empty: str) -> None:
    """One of ours is in the way: what was made before it is taken back."""
    execute(empty, "CREATE TABLE endpoint (x integer)")
    assert refused(tmp_path, empty, '"endpoint" already exists', "of its own") == Exit.STORE
    assert execute(empty, TABLES) == 1, "half-applied"


def test_a_foreign_database_that_keeps_a_book_of_migrations(tmp_path: Path, empty: str) -> None:
    execute(empty, "CREATE TABLE migration (version text)")
    assert refused(tmp_path, empty, '"number" does not exist', "of its own") == Exit.STORE
    assert execute(empty, TABLES) == 1, "half-applied"


def test_a_server_that_takes_no_writes(tmp_path: Path, migrated: str) -> None:
    name = urlsplit(migrated).path[1:]
    execute(migrated, f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    assert refused(tmp_path, migrated, "takes no writes", "primary") == Exit.STORE


# ---- while it runs ------------------------------------------------------------------------------


def test_rights_that_were_taken_away_and_given_back(
    tmp_path: Path, migrated: str, reader: str
) -> None:
    tables = "ON ALL TABLES IN SCHEMA public"
    execute(migrated, f"GRANT ALL {tables} TO {reader}; GRANT ALL ON SCHEMA public TO {reader}")
    execute(migrated, f"GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO {reader}")
    url = as_role(migrated, reader)

    async def story() -> None:
        async with (
            Collector() as receiver,
            ServiceProcess(tmp_path, RINGBACK_DATABASE=url) as us,
        ):
            await us.start()
            async with Caller(us.url, us.token) as caller:
                shop = await Shop.open(caller)
                await shop.endpoint(receiver.url())
                await shop.publish({"n": 1})
                await asyncio.to_thread(execute, migrated, f"REVOKE INSERT {tables} FROM {reader}")
                refusal = await post(shop)
                check_refusal(refusal)
                assert "rights are missing" in refusal.json["detail"]
                await asyncio.to_thread(execute, migrated, f"GRANT INSERT {tables} TO {reader}")
                await shop.publish({"n": 2})
            await receiver.received(2)
            assert await us.terminate() == 0, us.stderr
            assert "Traceback" not in us.stderr

    asyncio.run(story())


async def post(shop: Shop, padding: str = "") -> Answer:
    body = {"eventType": EVENT_TYPE, "payload": {"padding": padding}}
    return await shop.caller.post(f"{shop.path}/msg?with_content=false", body)


@needs_own_server
def test_a_database_without_room_is_answered_503_until_there_is_some(small_disk: Path) -> None:
    server = durable_server()
    execute(server.url("postgres"), f"CREATE TABLESPACE small LOCATION '{small_disk}'")
    url = server.create_empty_database("TABLESPACE small")

    async def story() -> None:
        directory = Path(tempfile.mkdtemp())
        async with (
            Collector() as receiver,
            ServiceProcess(directory, RINGBACK_DATABASE=url, RINGBACK_LEASE_S="2") as us,
        ):
            await us.start()
            async with Caller(us.url, us.token) as caller:
                shop = await Shop.open(caller)
                await shop.endpoint(receiver.url())
                accepted, refusal = await fill(shop)
                check_refusal(refusal)
                assert "disk is full" in refusal.json["detail"]
                resize(small_disk, "512m")
                await eventually(lambda: post(shop), lambda answer: answer.status == 202)
                await eventually(lambda: caller.get("/health"), lambda answer: answer.status == 200)
            await receiver.until(lambda: accepted <= {one.msg_id for one in receiver.arrivals})
            assert await us.terminate() == 0, us.stderr
            assert "Traceback" not in us.stderr
        shutil.rmtree(directory)

    asyncio.run(story())
    server.drop_database(url)
    execute(server.url("postgres"), "DROP TABLESPACE small")


async def fill(shop: Shop) -> tuple[set[str], Answer]:
    """The ids of what was accepted, and the first answer that refused."""
    accepted: set[str] = set()
    chance = random.Random(1)
    for _ in range(PUBLISHED_MAX):
        answer = await post(shop, chance.randbytes(PADDING_BYTES).hex())  # cannot be made smaller
        if answer.status != 202:
            return accepted, answer
        accepted.add(answer.json["id"])
    raise AssertionError("the disk never became full")


@pytest.fixture
def small_disk() -> Iterator[Path]:
    """A disk of its own, in memory, for one tablespace. Only root can make one."""
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("only root may mount a small disk to fill up")
    place = Path(tempfile.mkdtemp(prefix="ringback-small-"))
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={ROOM},mode=0777", "tmpfs", str(place)],
        capture_output=True,
        check=False,
    )
    if made.returncode != 0:
        place.rmdir()
        pytest.skip(f"no small disk to fill up: {made.stderr.decode(errors='replace').strip()}")
    space = place / "space"
    space.mkdir()
    shutil.chown(space, durable_server().files.stat().st_uid)
    yield space
    subprocess.run(["umount", "--lazy", str(place)], check=True)
    place.rmdir()


def resize(space: Path, room: str) -> None:
    command = ["mount", "-o", f"remount,size={room}", str(space.parent)]
    subprocess.run(command, check=True)
