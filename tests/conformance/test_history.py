"""`History`: messages and attempts, as people look at them."""

from typing import Any

import msgspec
import pytest

from ringback.errors import NotFound
from ringback.model import Application, AttemptStatus
from ringback.store.page import Page
from ringback.store.port import (
    AttemptFilter,
    EndpointStats,
    MessageFilter,
)
from ringback.store.postgres import paging as postgres_paging
from ringback.store.sqlite import paging as sqlite_paging
from ringback.testing.stores import World

ALL = Page(100)


def listed(world: World, app: Application, page: Page = ALL, **where: Any) -> list[str]:
    found = world.run(world.store.history.list_messages(app.id, page, MessageFilter(**where)))
    return [message.id for message in found.rows]


# ---- messages -----------------------------------------------------------------------------------


def test_messages_are_filtered_and_newest_first(world: World) -> None:
    app, other = world.app(), world.app()
    first = world.sent(app, event_type="a", channels=("eu",))
    second = world.sent(app, event_type="b", channels=("us", "eu"))
    third = world.sent(app, event_type="c")
    world.sent(other)
    assert listed(world, app) == [third.id, second.id, first.id]
    assert listed(world, app, channel="eu") == [second.id, first.id]
    assert listed(world, app, channel="us") == [second.id]
    assert listed(world, app, event_types=("a", "c")) == [third.id, first.id]
    assert listed(world, app, event_types=()) == []
    assert listed(world, app, Page(1, third.id)) == [second.id]
    assert listed(world, app, Page(1, first.id, is_backward=True)) == [second.id]
    assert listed(world, app, Page(2, from_oldest=True)) == [second.id, first.id]


def test_time_bounds_are_exclusive(world: World) -> None:
    app = world.app()
    messages = []
    for _ in range(3):
        world.clock.at_ms += 1_000
        messages.append(world.sent(app))
    middle_ms = messages[1].created_at_ms
    assert listed(world, app, before_ms=middle_ms) == [messages[0].id]
    assert listed(world, app, after_ms=middle_ms) == [messages[2].id]
    assert listed(world, app, after_ms=middle_ms - 4, before_ms=middle_ms + 4) == [messages[1].id]


def test_a_list_may_leave_payloads_out(world: World) -> None:
    app = world.app()
    message = world.sent(app, raw_body=b"raw", content_type="text/plain")
    where = MessageFilter(with_payload=False)
    [found] = world.run(world.store.history.list_messages(app.id, ALL, where)).rows
    assert found == msgspec.structs.replace(message, payload=None, raw_body=None)


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    for paging in (sqlite_paging, postgres_paging):
        monkeypatch.setattr(paging, "PAGE_BYTES_MAX", 3_000)


@pytest.mark.usefixtures("small_pages")
@pytest.mark.parametrize("first", [Page(100), Page(100, from_oldest=True)])
def test_a_page_of_large_rows_is_a_short_one_and_the_next_goes_on(
    world: World, first: Page
) -> None:
    app = world.app()
    made = [world.sent(app, payload=b"%01000d" % number).id for number in range(8)]
    where = MessageFilter()
    page = first
    seen: list[str] = []
    sizes: list[int] = []
    while True:
        found = world.run(world.store.history.list_messages(app.id, page, where))
        ids = [message.id for message in found.rows]
        seen = [*ids, *seen] if first.from_oldest else [*seen, *ids]
        sizes.append(len(ids))
        if not found.has_more:
            break
        place = ids[0] if first.from_oldest else ids[-1]
        page = Page(100, place, is_backward=first.from_oldest)
    assert seen == made[::-1]
    assert sizes == [3, 3, 2]
    assert len(listed(world, app, with_payload=False)) == 8, "what is left out takes no room"


@pytest.mark.usefixtures("small_pages")
def test_attempts_with_large_answers_come_on_short_pages_too(world: World) -> None:
    app = world.app()
    endpoint = world.endpoint(app)
    message = world.sent(app, endpoint)
    world.record(*(world.attempt(message, endpoint, response=b"x" * 1_000) for _ in range(8)))
    history, where = world.store.history, AttemptFilter()
    for found in (
        world.run(history.list_attempts_of_endpoint(endpoint.id, ALL, where)),
        world.run(history.list_attempts_of_message(message.id, ALL, where)),
    ):
        assert (len(found.rows), found.has_more) == (3, True)


def test_a_message_is_found_by_id_and_event_id(world: World) -> None:
    app, other = world.app(), world.app()
    message = world.sent(app, event_id="order-7")
    plain = world.sent(app)
    get = world.store.history.get_message
    assert world.run(get(app.id, message.id)) == message
    assert world.run(get(app.id, "order-7")) == message
    assert world.run(get(app.id, plain.id)) == plain
    assert world.run(get(app.id, "")) is None
    assert world.run(get(other.id, message.id)) is None


def test_an_expunged_message_has_no_payload(world: World) -> None:
    app = world.app()
    message = world.sent(app, raw_body=b"raw", event_id="e")
    world.run(world.store.history.expunge_message(app.id, "e"))
    found = world.run(world.store.history.get_message(app.id, message.id))
    assert found == msgspec.structs.replace(message, payload=None, raw_body=None)
    with pytest.raises(NotFound):
        world.run(world.store.history.expunge_message(app.id, "msg_none"))


# ---- attempts -----------------------------------------------------------------------------------


def test_attempts_are_listed_and_filtered(world: World) -> None:
    app = world.app()
    one, two = world.endpoint(app), world.endpoint(app)
    message = world.sent(app, one, two, event_type="a", channels=("eu",))
    other = world.sent(app, one, event_type="b")
    world.clock.at_ms += 1_000
    failed = world.failure(message, one, status_code=503)
    world.clock.at_ms += 1_000
    broken = world.failure(message, two, status_code=0, error="refused")
    good = world.attempt(message, one)
    elsewhere = world.attempt(other, one)
    world.record(failed, broken, good, elsewhere)

    def of_endpoint(page: Page = ALL, **where: Any) -> list[str]:
        call = world.store.history.list_attempts_of_endpoint
        return [row.id for row in world.run(call(one.id, page, AttemptFilter(**where))).rows]

    def of_message(page: Page = ALL, **where: Any) -> list[str]:
        call = world.store.history.list_attempts_of_message
        return [row.id for row in world.run(call(message.id, page, AttemptFilter(**where))).rows]

    assert of_endpoint() == [elsewhere.id, good.id, failed.id]
    assert of_endpoint(Page(1, elsewhere.id)) == [good.id]
    assert of_endpoint(status=AttemptStatus.FAIL) == [failed.id]
    assert of_endpoint(status=AttemptStatus.SENDING) == []
    assert of_endpoint(status_class=500) == [failed.id]
    assert of_endpoint(status_class=200) == [elsewhere.id, good.id]
    assert of_endpoint(event_types=("b",)) == [elsewhere.id]
    assert of_endpoint(channel="eu") == [good.id, failed.id]
    assert of_endpoint(before_ms=failed.started_at_ms + 4) == [failed.id]
    assert of_endpoint(after_ms=failed.started_at_ms) == [elsewhere.id, good.id]
    assert of_message() == [good.id, broken.id, failed.id]
    assert of_message(endpoint_id=two.id) == [broken.id]
    assert of_message(status_class=0) == [broken.id]
    assert of_message(Page(1, failed.id, is_backward=True)) == [broken.id]


def test_attempts_may_be_listed_without_responses(world: World) -> None:
    app = world.app()
    endpoint = world.endpoint(app)
    message = world.sent(app, endpoint)
    attempt = world.attempt(message, endpoint)
    world.record(attempt)
    where = AttemptFilter(with_response=False)
    call = world.store.history.list_attempts_of_message(message.id, ALL, where)
    [found] = world.run(call).rows
    assert found == msgspec.structs.replace(attempt, response=b"", response_headers=())


def test_an_expunged_attempt_keeps_everything_but_the_response(world: World) -> None:
    app = world.app()
    endpoint = world.endpoint(app)
    message = world.sent(app, endpoint)
    attempt = world.attempt(message, endpoint)
    world.record(attempt)
    world.run(world.store.history.expunge_attempt(message.id, attempt.id))
    found = world.run(world.store.history.get_attempt(message.id, attempt.id))
    assert found == msgspec.structs.replace(attempt, response=b"EXPUNGED", response_headers=())
    with pytest.raises(NotFound):
        world.run(world.store.history.expunge_attempt("msg_none", attempt.id))
    assert world.run(world.store.history.get_attempt("msg_none", attempt.id)) is None


# ---- messages at endpoints ----------------------------------------------------------------------


def test_messages_of_an_endpoint_by_status(world: World) -> None:
    app = world.app()
    endpoint, other = world.endpoint(app), world.endpoint(app)
    good, lost, retried, saved, elsewhere = (
        world.sent(app, endpoint, event_type=name, channels=(name,)) for name in "abcde"
    )
    world.sent(app, endpoint)  # not tried yet
    next_at_ms = world.clock.at_ms + 60_000
    world.record(
        world.attempt(good, endpoint),
        world.failure(lost, endpoint, next_at_ms=next_at_ms),
        world.failure(lost, endpoint),
        world.failure(retried, endpoint, next_at_ms=next_at_ms),
        world.failure(saved, endpoint),
        world.attempt(saved, endpoint),
        world.attempt(elsewhere, other),
    )

    def found(
        page: Page = ALL, status: AttemptStatus | None = None, **where: Any
    ) -> list[tuple[str, AttemptStatus]]:
        call = world.store.history.list_messages_of_endpoint
        pairs = world.run(call(endpoint.id, page, MessageFilter(**where), status=status)).rows
        assert all(attempt.msg_id == message.id for message, attempt in pairs)
        return [(message.event_type, attempt.status) for message, attempt in pairs]

    ok, fail = AttemptStatus.SUCCESS, AttemptStatus.FAIL
    assert found() == [("d", ok), ("c", fail), ("b", fail), ("a", ok)]
    assert found(Page(2, saved.id)) == [("c", fail), ("b", fail)]
    assert found(Page(1, good.id, is_backward=True)) == [("b", fail)]
    assert found(Page(2, from_oldest=True)) == [("b", fail), ("a", ok)]
    assert found(status=ok) == [("d", ok), ("a", ok)]
    assert found(status=fail) == [("b", fail)]
    assert found(status=AttemptStatus.SENDING) == [("c", fail)]
    assert found(status=AttemptStatus.PENDING) == []
    assert found(event_types=("a", "b")) == [("b", fail), ("a", ok)]
    assert found(status=fail, channel="b") == [("b", fail)]
    assert found(status=fail, channel="a") == []
    assert found(channel="d") == [("d", ok)]


def test_an_unknown_endpoint_has_no_messages(world: World) -> None:
    call = world.store.history.list_messages_of_endpoint
    assert world.run(call("ep_none", ALL, MessageFilter(), status=None)).rows == []


def test_endpoints_of_a_message_with_the_latest_attempt(world: World) -> None:
    app = world.app()
    endpoints = [world.endpoint(app) for _ in range(3)]
    message = world.sent(app, *endpoints)
    attempts = [world.failure(message, endpoint) for endpoint in endpoints]
    latest = world.attempt(message, endpoints[1], number=2)
    world.record(*attempts, latest)
    world.run(world.store.resources.delete_endpoint(app.id, endpoints[0].id, at_ms=1))

    def found(page: Page) -> list[tuple[str, str]]:
        call = world.store.history.list_endpoints_of_message(message.id, page)
        return [(endpoint.id, attempt.id) for endpoint, attempt in world.run(call).rows]

    expected = [
        (endpoints[0].id, attempts[0].id),
        (endpoints[1].id, latest.id),
        (endpoints[2].id, attempts[2].id),
    ]
    assert found(Page(9, is_descending=False)) == expected
    assert found(ALL) == expected[::-1]
    assert found(Page(1, endpoints[2].id)) == [expected[1]]
    assert found(Page(1, endpoints[0].id, is_backward=True)) == [expected[1]]


def test_stats_count_attempts_of_a_span_and_what_waits(world: World) -> None:
    app = world.app()
    endpoint = world.endpoint(app)
    before = world.clock.at_ms
    message = world.sent(app, endpoint)
    world.record(world.attempt(message, endpoint))
    world.clock.at_ms += 10_000
    world.record(
        world.failure(message, endpoint),
        world.failure(message, endpoint),
        world.attempt(message, endpoint),
    )
    world.queued(app, endpoint)
    call = world.store.history.endpoint_stats
    stats = world.run(call(endpoint.id, since_ms=before + 1_000, until_ms=before + 20_000))
    assert stats == EndpointStats(success=1, pending=0, sending=1, fail=2, canceled=0)
    everything = world.run(call(endpoint.id, since_ms=0, until_ms=before + 20_000))
    assert everything.success == 2
