"""Kill the service with SIGKILL under load, again and again: nothing is lost, little is sent twice.

Publishers post at full speed over kept connections, and hold a message for accepted only when its
202 was read to the end. A receiver remembers all that arrives. The process is killed at seeded
moments, while it starts too, and started again on the same file. In the end:

    nothing lost     every accepted id has arrived, and each post under one id only, those that were
                     repeated with an idempotency key after a crash included
    little twice     after each kill the file itself says what was in flight: the deliveries of
                     in-flight batches without a recorded attempt. No delivery arrives more often
                     than it has recorded attempts plus kills at which it was in flight.
    never damaged    SQLite's own check of the file

RINGBACK_TEST_KILLS is how often to kill, all worlds together.
"""

import asyncio
import os
import random
import shutil
import sqlite3
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import closing
from itertools import count
from pathlib import Path
from typing import Any

import msgspec
import pytest
import uvloop

from ringback.store.sqlite.rows import deliveries_of
from ringback.testing.caller import Broken, Caller, Refused
from ringback.testing.collector import Arrival, Collector
from ringback.testing.eventually import eventually
from ringback.testing.outcome import NoteFault, Outcome
from ringback.testing.process import ServiceProcess

KILLS = int(os.environ.get("RINGBACK_TEST_KILLS", "100"))
PUBLISHERS = 6
ACCEPTED_BEFORE_KILL_MAX = 300
KILLED_WHILE_STARTING = 0.15
DRAIN_S_MAX = 120.0
SETTINGS = {"RINGBACK_RETRY_SCHEDULE": ",".join(["0.1"] * 30)}
WORLDS: dict[str, dict[str, str]] = {
    "plain": {},
    "overflow": {"RINGBACK_LANE_QUEUE_MAX": "5", "RINGBACK_CLAIM_BATCH_MAX": "20"},
    "small batches": {
        "RINGBACK_ACCEPT_BATCH_MAX": "10",
        "RINGBACK_RECORD_BATCH_MAX": "10",
        "RINGBACK_RECORD_QUEUE_MAX": "10",
    },
    # Every message that fails opens the breaker, so often that it must not stay open for long.
    "breaking": {"RINGBACK_BREAKER_FAILURES": "1", "RINGBACK_BREAKER_OPEN_S": "0.05"},
}

Place = tuple[str, str]  # message id, path of the endpoint


class Receiver:
    """Takes everything at `/steady`. At `/flaky` a tenth of the messages fail twice first."""

    def __init__(self) -> None:
        self.arrivals: Counter[Place] = Counter()
        self.taken: Counter[Place] = Counter()
        self.first_s: dict[Place, float] = {}
        self.ids_of: dict[int, set[str]] = {}

    def answer(self, arrival: Arrival) -> int:
        place = (arrival.msg_id, arrival.path)
        self.arrivals[place] += 1
        number = msgspec.json.decode(arrival.body)["n"]
        self.ids_of.setdefault(number, set()).add(arrival.msg_id)
        is_unlucky = arrival.path == "/flaky" and number % 10 == 0
        if is_unlucky and self.arrivals[place] <= 2:
            return 500
        self.taken[place] += 1
        self.first_s.setdefault(place, arrival.at_s)
        return 200

    def has_all(self, accepted: dict[str, float]) -> bool:
        """Those that arrived without having been answered 202 are waited for as well."""
        ids = accepted.keys() | {msg_id for msg_id, _ in self.arrivals}
        return all(place in self.first_s for place in all_places(ids))

    @property
    def duplicates(self) -> int:
        return sum(times - 1 for times in self.taken.values())


PATHS = ("/steady", "/flaky")


class Publishers:
    """`accepted` are the ids of which the whole answer was read, and when."""

    def __init__(self, service: ServiceProcess, app_id: str, *, padding: int) -> None:
        self._service = service
        self._path = f"/app/{app_id}/msg?with_content=false"
        self._padding = "x" * padding
        self._numbers = count()
        self._is_stopped = False
        self._changed = asyncio.Event()
        self.accepted: dict[str, float] = {}
        self.id_of: dict[int, str] = {}
        self.refused = 0

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            for _ in range(PUBLISHERS):
                group.create_task(self._publish())

    def stop(self) -> None:
        self._is_stopped = True

    async def accept(self, more: int) -> None:
        """Wait until that many more have been accepted."""
        goal = len(self.accepted) + more
        while len(self.accepted) < goal:
            self._changed.clear()
            async with asyncio.timeout(DRAIN_S_MAX):
                await self._changed.wait()

    async def _publish(self) -> None:
        async with Caller(self._service.url, self._service.token) as caller:
            while not self._is_stopped:
                await self._publish_one(caller, next(self._numbers))

    async def _publish_one(self, caller: Caller, number: int) -> None:
        """Until it is certain what became of it; without a key, a lost answer is the end."""
        payload = {"n": number, "padding": self._padding}
        body = {"eventType": "order.paid", "payload": payload}
        headers = {"idempotency_key": f"order-{number}"} if number % 2 else {}
        while not self._is_stopped:
            try:
                answer = await caller.post(self._path, body, **headers)
            except Refused:
                await asyncio.sleep(0.01)  # sleeps: nobody listens between two lives
                continue
            except Broken:
                if not headers:
                    return
                continue
            if answer.status == 202:
                self._note(number, answer.json["id"])
                return
            assert answer.status == 503, answer
            self.refused += 1

    def _note(self, number: int, msg_id: str) -> None:
        self.accepted[msg_id] = asyncio.get_running_loop().time()
        self.id_of[number] = msg_id
        self._changed.set()


@pytest.mark.timeout(900)
@pytest.mark.parametrize("world", WORLDS)
def test_nothing_accepted_is_lost_by_kill_9(
    world: str, tmp_path: Path, note_fault: NoteFault
) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(kill_again_and_again(world, tmp_path, note_fault, kills=KILLS // len(WORLDS)))


async def kill_again_and_again(
    world: str, tmp_path: Path, note_fault: NoteFault, *, kills: int
) -> None:
    chance = random.Random(world)
    receiver = Receiver()
    settings = {**SETTINGS, **WORLDS[world]}
    async with ServiceProcess(tmp_path, **settings) as service, Collector(receiver.answer) as net:
        await service.start()
        app_id, endpoints = await shop(service, net)
        publishers = Publishers(service, app_id, padding=chance.randrange(2_000))
        publishing = asyncio.create_task(publishers.run())
        in_flight: Counter[Place] = Counter()
        starts_s = []
        killed = 0
        while killed < kills:
            starts_s.append(service.start_s)
            await live(publishers, chance)
            for _ in range(deaths(chance)):
                await service.kill()
                killed += 1
                in_flight.update(in_flight_of(service.database, tmp_path / "copy.db", endpoints))
                service.spawn()
                await asyncio.sleep(chance.uniform(0.5, 1.1) * starts_s[0])  # sleeps: dies again
            await service.ready()
        await publishers.accept(1)
        publishers.stop()
        await publishing
        places = [f"/app/{app_id}/endpoint/{endpoint_id}" for endpoint_id in endpoints]
        await drained(service, net, receiver, publishers.accepted, places=places)
        assert await service.terminate() == 0, service.stderr
        outcome = outcome_of(publishers, receiver, bound=in_flight.total())
        note_fault(outcome, f"kill -9 of the process, {world}", times=killed)
        check_ids(publishers, receiver)
        check_file(service.database, receiver, in_flight, endpoints=endpoints)


async def live(publishers: Publishers, chance: random.Random) -> None:
    await publishers.accept(chance.randint(1, ACCEPTED_BEFORE_KILL_MAX))
    await asyncio.sleep(chance.uniform(0, 0.02))  # sleeps: any moment


def deaths(chance: random.Random) -> int:
    """Now and then it is killed again while it starts."""
    return 2 if chance.random() < KILLED_WHILE_STARTING else 1


async def drained(
    service: ServiceProcess,
    net: Collector,
    receiver: Receiver,
    accepted: dict[str, float],
    *,
    places: Sequence[str],
) -> None:
    """Until everything has arrived, and nothing that is sent twice is still on its second way."""
    try:
        await net.until(lambda: receiver.has_all(accepted), DRAIN_S_MAX)
    except TimeoutError:
        missing = [place for place in all_places(accepted) if place not in receiver.first_s]
        waiting = await stats_of(service, places)
        pytest.fail(f"{len(missing)} have not arrived: {missing[:3]} …; {waiting}")

    def nothing_waits(stats: list[Any]) -> bool:
        return all(each["sending"] == 0 for each in stats)

    await eventually(lambda: stats_of(service, places), nothing_waits, DRAIN_S_MAX)


async def stats_of(service: ServiceProcess, places: Sequence[str]) -> list[Any]:
    async with Caller(service.url, service.token) as caller:
        return [(await caller.get(f"{place}/stats")).json for place in places]


def all_places(accepted: Iterable[str]) -> list[Place]:
    return [(msg_id, path) for msg_id in accepted for path in PATHS]


async def shop(service: ServiceProcess, net: Collector) -> tuple[str, dict[str, str]]:
    """An application with two endpoints; the path of each by its id."""
    async with Caller(service.url, service.token) as caller:
        app_id = (await caller.made("/app", {"name": "Shop"}))["id"]
        paths = {}
        for path in PATHS:
            made = await caller.made(f"/app/{app_id}/endpoint", {"url": net.url(path)})
            paths[made["id"]] = path
        return app_id, paths


# ---- what the file says -------------------------------------------------------------------------


def in_flight_of(database: Path, copy: Path, endpoints: dict[str, str]) -> set[Place]:
    """What the dead process had in flight.

    Read from a copy with its log, so that the next start has to recover the file by itself.
    """
    for suffix in ("", "-wal"):
        shutil.copyfile(f"{database}{suffix}", f"{copy}{suffix}")
    with closing(sqlite3.connect(copy)) as connection:
        attempted = set(connection.execute("SELECT batch_id, msg_id, endpoint_id FROM attempt"))
        return {
            (delivery.msg_id, endpoints[delivery.endpoint_id])
            for batch_id, text in connection.execute("SELECT batch_id, deliveries FROM in_flight")
            for delivery in deliveries_of(text)
            if (batch_id, delivery.msg_id, delivery.endpoint_id) not in attempted
        }


def check_ids(publishers: Publishers, receiver: Receiver) -> None:
    places = all_places(publishers.accepted)
    assert [place for place in places if place not in receiver.taken] == [], "lost"
    several = {number: ids for number, ids in receiver.ids_of.items() if len(ids) > 1}
    assert several == {}, "one post became several messages"
    other = {
        number: (msg_id, receiver.ids_of[number])
        for number, msg_id in publishers.id_of.items()
        if receiver.ids_of[number] != {msg_id}
    }
    assert other == {}, "a post was answered with an id that did not arrive"


def check_file(
    database: Path,
    receiver: Receiver,
    in_flight: Counter[Place],
    *,
    endpoints: dict[str, str],
) -> None:
    with closing(sqlite3.connect(database)) as connection:
        assert rows(connection, "PRAGMA integrity_check") == [("ok",)]
        assert rows(connection, "SELECT count(*) FROM in_flight") == [(0,)]
        assert rows(connection, "SELECT count(*) FROM waiting") == [(0,)]
        recorded: Counter[Place] = Counter()
        answered = "SELECT msg_id, endpoint_id FROM attempt WHERE status_code <> 0"
        for msg_id, endpoint_id in connection.execute(answered):
            recorded[msg_id, endpoints[endpoint_id]] += 1
    unexplained = {
        place: (times, recorded[place], in_flight[place])
        for place, times in receiver.arrivals.items()
        if not recorded[place] <= times <= recorded[place] + in_flight[place]
    }
    assert unexplained == {}, "arrived more often than recorded, without being in flight at a kill"
    unseen = recorded.keys() - receiver.arrivals.keys()
    assert unseen == set(), "recorded, but never arrived"


def rows(connection: sqlite3.Connection, statement: str) -> list[Any]:
    return connection.execute(statement).fetchall()


def outcome_of(publishers: Publishers, receiver: Receiver, *, bound: int) -> Outcome:
    places = all_places(publishers.accepted)
    delays_s = [
        receiver.first_s[place] - publishers.accepted[place[0]]
        for place in places
        if place in receiver.first_s
    ]
    return Outcome(
        accepted=len(publishers.accepted),
        arrived=len(receiver.taken),
        lost=len(places) - len(delays_s),
        duplicates=receiver.duplicates,
        bound=bound,
        refused=publishers.refused,
        longest_delay_s=max(delays_s),
    )
