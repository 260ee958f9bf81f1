"""`ringback transfer` as a program: killed again and again, and a receiver that notices nothing."""

import asyncio
import json
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import asyncpg  # type: ignore[import-untyped]
import pytest
from bench.database import Database
from bench.loader import load
from svix.webhooks import Webhook

from ringback.clock import Clock
from ringback.config import Settings
from ringback.serve import running
from ringback.store.sqlite import store as sqlite
from ringback.testing.background import settings_for
from ringback.testing.caller import Caller
from ringback.testing.collector import Collector
from ringback.testing.eventually import eventually
from ringback.testing.postgres import database, shared_server
from ringback.testing.process import ORGANIZATION, token
from ringback.testing.stores import StillClock, World
from ringback.testing.svix_database import SvixDatabase, secret_text, stored_key

MESSAGES: Final = 4_000
WAITING: Final = 1_000
KILLS: Final = 6
KEY: Final = bytes(range(40))
APP: Final = "app_2XbIzFvkWUYLUoNiKQOuI7nrBbG"


@pytest.fixture
def url() -> Iterator[str]:
    with database() as url:
        yield url


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "ringback.db"
    settings = Settings(database=f"sqlite:///{path}")
    with asyncio.Runner() as runner:
        store = runner.run(sqlite.open_store(path, settings, Clock(), inline=True))
        world = World(runner, store, StillClock())
        for _ in range(3):
            world.endpoint(world.app())
        runner.run(store.close())
        place = Database(url=settings.database, place=tmp_path, file=path)
        runner.run(load(place, stored=MESSAGES, waiting=WAITING))
    return path


def start(file: Path, url: str) -> subprocess.Popen[bytes]:
    options = ["--to", url, "--batch-rows", "50", "--json"]
    return subprocess.Popen(
        [sys.executable, "-m", "ringback.cli", "transfer", str(file), *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )


def ended(process: subprocess.Popen[bytes]) -> dict[str, Any]:
    """What it says in the end."""
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    done: dict[str, Any] = json.loads(said.splitlines()[-1])
    return done


async def copied(connection: Any) -> int:
    """Rows that the target says it has got."""
    mark = await connection.fetchval("SELECT value FROM progress WHERE name = 'transfer'")
    return 0 if mark is None else sum(json.loads(mark)["rows"].values())


async def reached_by(connection: Any, goal: int) -> None:
    await eventually(lambda: copied(connection), lambda rows: rows >= goal)


def test_a_transfer_that_is_killed_at_any_moment_goes_on(file: Path, url: str) -> None:
    total = MESSAGES + WAITING
    goals = sorted(random.Random(7).sample(range(1, 2 * total), KILLS))

    async def story() -> list[int]:
        connection = await asyncpg.connect(url)
        reached = []
        for goal in goals:
            process = start(file, url)
            try:
                await reached_by(connection, goal)
            finally:
                process.kill()
                process.communicate()
            reached.append(await copied(connection))
        await connection.close()
        return reached

    reached = asyncio.run(story())
    # Each run went on from where the one before it was killed.
    assert reached == sorted(reached)
    assert all(rows >= goal for rows, goal in zip(reached, goals, strict=True))
    done = ended(start(file, url))
    rows = {one["table"]: one["rows"] for one in done["tables"]}
    assert rows["message"] == rows["attempt"] == total
    assert (rows["waiting"], rows["lane"], rows["endpoint"]) == (WAITING, 3, 3)
    assert ended(start(file, url))["was_done"]


def test_a_receiver_of_svix_notices_nothing(tmp_path: Path) -> None:
    server = shared_server()
    svix = SvixDatabase(server.create_empty_database())

    async def story() -> None:
        async with Collector(id_header="svix-id") as receiver:
            await fill(svix, receiver.url("/hooks"))
            settings = settings_for(tmp_path, header_family="svix")
            command = ["transfer", "--from-svix", svix.url, "--to", settings.database]
            program = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "ringback.cli", *command, stdout=subprocess.DEVNULL
            )
            assert await program.wait() == 0
            async with running(settings) as service, Caller(service.url, token()) as caller:
                message = {"eventType": "invoice.paid", "payload": {"amount": 5}}
                sent = await caller.made("/app/shop/msg", message)
                [arrival] = await receiver.received(1)
            assert arrival.headers["svix-id"] == sent["id"]
            Webhook(secret_text(KEY)).verify(arrival.body, arrival.headers)

    asyncio.run(story())
    server.drop_database(svix.url)


async def fill(svix: SvixDatabase, url: str) -> None:
    await svix.make()
    await svix.add(
        "application", id=APP, name="Shop", uid="shop", org_id=ORGANIZATION, deleted=False
    )
    await svix.add(
        "endpoint",
        id="ep_2XbIzFvkWUYLUoNiKQOuI7nrBbG",
        app_id=APP,
        url=url,
        description="",
        key=stored_key(KEY),
        version=1,
        deleted=False,
        disabled=False,
    )
