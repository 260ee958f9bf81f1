"""What this node tells the others, and what it makes of what they say.

Nothing depends on it but how soon things happen. A node that is alone tells nothing. Work that
waits is offered to as many nodes as it needs and not to all: else each would look for every row.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final

import structlog

from ringback.clock import Clock
from ringback.engine.lease import Tenure
from ringback.errors import StoreError
from ringback.store.nodes import Notice, NoticeKind, Notices

TELL_EVERY_S: Final = 0.02  # what comes in between is told together
DELIVERIES_PER_NODE: Final = 64  # one node more is asked for so many
ENDPOINTS_MAX: Final = 1_000  # whose health is told together; what comes beyond is not told

log = structlog.get_logger()


class Herald:
    """`on` says who hears of which kind of notice. `hasten` makes lanes due again, see the port."""

    def __init__(
        self,
        notices: Notices,
        tenure: Tenure,
        *,
        clock: Clock,
        hasten: Callable[[Sequence[str]], Awaitable[None]],
        on: Mapping[NoticeKind, Callable[[Notice], None]],
    ) -> None:
        self._notices = notices
        self._tenure = tenure
        self._clock = clock
        self._hasten = hasten
        self._on = on
        self._wake = asyncio.Event()
        self._due = 0
        self._has_task = False
        self._is_back = False
        self._pauses_s: dict[str, float] = {}
        self._turn = 0

    def due(self, count: int) -> None:
        """So many deliveries wait that this node has no room for just now."""
        self._due += count
        self._wake.set()

    def members(self) -> None:
        """This node is back, after its lease had run out."""
        self._is_back = True
        self._wake.set()

    def task(self) -> None:
        """There is a background task, which the leader sees to."""
        self._has_task = True
        self._wake.set()

    def health(self, endpoint_id: str, *, pause_s: float) -> None:
        """An endpoint is down, and nobody need probe it for so long; or it has answered, so nobody
        need wait for his own probe (0)."""
        if len(self._pauses_s) < ENDPOINTS_MAX or endpoint_id in self._pauses_s:
            self._pauses_s[endpoint_id] = pause_s
            self._wake.set()

    async def listen(self) -> None:
        await self._notices.listen(self._heard)

    async def run(self) -> None:
        """For ever: tell what has gathered."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            try:
                await self._tell()
            except StoreError as error:
                log.debug("notice_not_told", error=str(error))
            await self._clock.sleep(TELL_EVERY_S)

    async def _tell(self) -> None:
        due, pauses_s = self._due, self._pauses_s
        kinds = [
            kind
            for kind, is_so in (
                (NoticeKind.MEMBERS, self._is_back),
                (NoticeKind.TASK, self._has_task),
            )
            if is_so
        ]
        self._due, self._has_task, self._is_back, self._pauses_s = 0, False, False, {}
        if self._tenure.standing.node_count < 2:
            return
        for kind in kinds:
            await self._notices.tell(Notice(kind))
        if well := [endpoint_id for endpoint_id, pause_s in pauses_s.items() if not pause_s]:
            await self._hasten(well)
        for endpoint_id, pause_s in pauses_s.items():
            kind = NoticeKind.DOWN if pause_s else NoticeKind.WELL
            await self._notices.tell(Notice(kind, endpoint_id, pause_ms=round(pause_s * 1000)))
        if due and (epochs := self._asked(due)):
            await self._notices.tell(Notice(NoticeKind.DUE, epochs=epochs))

    def _asked(self, count: int) -> tuple[int, ...]:
        """Whom to ask to claim so many: the others in turn."""
        peers = self._tenure.peers
        if not peers:
            return ()
        asked = min(len(peers), 1 + count // DELIVERIES_PER_NODE)
        first, self._turn = self._turn, self._turn + asked
        return tuple(peers[place % len(peers)] for place in range(first, first + asked))

    def _heard(self, notice: Notice) -> None:
        if notice.kind is NoticeKind.DUE and not self._is_asked(notice):
            return
        self._on[notice.kind](notice)

    def _is_asked(self, notice: Notice) -> bool:
        try:
            return self._tenure.lease.epoch in notice.epochs
        except StoreError:
            return False
