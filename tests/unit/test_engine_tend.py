"""What one part of tending may not do keeps no other from its work, and is told once."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import cast

from structlog.testing import capture_logs

from ringback.clock import Clock
from ringback.config import Settings
from ringback.engine.claim import Claimer
from ringback.engine.lease import Tenure
from ringback.engine.tend import Tender
from ringback.errors import StoreUnavailable
from ringback.store.port import Path
from ringback.store.tending import Tending


class Leader:
    is_leader = True

    def now_ms(self) -> int:
        return 1_000


class Refusing:
    """A database that does all but one thing, and finds nothing to do."""

    def __init__(self, refused: str) -> None:
        self.refused = refused
        self.asked: list[str] = []

    def __getattr__(self, name: str) -> Callable[..., Awaitable[int]]:
        async def call(**_: object) -> int:
            self.asked.append(name)
            if name == self.refused:
                raise StoreUnavailable("must be owner of table message")
            return 0

        return call


def tender_of(tending: Refusing) -> Tender:
    return Tender(
        cast("Path", None),
        cast("Tending", tending),
        claimer=cast("Claimer", None),
        tenure=cast("Tenure", Leader()),
        settings=Settings(),
        clock=Clock(),
        on_work=lambda count: None,
    )


def test_retention_goes_on_behind_what_it_may_not_do() -> None:
    all_asked = []
    for refused in ("nothing", "make_room", "delete_messages"):
        tending = Refusing(refused)
        with capture_logs() as logged:
            asyncio.run(tender_of(tending).retain_all())
        all_asked.append(tending.asked)
        told = [(line["event"], line["part"]) for line in logged]
        assert told == ([] if refused == "nothing" else [("tending_failed", refused)])
    assert len(all_asked[0]) == 10
    assert all_asked[0] == all_asked[1] == all_asked[2]


def test_a_refusal_is_told_once_until_it_is_over() -> None:
    tending = Refusing("make_room")
    tender = tender_of(tending)

    async def story() -> None:
        await tender.retain_all()
        await tender.retain_all()
        tending.refused = "nothing"
        await tender.retain_all()
        tending.refused = "make_room"
        await tender.retain_all()

    with capture_logs() as logged:
        asyncio.run(story())
    assert [line["error"] for line in logged] == ["must be owner of table message"] * 2
