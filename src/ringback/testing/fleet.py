"""Several nodes over one PostgreSQL database, under load, and the reckoning in the end.

    async with Fleet(tmp_path, server.create_database(), nodes=2) as fleet:
        await fleet.publishers.accept(100)
        …  whatever may go wrong  …
        outcome = await fleet.settle()
        note_fault(outcome, "what went wrong")

`settle` fails if anything accepted has not arrived, or arrived more often than the database
explains. Leaving the context ends every process.
"""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import msgspec

from ringback.testing.caller import Caller
from ringback.testing.collector import Collector
from ringback.testing.eventually import eventually
from ringback.testing.load import PATHS, Ledger, Publishers
from ringback.testing.outcome import Outcome
from ringback.testing.process import ServiceProcess
from ringback.testing.witness import Witness

SETTLE_S_MAX: Final = 120.0
LINES_SHOWN: Final = 40
SETTINGS: Final = {
    "RINGBACK_RETRY_SCHEDULE": ",".join(["0.1"] * 30),
    "RINGBACK_LOG_FORMAT": "json",
    "RINGBACK_LOG_LEVEL": "warning",
    # Under a fault every message may fail for a while: receivers must not be spared for long.
    "RINGBACK_BREAKER_OPEN_S": "0.2",
    "RINGBACK_BREAKER_OPEN_S_MAX": "0.2",
}


class Fleet:
    """`urls` are those of the database: nodes take turns, the witness has its own or the first."""

    def __init__(
        self,
        directory: Path,
        *urls: str,
        nodes: int,
        settings: Mapping[str, str] | None = None,
        witness: str = "",
    ) -> None:
        self.nodes = [
            _node(directory / f"node-{place}", urls[place % len(urls)], settings or {})
            for place in range(nodes)
        ]
        self.witness = Witness(witness or urls[0])
        self.ledger = Ledger()
        self.receiver = Collector(self.ledger.answer)
        self.endpoints: dict[str, str] = {}
        self.app_id = ""
        self.publishers: Publishers

    async def __aenter__(self) -> Self:
        await self.receiver.__aenter__()
        try:
            await self._begin()
        except BaseException:
            await self.__aexit__(None, None, None)
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None:
            print("\n".join(self.stderr.splitlines()[-LINES_SHOWN:]))  # noqa: T201  it failed: why?
        if hasattr(self, "publishers"):
            self.publishers.cancel()
        for node in self.nodes:
            await node.kill()
        await self.receiver.__aexit__(kind, error, trace)

    @property
    def token(self) -> str:
        return self.nodes[0].token

    @property
    def stderr(self) -> str:
        return "".join(node.stderr for node in self.nodes)

    def said(self, event: str) -> list[Any]:
        """All log lines of all nodes for an event."""
        lines = [line for line in self.stderr.splitlines() if f'"event":"{event}"' in line]
        return [msgspec.json.decode(line) for line in lines]

    def caller(self, place: int = 0) -> Caller:
        """A caller of one node."""
        return Caller(self.nodes[place].url, self.token)

    async def settle(self) -> Outcome:
        """Stop publishing, and reckon when everything has arrived and nothing is left."""
        await self.publishers.stop()
        await self._arrive()
        await eventually(self.witness.left, lambda left: left == 0, SETTLE_S_MAX)
        return await self._reckon()

    async def _begin(self) -> None:
        await self.witness.begin()
        await asyncio.gather(*(node.start() for node in self.nodes))
        async with self.caller() as caller:
            self.app_id = (await caller.made("/app", {"name": "Shop"}))["id"]
            for path in PATHS:
                fields = {"url": self.receiver.url(path)}
                made = await caller.made(f"/app/{self.app_id}/endpoint", fields)
                self.endpoints[made["id"]] = path
        urls = [node.url for node in self.nodes]
        self.publishers = Publishers(urls, self.token, self.app_id)
        self.publishers.start()

    async def _arrive(self) -> None:
        accepted = self.publishers.accepted
        wanted = len(PATHS) * len(accepted)

        def is_whole() -> bool:
            return len(self.ledger.first_s) >= wanted and not self.ledger.missing(accepted)

        try:
            await self.receiver.until(is_whole, SETTLE_S_MAX)
        except TimeoutError:
            lost = self.ledger.missing(accepted)
            raise AssertionError(f"{len(lost)} have not arrived: {lost[:3]} …") from None

    async def _reckon(self) -> Outcome:
        adopted = await self.witness.adopted(self.endpoints)
        recorded = await self.witness.recorded(self.endpoints)
        arrivals = self.ledger.arrivals
        unexplained = {
            place: (times, recorded[place], adopted[place])
            for place, times in arrivals.items()
            if not recorded[place] <= times <= recorded[place] + adopted[place]
        }
        if unexplained:
            raise AssertionError(f"arrived more often than is explained: {unexplained}")
        if unseen := recorded.keys() - arrivals.keys():
            raise AssertionError(f"recorded, but never arrived: {unseen}")
        self._check_ids()
        accepted = self.publishers.accepted
        delays_s = [
            self.ledger.first_s[msg_id, path] - accepted[msg_id]
            for msg_id in accepted
            for path in PATHS
        ]
        return Outcome(
            accepted=len(accepted),
            arrived=len(self.ledger.taken),
            lost=len(self.ledger.missing(accepted)),
            duplicates=self.ledger.duplicates,
            bound=adopted.total(),
            refused=self.publishers.refused,
            longest_delay_s=max(delays_s),
        )

    def _check_ids(self) -> None:
        """Each post became one message, and was answered with its id."""
        other = {
            number: (msg_id, self.ledger.ids_of.get(number))
            for number, msg_id in self.publishers.id_of.items()
            if self.ledger.ids_of.get(number) != {msg_id}
        }
        if other:
            raise AssertionError(f"a post became several messages, or another one: {other}")


def _node(directory: Path, url: str, settings: Mapping[str, str]) -> ServiceProcess:
    directory.mkdir()
    return ServiceProcess(directory, **{**SETTINGS, "RINGBACK_DATABASE": url, **settings})
