"""What of the inbox is a function of values: waits, settings, statements, payloads, queries."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

import ringback.receive.inbox as room
from ringback.errors import ConfigError
from ringback.receive.inbox import Inbox, InboxEvent, InboxSettings
from ringback.receive.inbox.backoff import next_wait_s
from ringback.receive.inbox.entry import Reading, entries_of
from ringback.receive.inbox.event import event_of
from ringback.receive.inbox.statements import ERROR_CHARS_MAX, retry
from ringback.testing.inbox import an_event

QUERIES = Path(str(room.__file__)).parent / "queries"


@given(
    schedule_s=st.lists(st.floats(0, 1e6), max_size=20),
    attempt=st.integers(1, 30),
    jitter=st.floats(0, 0.99),
    luck=st.floats(0, 1, exclude_max=True),
)
def test_waits_follow_the_schedule(
    schedule_s: list[float], attempt: int, jitter: float, luck: float
) -> None:
    wait_s = next_wait_s(attempt, schedule_s, jitter=jitter, luck=luck)
    if attempt > len(schedule_s):
        assert wait_s is None
    else:
        assert wait_s is not None
        assert abs(wait_s - schedule_s[attempt - 1]) <= jitter * schedule_s[attempt - 1] + 1e-6


@pytest.mark.parametrize(
    "change",
    [
        {"concurrency": 0},
        {"concurrency": 257},
        {"lease_s": 30.0},
        {"handler_timeout_s": 0},
        {"retry_jitter": 1.0},
        {"retry_schedule_s": (1.0,) * 100},
        {"retry_schedule_s": (-1.0,)},
        {"kept_days": 0},
        {"poll_s": float("nan")},
    ],
)
def test_settings_that_make_no_sense_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        InboxSettings(**change)


@pytest.mark.parametrize(
    "database", ["sqlite:///", "sqlite:///:memory:", "sqlite://x.db", "mysql://x", "shop.db", 7]
)
def test_databases_that_keep_nothing_are_refused(database: Any) -> None:
    with pytest.raises(ConfigError):
        Inbox(database)


def test_both_databases_have_the_same_queries() -> None:
    names = {
        dialect: {path.name for path in (QUERIES / dialect).glob("*.sql")}
        for dialect in ("sqlite", "postgres")
    }
    # SQLite has one writer, so nobody waits for another one's key.
    assert names["postgres"] - names["sqlite"] == {"lock_keys.sql", "lock_schema.sql"}
    assert names["sqlite"] - names["postgres"] == set()


@given(error=st.text(st.characters(codec=None), max_size=50) | st.just("x\0" * 9_000))
def test_errors_are_bounded_and_fit_for_every_database(error: str) -> None:
    [statement] = retry(an_inbox_event(), 1, error)
    kept = statement.values[3]
    assert len(kept) <= ERROR_CHARS_MAX + 3
    assert "\0" not in kept
    kept.encode()


@pytest.mark.parametrize(
    ("body", "payload"),
    [
        (b' {"a": 1}', {"a": 1}),
        (b"[1, 2]", [1, 2]),
        (b"a=1&b=2", {"a": "1", "b": "2"}),
        (b"\x00\xff", None),
        (b"", None),
    ],
)
def test_the_payload_is_what_verify_returned(body: bytes, payload: Any) -> None:
    verified = structs.replace(an_event("evt_1"), body=body, payload=payload)
    [entry] = entries_of(verified, Reading(None, None, 100, str), source=None, origin="webhook")
    event = event_of(
        (1, "stripe", "evt_1", None, None, entry.body, entry.decoded, "webhook", None, 0, 1, "l")
    )
    assert event.body == body
    assert event.payload == payload


def test_it_loads_no_driver_that_is_not_used() -> None:
    """And what verifies does not load the inbox."""
    program = (
        "import sys, ringback.receive\n"
        "ringback.receive.verify\n"
        "assert not {'ringback.receive.inbox', 'sqlite3', 'asyncio'} & set(sys.modules)\n"
        "from ringback.receive import Inbox\n"
        "Inbox('sqlite:///shop.db')\n"
        "assert not {'asyncpg', 'psycopg', 'django', 'sqlalchemy'} & set(sys.modules)\n"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)
    assert ended.returncode == 0, ended.stderr.decode()


def an_inbox_event() -> InboxEvent:
    return InboxEvent(
        number=1,
        source="stripe",
        id="evt_1",
        type=None,
        timestamp_s=None,
        body=b"{}",
        origin="webhook",
        order_key=None,
        received_at_ms=0,
        attempt=1,
        lease="lease",
    )
