"""Kill a receiver of Stripe's webhooks with SIGKILL under load, again and again, over HTTP.

    nothing lost     every event whose 200 was read has its effect in the end
    nothing twice    no event has two effects, although it was sent again after every broken
                     connection, and its handler was killed at any moment
    in order         effects of one key are in the order in which its events were acknowledged

RINGBACK_TEST_INBOX_KILLS is how often to kill, for each database.
"""

import asyncio
import os
import random
import time
from collections import Counter
from itertools import count
from pathlib import Path

import pytest

from ringback.receive.inbox import Inbox, State
from ringback.testing.eventually import eventually
from ringback.testing.inbox import Table, inbox_database, quick
from ringback.testing.inbox_process import InboxProcess, request_of, status_of
from ringback.testing.outcome import NoteFault, Outcome

KILLS = int(os.environ.get("RINGBACK_TEST_INBOX_KILLS", "20"))
SENDERS = 6
ACCEPTED_BEFORE_KILL_MAX = 120
DRAIN_S_MAX = 90.0


class Provider:
    """Sends each event until it is acknowledged, one after the other, on every connection."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._numbers = count()
        self._is_stopped = False
        self._changed = asyncio.Event()
        self.acknowledged: list[str] = []
        self.acknowledged_s: dict[str, float] = {}
        self.sent: Counter[str] = Counter()

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            for sender in range(SENDERS):
                group.create_task(self._send_all(sender))

    def stop(self) -> None:
        self._is_stopped = True

    async def acknowledge(self, more: int) -> None:
        """Wait until that many more are."""
        goal = len(self.acknowledged) + more
        async with asyncio.timeout(DRAIN_S_MAX):
            while len(self.acknowledged) < goal:
                self._changed.clear()
                await self._changed.wait()

    async def _send_all(self, sender: int) -> None:
        """Half of the senders send events of one key each."""
        key = f"k{sender}" if sender % 2 else ""
        name = ""
        while not self._is_stopped:
            name = name or f"evt_{sender}_{next(self._numbers):06}"
            self.sent[name] += 1
            if await self._send(name, key):
                self.acknowledged.append(name)
                self.acknowledged_s[name] = time.time()
                self._changed.set()
                name = ""

    async def _send(self, name: str, key: str) -> bool:
        """Whether a 200 was read. A connection an event: what matters is when it breaks."""
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        except OSError:
            await asyncio.sleep(0.01)  # sleeps: the receiver is being started
            return False
        try:
            writer.write(request_of(name, key=key))
            status = await status_of(reader)
        except (OSError, EOFError):
            return False
        else:
            assert status in (200, 503), "what the provider signed is not refused"
            return status == 200
        finally:
            writer.transport.abort()


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_no_kill_loses_an_event_or_has_it_done_twice(
    kind: str, tmp_path: Path, note_fault: NoteFault
) -> None:
    with inbox_database(kind, tmp_path) as url:
        outcome = asyncio.run(story(url, tmp_path))
    note_fault(outcome, f"kill -9 of a receiver's inbox, {kind}", times=KILLS)
    assert outcome.lost == 0
    assert outcome.duplicates == 0


async def story(url: str, directory: Path) -> Outcome:
    luck = random.Random(31)
    table = Table(url)
    await table.create()
    async with InboxProcess(url, directory) as receiver:
        provider = Provider(receiver.port)
        await receiver.start()
        async with asyncio.TaskGroup() as group:
            group.create_task(provider.run())
            for _ in range(KILLS):
                await provider.acknowledge(luck.randrange(1, ACCEPTED_BEFORE_KILL_MAX))
                await asyncio.sleep(luck.random() * 0.01)  # sleeps: to hit any moment
                await receiver.kill()
                await receiver.start()
            provider.stop()
        inbox = Inbox(url, settings=quick())
        await eventually(inbox.health, lambda health: health.waiting == 0, DRAIN_S_MAX)
        assert await inbox.find(State.DEAD) == []
        await inbox.close()
    effects = await table.ids()
    assert len(provider.acknowledged) > KILLS
    assert set(effects) <= provider.sent.keys()
    for sender in range(1, SENDERS, 2):
        mine = [name for name in effects if name.startswith(f"evt_{sender}_")]
        assert mine == sorted(mine)
    # It was worth while: events did come again.
    assert sum(provider.sent.values()) > len(provider.sent)
    done_s, acknowledged_s = await table.times_s(), provider.acknowledged_s
    return Outcome(
        accepted=len(acknowledged_s),
        arrived=len(done_s),
        lost=len(acknowledged_s.keys() - done_s.keys()),
        duplicates=len(effects) - len(done_s),
        bound=0,
        refused=0,
        longest_delay_s=max(at_s - acknowledged_s.get(name, at_s) for name, at_s in done_s.items()),
    )
