"""The supervisor with small programs for workers: failing, hanging, refusing to be replaced."""

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import pytest

from ringback.clock import Clock
from ringback.config import Settings
from ringback.errors import CannotListen, WorkersFailed
from ringback.front.address import bind
from ringback.testing.eventually import eventually
from ringback.testing.quiet import QuietLog
from ringback.workers import supervisor
from ringback.workers.supervisor import Supervisor

# What each does with its end of the pair, after it has said what it has to say.
OBEDIENT = 'pair.send(b"ready\\n"); pair.recv(1)'
SPOILT = "sys.exit(7)"
REFUSED = "sys.exit(3)"
SHORT_LIVED = 'pair.send(b"ready\\n"); sys.exit(7)'
DEAF = 'pair.send(b"ready\\n"); time.sleep(600)'
PROGRAM = "import socket, sys, time; pair = socket.socket(fileno=int(sys.argv[1])); "

Chooser = Callable[[int, int], str]


class Hasty(Clock):
    """Its pauses are short; what it was asked for is kept."""

    def __init__(self) -> None:
        super().__init__()
        self.pauses_s: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.pauses_s.append(seconds)
        await asyncio.sleep(min(seconds, 0.001))  # sleeps: as a pause does


class Stage:
    """A supervisor, and which program each start of a worker gets: `choose(number, start)`."""

    def __init__(self, choose: Chooser, *, workers: int = 2) -> None:
        self.log = QuietLog()
        self.clock = Hasty()
        self.starts = 0
        self._choose = choose
        settings = Settings(listen="127.0.0.1:0", workers=workers, drain_timeout_s=0)
        self.supervisor = Supervisor(settings, self._command, clock=self.clock, log=self.log)

    def run(self, then: Callable[["Stage"], Coroutine[Any, Any, None]]) -> int:
        """`then` runs once all workers are ready."""

        async def run() -> int:
            whole = asyncio.create_task(self.logged("workers_ready"))
            running = asyncio.create_task(self.supervisor.run())
            await asyncio.wait({whole, running}, return_when=asyncio.FIRST_COMPLETED)
            whole.cancel()
            if not running.done():
                await then(self)
            return await running

        return asyncio.run(run())

    async def logged(self, event: str) -> None:
        async def look() -> list[str]:
            return self.events

        await eventually(look, lambda events: event in events)

    @property
    def events(self) -> list[str]:
        return [event for _, event, _ in self.log.lines]

    def _command(self, number: int, descriptor: int, _url: str) -> Sequence[str]:
        self.starts += 1
        program = PROGRAM + self._choose(number, self.starts)
        return [sys.executable, "-S", "-c", program, str(descriptor)]


async def stop(_stage: Stage) -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def test_it_ends_when_it_is_asked_to() -> None:
    stage = Stage(lambda _number, _start: OBEDIENT, workers=3)
    assert stage.run(stop) == 0
    assert stage.events == ["workers_ready", "stopping", "stopped"]
    assert stage.starts == 3


@pytest.mark.parametrize(("program", "code"), [(SPOILT, 7), (REFUSED, 3)])
def test_a_service_whose_first_worker_cannot_start_does_not(program: str, code: int) -> None:
    stage = Stage(lambda _number, _start: program, workers=8)
    assert stage.run(stop) == code
    assert stage.starts == 1


def test_a_worker_that_fails_again_and_again_ends_the_service() -> None:
    stage = Stage(lambda number, start: SHORT_LIVED if number == 2 and start > 2 else OBEDIENT)

    async def kill_second(stage: Stage) -> None:
        stage.supervisor._workers[2].kill()

    with pytest.raises(WorkersFailed, match=r"worker 2 has ended 6 times.*exit code 7"):
        stage.run(kill_second)
    assert stage.events.count("worker_ended") == 6
    pauses = [pause_s for pause_s in stage.clock.pauses_s if pause_s < 1 or pause_s > 1]
    assert pauses == [0.1, 0.2, 0.4, 0.8, 1.6]


def test_a_worker_that_the_database_refuses_is_tried_for_ever() -> None:
    stage = Stage(lambda _number, start: REFUSED if 2 < start < 12 else OBEDIENT)

    async def kill_second(stage: Stage) -> None:
        stage.supervisor._workers[2].kill()

        async def look() -> bool:
            return stage.starts == 12 and stage.supervisor._workers[2].is_ready

        await eventually(look, bool)
        os.kill(os.getpid(), signal.SIGTERM)

    assert stage.run(kill_second) == 0
    assert max(stage.clock.pauses_s) == supervisor.AGAIN_AFTER_S_MAX


def test_who_cannot_be_replaced_serves_on() -> None:
    stage = Stage(lambda _number, start: SPOILT if start == 4 else OBEDIENT)

    async def replace(stage: Stage) -> None:
        os.kill(os.getpid(), signal.SIGHUP)
        await stage.logged("restart_failed")
        assert all(worker.is_taking for worker in stage.supervisor._workers.values())
        os.kill(os.getpid(), signal.SIGTERM)

    assert stage.run(replace) == 0
    assert stage.starts == 4
    assert "restarted" not in stage.events


def test_a_second_signal_ends_everything_at_once() -> None:
    stage = Stage(lambda _number, _start: DEAF)

    async def hurry(stage: Stage) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        await stage.logged("stopping")
        os.kill(os.getpid(), signal.SIGTERM)

    assert stage.run(hurry) == 130
    assert "stopping_at_once" in stage.events


def test_who_does_not_end_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "STOP_GRACE_S", 0.01)
    stage = Stage(lambda _number, _start: DEAF)
    assert stage.run(stop) == 1
    assert stage.events.count("worker_killed") == 2


def test_who_hangs_is_killed_and_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "SILENT_S_MAX", 0.0)
    stage = Stage(lambda _number, start: DEAF if start == 2 else OBEDIENT)

    async def watch(stage: Stage) -> None:
        await stage.logged("worker_ended")
        monkeypatch.setattr(supervisor, "SILENT_S_MAX", 60.0)
        os.kill(os.getpid(), signal.SIGTERM)

    stage.run(watch)
    assert "worker_silent" in stage.events


def test_an_address_that_is_taken_starts_nobody() -> None:
    [taken] = bind("127.0.0.1", 0)
    with taken:
        taken.listen()
        port = taken.getsockname()[1]
        settings = Settings(listen=f"127.0.0.1:{port}", workers=2)
        run = Supervisor(settings, lambda *_: [], clock=Clock(), log=QuietLog()).run
        with pytest.raises(CannotListen, match="--listen"):
            asyncio.run(run())
