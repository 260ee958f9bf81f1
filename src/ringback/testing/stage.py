"""A whole service with a receiver beside it, for tests that only differ in their settings.

    with Background(stage(running, settings_for(directory))) as live:
        Asker(live.value.service.url, token())
        live.value.receiver.url("/500")         answered 500, any other path 200

`tests/story/conftest.py` makes fixtures of it. The end of the stage is a check of its own: what
nobody planned for has been logged as an error, and fails the module.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Generic, Protocol, TypeVar

from msgspec import Struct

from ringback.config import Settings
from ringback.testing.asker import Asker
from ringback.testing.background import Background
from ringback.testing.collector import Arrival, Collector
from ringback.testing.quiet import QuietLog

S = TypeVar("S")
S_co = TypeVar("S_co", covariant=True)


class Run(Protocol[S_co]):
    """`serve.running`, from which this room keeps its distance."""

    def __call__(
        self, settings: Settings, *, log: QuietLog
    ) -> AbstractAsyncContextManager[S_co]: ...


class Stage(Struct, Generic[S], frozen=True):
    """What is on it."""

    service: S
    receiver: Collector
    log: QuietLog


# A stage in the background, and the event loop on which it lives.
Live = Background[Stage[S]]


def by_path(arrival: Arrival) -> int:
    """`/500` and `/500/x` are answered 500; anything else 200."""
    return int(arrival.path[1:4]) if arrival.path[1:4].isdigit() else 200


@asynccontextmanager
async def stage(
    run: Run[S], settings: Settings, *, answer: Callable[[Arrival], int] = by_path
) -> AsyncIterator[Stage[S]]:
    """Raises AssertionError at its end when an error was logged."""
    log = QuietLog()
    async with Collector(answer) as receiver, run(settings, log=log) as service:
        yield Stage(service, receiver, log)
    if log.errors:
        raise AssertionError(f"nobody planned for this: {log.errors}")


def one_of_each(api: Asker) -> dict[str, str]:
    """New things by the names of path parameters, so that requests get past the first 404.

    Nothing is sent anywhere: the endpoint is disabled.
    """
    app = api.made("/app", {"name": "Shop"})["id"]
    place = f"/app/{app}"
    body = {"url": "http://shop.example/", "disabled": True}
    endpoint = api.made(f"{place}/endpoint", body)["id"]
    msg = api.made(f"{place}/msg", {"eventType": "e", "payload": {}})["id"]
    api.put("/event-type/order.paid", {"description": ""})
    return {
        "app_id": app,
        "endpoint_id": endpoint,
        "msg_id": msg,
        "event_type_name": "order.paid",
        "attempt_id": "atmpt_" + "0" * 27,
        "task_id": "qtask_" + "0" * 27,
    }
