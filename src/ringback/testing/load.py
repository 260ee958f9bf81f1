"""Steady load on a service of several nodes, and a ledger of what became of it.

Publishers post through whichever node answers, and repeat what they don't know the fate of, under
the same Idempotency-Key or event id, until it is certain: so every number that was begun ends up
as exactly one message, and a message counts as accepted when that was answered.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from itertools import count
from typing import Final

import msgspec

from ringback.testing.caller import Answer, Caller
from ringback.testing.collector import Arrival

PATHS: Final = ("/steady", "/flaky")
EVENT_TYPE: Final = "order.paid"
UNLUCKY_FAILURES: Final = 2
ANSWER_S_MAX: Final = 120.0
REST_S: Final = 0.03

Place = tuple[str, str]  # message id, path of the endpoint


class Ledger:
    """What a receiver has seen. At `/flaky` a tenth of the messages fail twice before."""

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
        if is_unlucky and self.arrivals[place] <= UNLUCKY_FAILURES:
            return 500
        self.taken[place] += 1
        self.first_s.setdefault(place, arrival.at_s)
        return 200

    @property
    def duplicates(self) -> int:
        return sum(times - 1 for times in self.taken.values())

    def missing(self, msg_ids: Iterable[str]) -> list[Place]:
        return [place for place in places(msg_ids) if place not in self.first_s]


class Publishers:
    """`accepted` are ids and when their acceptance was known; `refused` counts 503s.

    `pause_s` is what each of `number` publishers rests after each message.
    """

    def __init__(
        self,
        urls: Sequence[str],
        token: str,
        app_id: str,
        *,
        number: int = 8,
        pause_s: float = 0.005,
    ) -> None:
        self._urls = urls
        self._token = token
        self._path = f"/app/{app_id}/msg"
        self._number = number
        self._pause_s = pause_s
        self._numbers = count()
        self._is_stopped = False
        self._running: list[asyncio.Task[None]] = []
        self._changed = asyncio.Event()
        self.accepted: dict[str, float] = {}
        self.id_of: dict[int, str] = {}
        self.refused = 0

    def start(self) -> None:
        self._running = [asyncio.create_task(self._publish(n)) for n in range(self._number)]

    async def stop(self) -> None:
        """Return when the fate of everything that was begun is certain."""
        self._is_stopped = True
        await self._watched(asyncio.gather(*self._running))

    async def accept(self, more: int) -> None:
        """Wait until that many more have been accepted."""
        goal = len(self.accepted) + more
        await self._until(lambda: len(self.accepted) >= goal)

    async def refuse(self, more: int) -> None:
        """Wait until that many more posts have been answered 503."""
        goal = self.refused + more
        await self._until(lambda: self.refused >= goal)

    def cancel(self) -> None:
        for one in self._running:
            one.cancel()

    async def _until(self, is_so: Callable[[], bool]) -> None:
        async with asyncio.timeout(ANSWER_S_MAX):
            while not is_so():
                self._changed.clear()
                await self._watched(self._changed.wait())

    async def _watched(self, what: Awaitable[object]) -> None:
        """Wait, unless a publisher fails: its error is raised."""
        waiting = asyncio.ensure_future(what)
        try:
            await asyncio.wait([waiting, *self._running], return_when=asyncio.FIRST_COMPLETED)
            for one in self._running:
                if one.done():
                    one.result()
            await waiting
        finally:
            waiting.cancel()

    # ---- one publisher --------------------------------------------------------------------------

    async def _publish(self, first: int) -> None:
        """The nodes take turns."""
        callers = [Caller(url, self._token) for url in self._urls]
        turn = first
        try:
            while not self._is_stopped:
                turn = 1 + await self._publish_one(callers, turn, next(self._numbers))
                await asyncio.sleep(self._pause_s)  # sleeps: a steady pace
        finally:
            for caller in callers:
                caller.close()

    async def _publish_one(self, callers: Sequence[Caller], turn: int, number: int) -> int:
        """Until it is certain what became of it; whose turn it is then."""
        while True:
            caller = callers[turn % len(callers)]
            try:
                msg_id = await self._post(caller, number)
            except ConnectionError:
                msg_id = None
            if msg_id is not None:
                self._note(number, msg_id)
                return turn
            turn += 1
            await asyncio.sleep(REST_S)  # sleeps: perhaps no node answers just now

    async def _post(self, caller: Caller, number: int) -> str | None:
        """The id, or None when it was refused for now. Raises Refused or Broken."""
        body: dict[str, object] = {"eventType": EVENT_TYPE, "payload": {"n": number}}
        if number % 2:
            key = {"idempotency_key": f"order-{number}"}
            answer = await caller.post(f"{self._path}?with_content=false", body, **key)
        else:
            body["eventId"] = f"event-{number}"
            answer = await caller.post(f"{self._path}?with_content=false", body)
            if answer.status == 409:  # an earlier post was accepted, and its answer lost
                answer = await caller.get(f"{self._path}/event-{number}")
        if answer.status in (200, 202):
            return str(answer.json["id"])
        check_refusal(answer)
        self.refused += 1
        self._changed.set()
        return None

    def _note(self, number: int, msg_id: str) -> None:
        self.accepted[msg_id] = asyncio.get_running_loop().time()
        self.id_of[number] = msg_id
        self._changed.set()


def places(msg_ids: Iterable[str]) -> list[Place]:
    return [(msg_id, path) for msg_id in msg_ids for path in PATHS]


def check_refusal(answer: Answer) -> None:
    """503 in the one shape of errors, in one line, and saying when to come again."""
    if answer.status != 503:
        raise AssertionError(f"{answer.status} {answer.body.decode()}")
    if answer.json.keys() != {"code", "detail"} or "\n" in answer.json["detail"]:
        raise AssertionError(f"an unclear refusal: {answer.json}")
    if int(answer.headers["retry-after"]) < 1:
        raise AssertionError(f"come again when? {answer.headers}")
