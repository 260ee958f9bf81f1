"""Lists: both directions, from either end, with every filter, without a row twice or left out."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ringback.clock import id_time_ms
from ringback.testing.asker import Asker
from ringback.testing.shop import BOTH

STORES = BOTH
HOOK = "http://shop.example/hook"
ROWS = 7


class Lists:
    """The paths of lists, and the ids or names of their rows in the order they were made."""

    def __init__(self, api: Asker) -> None:
        self.apps = [api.made("/app", {"name": f"Shop {row}"})["id"] for row in range(ROWS)]
        app = f"/app/{self.apps[0]}"
        self.endpoints = [api.made(f"{app}/endpoint", {"url": HOOK})["id"] for _ in range(ROWS)]
        for endpoint in self.endpoints:
            api.patch(f"{app}/endpoint/{endpoint}", {"disabled": True})
        self.names = [f"event.{row}" for row in range(ROWS)]
        for name in self.names:
            api.made("/event-type", {"name": name, "description": ""})
        self.messages = [
            api.made(
                f"{app}/msg",
                {
                    "eventType": f"event.{row % 3}",
                    "payload": {"row": row},
                    "channels": ["even" if row % 2 == 0 else "odd"],
                },
            )["id"]
            for row in range(ROWS)
        ]
        self.paths = {
            "apps": "/app",
            "endpoints": f"{app}/endpoint",
            "names": "/event-type",
            "messages": f"{app}/msg",
        }


@pytest.fixture(scope="module")
def lists(api: Asker) -> Lists:
    return Lists(api)


# Resource, query, whether the list comes newest (or last) first.
ORDERS = [
    ("apps", "", False),
    ("apps", "&order=ascending", False),
    ("apps", "&order=descending", True),
    ("endpoints", "", True),
    ("endpoints", "&order=descending", True),
    ("endpoints", "&order=ascending", False),
    ("names", "", False),
    ("names", "&order=descending", False),
    ("messages", "", True),
]


def keys(page: Any) -> list[str]:
    return [row.get("id") or row["name"] for row in page["data"]]


@pytest.mark.parametrize(("resource", "query", "is_descending"), ORDERS)
@pytest.mark.parametrize("limit", [1, 2, 3, ROWS, ROWS + 1])
def test_there_and_back_again(
    api: Asker, lists: Lists, resource: str, query: str, is_descending: bool, limit: int
) -> None:
    wanted = list(getattr(lists, resource))
    if is_descending:
        wanted.reverse()
    path = f"{lists.paths[resource]}?limit={limit}{query}"
    page = api.get(path).json
    pages = [page]
    while not page["done"]:
        page = api.get(f"{path}&iterator={page['iterator']}").json
        pages.append(page)
    assert [key for page in pages for key in keys(page)] == wanted
    assert all(len(page["data"]) == limit for page in pages[:-1])
    back = []
    for later in reversed(pages[1:]):
        earlier = api.get(f"{path}&iterator={later['prevIterator']}").json
        back.append(keys(earlier))
    assert back == [keys(page) for page in reversed(pages[:-1])]
    before_the_first = api.get(f"{path}&iterator={pages[0]['prevIterator']}").json
    assert (before_the_first["data"], before_the_first["done"]) == ([], True)


@pytest.mark.parametrize("resource", ["apps", "endpoints", "names", "messages"])
def test_iterators_are_the_ids_of_the_ends(api: Asker, lists: Lists, resource: str) -> None:
    page = api.get(f"{lists.paths[resource]}?limit=3").json
    found = keys(page)
    assert (page["iterator"], page["prevIterator"]) == (found[-1], f"-{found[0]}")


def test_an_empty_page_has_an_iterator_of_null(api: Asker) -> None:
    """SDKs require the key; `prevIterator` may be left out."""
    app = api.made("/app", {"name": "Empty"})["id"]
    empty: dict[str, Any] = {"data": [], "iterator": None, "done": True}
    for path in (f"/app/{app}/msg", f"/app/{app}/endpoint"):
        assert api.get(path).json == empty
    api.delete(f"/app/{app}")


def test_the_limit_is_fifty_unless_given(api: Asker) -> None:
    app = api.made("/app", {"name": "Many"})["id"]
    for _ in range(51):
        api.made(f"/app/{app}/msg", {"eventType": "e", "payload": {}})
    page = api.get(f"/app/{app}/msg").json
    assert (len(page["data"]), page["done"]) == (50, False)
    assert len(api.get(f"/app/{app}/msg?limit=250").json["data"]) == 51
    api.delete(f"/app/{app}")


# ---- messages by time ---------------------------------------------------------------------------


def instant(at_ms: int) -> str:
    at = datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=at_ms)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def test_after_without_an_iterator_begins_at_the_old_end(api: Asker, lists: Lists) -> None:
    """The earliest rows after the instant, newest first; on with `prevIterator`."""
    path, messages = lists.paths["messages"], lists.messages
    start = instant(id_time_ms(messages[0]) - 1_000)
    page = api.get(f"{path}?limit=3&after={start}").json
    assert keys(page) == messages[2::-1]
    assert page["done"] is False
    onward = api.get(f"{path}?limit=3&after={start}&iterator={page['prevIterator']}").json
    assert keys(onward) == messages[5:2:-1]
    last = api.get(f"{path}?limit=3&after={start}&iterator={onward['prevIterator']}").json
    assert (keys(last), last["done"]) == (messages[6:], True)
    down = api.get(f"{path}?limit=3&after={start}&iterator={onward['iterator']}").json
    assert (keys(down), down["done"]) == (messages[2::-1], True)


def test_bounds_are_exclusive_to_the_tick_of_an_id(api: Asker, lists: Lists) -> None:
    path, messages = lists.paths["messages"], lists.messages
    middle = id_time_ms(messages[3])
    before = keys(api.get(f"{path}?before={instant(middle)}").json)
    after = keys(api.get(f"{path}?after={instant(middle)}").json)
    assert messages[3] not in before + after
    older = [one for one in messages if id_time_ms(one) < middle]
    newer = [one for one in messages if id_time_ms(one) > middle]
    assert (before, after) == (older[::-1], newer[::-1])
    both = f"after={instant(middle - 1_000)}&before={instant(middle + 4)}"
    assert messages[3] in keys(api.get(f"{path}?{both}").json)


def test_an_offset_need_not_be_encoded(api: Asker, lists: Lists) -> None:
    path = lists.paths["messages"]
    assert len(api.get(f"{path}?after=2026-01-01T00:00:00+02:00").json["data"]) == ROWS
    assert len(api.get(f"{path}?after=2026-01-01T00:00:00%2B02:00").json["data"]) == ROWS


# ---- messages by what they are ------------------------------------------------------------------


@pytest.mark.parametrize(
    "query",
    [
        "event_types=event.1,event.2",
        "event_types=event.1&event_types=event.2",
        "event_types[]=event.1&event_types[]=event.2",
        "event_types%5B%5D=event.1&event_types%5B%5D=event.2",
        "event_types[0]=event.1&event_types[1]=event.2",
        "event_types=event.1,&event_types[7]=event.2",
    ],
)
def test_every_way_to_name_event_types(api: Asker, lists: Lists, query: str) -> None:
    found = keys(api.get(f"{lists.paths['messages']}?{query}").json)
    assert found == [msg for row, msg in enumerate(lists.messages) if row % 3][::-1]


def test_no_event_types_are_all(api: Asker, lists: Lists) -> None:
    assert len(api.get(f"{lists.paths['messages']}?event_types=").json["data"]) == ROWS


def test_a_filter_holds_across_pages(api: Asker, lists: Lists) -> None:
    path = f"{lists.paths['messages']}?channel=even&limit=2"
    first = api.get(path).json
    second = api.get(f"{path}&iterator={first['iterator']}").json
    assert keys(first) + keys(second) == lists.messages[::2][::-1]
    assert (first["done"], second["done"]) == (False, True)
