"""From a verified event to the inbox, for the adapters: kept when these return, else they raise."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from ringback.errors import InboxUnavailable, RingbackError
from ringback.sign.event import VerifiedEvent

if TYPE_CHECKING:
    from ringback.receive.inbox import Inbox
    from ringback.receive.webhook import Take

Connect = Callable[[], AbstractContextManager[Any]]
"""Gives a connection for one event: `lambda: closing(sqlite3.connect("shop.db"))`, psycopg's
`pool.connection`, SQLAlchemy's `engine.connect`."""


def into(inbox: "Inbox", *, source: str | None) -> "Take":
    """Keeps events by the inbox's own connections. Raises as `Inbox.receive` does."""

    async def take(event: VerifiedEvent) -> None:
        await inbox.receive(event, source=source)

    return take


def into_by(inbox: "Inbox", connect: Connect, *, source: str | None) -> "Take":
    """Keeps events on connections of the app's, without an event loop; each is committed."""

    def take(event: VerifiedEvent) -> None:
        try:
            with connect() as connection, inbox.transaction(connection) as kept:
                kept.receive(event, source=source)
        except RingbackError:
            raise
        except Exception as error:
            raise InboxUnavailable(
                f"the event is not known to be kept ({type(error).__name__}: {error})"
            ) from error

    return take
