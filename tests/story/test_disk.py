"""A full disk, a locked, owned, damaged or deleted file: one clear answer, and nothing is lost.

The disk is made full by a limit on the size of the process's files, set and lifted from outside.
"""

import asyncio
import json
import os
import resource
import shutil
import sqlite3
import sys
from collections import Counter
from collections.abc import Callable, Coroutine
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from ringback.cli.exits import Exit
from ringback.testing.caller import Answer, Caller
from ringback.testing.collector import Collector
from ringback.testing.eventually import eventually
from ringback.testing.process import ServiceProcess
from ringback.testing.shop import EVENT_TYPE, Shop

KIB = 1024
SPARE_BYTES = 256 * KIB
PUBLISHED_MAX = 5_000
UNLIMITED = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
needs_prlimit = pytest.mark.skipif(
    sys.platform != "linux", reason="limits of another process can be set on Linux only"
)


def run(story: Coroutine[Any, Any, None]) -> None:
    asyncio.run(story)


# ---- full ---------------------------------------------------------------------------------------


@needs_prlimit
def test_a_full_disk_is_answered_503_and_is_over_when_there_is_room(tmp_path: Path) -> None:
    async def story() -> None:
        async with Collector() as receiver, ServiceProcess(tmp_path) as us:
            await us.start()
            async with Caller(us.url, us.token) as caller:
                shop = await Shop.open(caller)
                await shop.endpoint(receiver.url())
                fill_disk(us, tmp_path)
                accepted, refusal = await publish_until_refused(shop)
                check_unavailable(refusal)
                health = await caller.get("/health")
                assert health.status == 503
                assert "check the volume" in health.json["database"]["detail"]
                assert (await caller.get("/health/ping")).status == 204
                assert (await caller.get(shop.path)).status == 200, "reading goes on"
                free_disk(us)
                await eventually(lambda: caller.get("/health"), lambda answer: answer.status == 200)
                later, refusal = await publish_until_refused(shop, most=20)
                assert refusal is None
            expected = {*accepted, *later}
            await receiver.until(lambda: expected <= ids(receiver).keys())
            assert await us.terminate() == 0, us.stderr
            assert ids(receiver) == Counter(expected), "a full disk is no reason to send twice"
            assert "Traceback" not in us.stderr
            check_integrity(us.database)

    run(story())


def fill_disk(service: ServiceProcess, directory: Path) -> None:
    largest = max(path.stat().st_size for path in directory.iterdir())
    limit = (largest + SPARE_BYTES, resource.RLIM_INFINITY)
    resource.prlimit(service.pid, resource.RLIMIT_FSIZE, limit)


def free_disk(service: ServiceProcess) -> None:
    resource.prlimit(service.pid, resource.RLIMIT_FSIZE, UNLIMITED)


async def publish_until_refused(
    shop: Shop, most: int = PUBLISHED_MAX
) -> tuple[list[str], Answer | None]:
    """The ids of what was accepted, and the first answer that was not 202."""
    accepted: list[str] = []
    body = {"eventType": EVENT_TYPE, "payload": {"padding": "x" * 4 * KIB}}
    for _ in range(most):
        answer = await shop.caller.post(f"{shop.path}/msg?with_content=false", body)
        if answer.status != 202:
            return accepted, answer
        accepted.append(answer.json["id"])
    return accepted, None


def check_unavailable(answer: Answer | None) -> None:
    """As Svix shapes errors, and with the header that tells clients to come again."""
    assert answer is not None, "the disk never became full"
    assert answer.status == 503
    assert answer.json.keys() == {"code", "detail"}
    assert answer.json["code"] == "unavailable"
    assert int(answer.headers["retry-after"]) >= 1


def ids(receiver: Collector) -> Counter[str]:
    return Counter(each.msg_id for each in receiver.arrivals)


def check_integrity(database: Path) -> None:
    with closing(sqlite3.connect(database)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


@needs_prlimit
def test_stopping_ends_in_time_on_a_full_disk_and_nothing_is_lost(tmp_path: Path) -> None:
    async def story() -> None:
        quick = {"RINGBACK_LEASE_S": "1", "RINGBACK_DRAIN_TIMEOUT_S": "0.2"}
        async with Collector() as receiver, ServiceProcess(tmp_path, **quick) as us:
            await us.start()
            async with Caller(us.url, us.token) as caller:
                shop = await Shop.open(caller)
                await shop.endpoint(receiver.url())
                fill_disk(us, tmp_path)
                accepted, _ = await publish_until_refused(shop)
                await receiver.until(lambda: set(accepted) <= ids(receiver).keys())
            assert await us.terminate() == 0
            await us.start()
            async with Caller(us.url, us.token) as caller:
                for msg_id in accepted:
                    await Shop(caller, shop.path.removeprefix("/app/")).attempts(msg_id, 1)
            lines = [line for line in us.stderr.splitlines() if '"error"' in line]
            events = Counter(json.loads(line)["event"] for line in lines)
            assert events["store_unavailable"] <= 2, lines
            assert events.keys() <= {"store_unavailable", "lease_not_renewed", "tending_failed"}

    run(story())


# ---- locked and owned ---------------------------------------------------------------------------


def test_a_lock_of_another_program_makes_writes_wait_and_then_503(tmp_path: Path) -> None:
    async def story() -> None:
        async with Collector() as receiver, ServiceProcess(tmp_path) as us:
            await us.start()
            async with Caller(us.url, us.token) as caller:
                shop = await Shop.open(caller)
                await shop.endpoint(receiver.url())
                with closing(sqlite3.connect(us.database, isolation_level=None)) as other:
                    other.execute("BEGIN IMMEDIATE")
                    refused = await caller.post(
                        f"{shop.path}/msg", {"eventType": EVENT_TYPE, "payload": {}}
                    )
                    check_unavailable(refused)
                    other.execute("ROLLBACK")
                msg_id = await shop.publish()
                await receiver.received(1)
                assert set(ids(receiver)) == {msg_id}

    run(story())


def test_a_second_service_on_the_same_file_names_the_first_and_ends(tmp_path: Path) -> None:
    async def story() -> None:
        async with ServiceProcess(tmp_path) as first:
            await first.start()
            code, said = await refusal_to_start(first.database, tmp_path / "second")
            assert code == Exit.STORE
            assert f"owned by process {first.pid}" in said
            async with Caller(first.url, first.token) as caller:
                await Shop.open(caller)

    run(story())


async def refusal_to_start(database: Path, directory: Path) -> tuple[int, str]:
    """The exit code, and the one line that says why."""
    await asyncio.to_thread(directory.mkdir)
    settings = {"RINGBACK_DATABASE": f"sqlite:///{database}"}
    async with ServiceProcess(directory, **settings) as service:
        service.spawn()
        async with asyncio.timeout(90):
            code = await service.ended()
        lines = [line for line in service.stderr.splitlines() if line]
        assert len(lines) == 1, service.stderr
        return code, lines[0]


# ---- damaged ------------------------------------------------------------------------------------


def overwrite_header(database: Path) -> None:
    with database.open("r+b") as file:
        file.write(b"This is no database at all." * 10)


def cut_off(database: Path) -> None:
    os.truncate(database, database.stat().st_size // 2 + 100)


def foreign(database: Path) -> None:
    database.unlink()
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("CREATE TABLE somebody_elses (x)")


@pytest.mark.parametrize(
    ("damage", "code", "words"),
    [
        (overwrite_header, Exit.STORE, "restore a backup"),
        (cut_off, Exit.STORE, "restore a backup"),
        (foreign, Exit.USAGE, "another program"),
    ],
)
def test_a_file_that_cannot_be_ours_is_refused_in_one_line(
    damage: Callable[[Path], None], code: Exit, words: str, tmp_path: Path
) -> None:
    async def story() -> None:
        async with ServiceProcess(tmp_path) as us:
            await us.start()
            await us.terminate()
            damage(us.database)
            before = us.database.read_bytes()
            ended_with, said = await refusal_to_start(us.database, tmp_path / "again")
            assert ended_with == code
            assert words in said
            assert us.database.read_bytes() == before, "evidence was changed"

    run(story())


async def damage_inside(service: ServiceProcess, index: str) -> None:
    """Overwrite the root page of an index while the service is stopped; then start it again."""
    assert await service.terminate() == 0
    with closing(sqlite3.connect(service.database)) as connection:
        (page,) = connection.execute(
            "SELECT rootpage FROM sqlite_schema WHERE name = ?", (index,)
        ).fetchone()
        (page_bytes,) = connection.execute("PRAGMA page_size").fetchone()
    overwrite(service.database, (page - 1) * page_bytes, b"\xff" * page_bytes)
    await service.start()


def overwrite(path: Path, offset: int, content: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(content)


def test_damage_that_is_met_later_refuses_messages_and_says_what_to_do(tmp_path: Path) -> None:
    async def story() -> None:
        async with ServiceProcess(tmp_path) as us:
            await us.start()
            async with Caller(us.url, us.token) as caller:
                shop = await Shop.open(caller)
                await shop.publish()
                caller.close()
                await damage_inside(us, "message_by_app")
                _, refusal = await publish_until_refused(shop, most=1)
                check_unavailable(refusal)
                assert refusal is not None
                assert "restore a backup" in refusal.json["detail"]
                assert (await caller.get("/health/ping")).status == 204

    run(story())


def test_damage_is_no_mistake_of_ours_when_reading_and_health_knows_it(tmp_path: Path) -> None:
    async def story() -> None:
        async with ServiceProcess(tmp_path) as us:
            await us.start()
            async with Caller(us.url, us.token) as caller:
                shop = await Shop.open(caller)
                await shop.publish()
                caller.close()
                await damage_inside(us, "message_by_app")
                for _ in range(3):
                    answer = await caller.get(f"{shop.path}/msg")
                    check_unavailable(answer)
                    assert "ringback doctor" in answer.json["detail"]
                health = await caller.get("/health")
                assert health.status == 503
                assert "restore a backup" in health.json["database"]["detail"]
                _, refusal = await publish_until_refused(shop, most=1)
                check_unavailable(refusal)
                assert (await caller.get(shop.path)).status == 200, "what is whole is shown"
            await ends_refusing(us, "damaged")

    run(story())


# ---- gone ---------------------------------------------------------------------------------------


def remove(database: Path) -> None:
    database.unlink()


def remove_all(database: Path) -> None:
    for path in database.parent.glob(f"{database.name}*"):
        path.unlink()


def move(database: Path) -> None:
    database.rename(database.with_name("elsewhere.db"))


def replace(database: Path) -> None:
    copy = database.with_name("copy.db")
    shutil.copy(database, copy)
    copy.replace(database)


@pytest.mark.parametrize("happens", [remove, remove_all, move, replace])
def test_nothing_is_accepted_into_a_file_without_its_name(
    happens: Callable[[Path], None], tmp_path: Path
) -> None:
    """It could still be written, but nobody would ever find it again: that is not accepted."""

    async def story() -> None:
        async with ServiceProcess(tmp_path) as us:
            await us.start()
            async with Caller(us.url, us.token) as caller:
                shop = await Shop.open(caller)
                happens(us.database)
                for _ in range(3):
                    _, refusal = await publish_until_refused(shop, most=1)
                    check_unavailable(refusal)
                assert refusal is not None
                assert "docs/operations.md" in refusal.json["detail"]
                check_unavailable(await caller.get(shop.path))
                assert (await caller.get("/health")).status == 503
                assert (await caller.get("/health/ping")).status == 204
            await ends_refusing(us, "database file")

    run(story())


def test_health_knows_of_a_removal_before_anybody_publishes(tmp_path: Path) -> None:
    async def story() -> None:
        async with ServiceProcess(tmp_path) as us:
            await us.start()
            async with Caller(us.url, us.token) as caller:
                assert (await caller.get("/health")).status == 200
                us.database.unlink()
                health = await caller.get("/health")
                assert health.status == 503
                assert "not in its place" in health.json["database"]["detail"]

    run(story())


def test_what_was_accepted_survives_the_removal_of_the_log(tmp_path: Path) -> None:
    async def story() -> None:
        async with ServiceProcess(tmp_path) as us:
            await us.start()
            async with Caller(us.url, us.token) as caller:
                shop = await Shop.open(caller)
                accepted, _ = await publish_until_refused(shop, most=20)
                us.database.with_name("ringback.db-wal").unlink()
                more, refusal = await publish_until_refused(shop, most=1)
                assert more == []
                check_unavailable(refusal)
                await us.kill()
                caller.close()
                await us.start()
                for msg_id in accepted:
                    assert (await caller.get(f"{shop.path}/msg/{msg_id}")).status == 200
            assert await us.terminate() == 0
            check_integrity(us.database)

    run(story())


def test_a_file_that_was_moved_is_whole_when_it_is_moved_back(tmp_path: Path) -> None:
    async def story() -> None:
        async with ServiceProcess(tmp_path) as us:
            await us.start()
            async with Caller(us.url, us.token) as caller:
                shop = await Shop.open(caller)
                accepted, _ = await publish_until_refused(shop, most=20)
                move(us.database)
                assert (await caller.get("/health")).status == 503
                assert await us.terminate() == Exit.STORE
                us.database.with_name("elsewhere.db").rename(us.database)
                caller.close()
                await us.start()
                for msg_id in accepted:
                    assert (await caller.get(f"{shop.path}/msg/{msg_id}")).status == 200
            assert await us.terminate() == 0
            check_integrity(us.database)

    run(story())


@needs_prlimit
def test_a_removed_database_is_saved_as_the_manual_says(tmp_path: Path) -> None:
    names = ("ringback.db", "ringback.db-wal")

    async def story() -> None:
        async with ServiceProcess(tmp_path) as us:
            await us.start()
            async with Caller(us.url, us.token) as caller:
                shop = await Shop.open(caller)
                accepted, _ = await publish_until_refused(shop, most=20)
                remove_all(us.database)
                assert (await caller.get("/health")).status == 503
                saved = [save(us, us.database.with_name(name)) for name in names]
                assert await us.terminate() == Exit.STORE
                for copy, name in zip(saved, names, strict=True):
                    copy.rename(us.database.with_name(name))
                caller.close()
                await us.start()
                for msg_id in accepted:
                    assert (await caller.get(f"{shop.path}/msg/{msg_id}")).status == 200
            assert await us.terminate() == 0
            check_integrity(us.database)

    run(story())


def save(service: ServiceProcess, removed: Path) -> Path:
    """A copy of a file that has no name any more, but is still open."""
    for each in Path(f"/proc/{service.pid}/fd").iterdir():
        if str(each.readlink()) == f"{removed} (deleted)":
            return Path(shutil.copy(each, removed.with_name(f"saved.{removed.name}")))
    raise AssertionError(f"{removed} is not open")


async def ends_refusing(service: ServiceProcess, words: str) -> None:
    """It has said once what is wrong, and does not end as if all was well."""
    assert await service.terminate() == Exit.STORE
    said = [line for line in service.stderr.splitlines() if "store_refuses" in line]
    assert len(said) == 1, service.stderr
    assert words in said[0]
    assert "Traceback" not in service.stderr
