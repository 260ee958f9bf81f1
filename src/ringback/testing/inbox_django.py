"""A project of Django with an inbox in its database: `python -m … URL`, exits 0 if all is well.

It migrates, receives in views' transactions, and handles events on Django's connection.
"""

import asyncio
import sys
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from django.conf import settings  # type: ignore[import-untyped,import-not-found,unused-ignore]

from ringback.receive.inbox import Inbox, InboxEvent, State, ddl
from ringback.receive.inbox.app import django_connection
from ringback.testing.inbox import all_in, an_event, quick

TABLE: Final = "CREATE TABLE effects (id varchar(99) NOT NULL)"


def configure(url: str) -> str:
    """The dialect, for `ddl`."""
    parts = urlsplit(url)
    database: dict[str, Any] = {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": parts.path[1:],
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": parts.hostname,
        "PORT": parts.port,
    }
    if parts.scheme == "sqlite":
        database = {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": url.removeprefix("sqlite:///"),
            "OPTIONS": {"timeout": 30},
        }
    settings.configure(DATABASES={"default": database}, USE_TZ=True)
    import django  # type: ignore[import-untyped,import-not-found,unused-ignore]

    django.setup()
    return "sqlite" if parts.scheme == "sqlite" else "postgresql"


def migrate(dialect: Any) -> None:
    """As `manage.py migrate` does it, twice."""
    from django.db import connection  # type: ignore[import-untyped,import-not-found,unused-ignore]
    from django.db.migrations import (  # type: ignore[import-untyped,import-not-found,unused-ignore]
        RunSQL,
    )

    for script in (TABLE, ddl(dialect), ddl(dialect)):
        with connection.schema_editor() as editor:
            RunSQL(script).database_forwards("shop", editor, None, None)


def receive(inbox: Inbox) -> None:
    """As views do, with and without ATOMIC_REQUESTS."""
    from django.db import (  # type: ignore[import-untyped,import-not-found,unused-ignore]
        connection,
        transaction,
    )

    with inbox.transaction(connection) as kept:
        expect(kept.receive(an_event("evt_1")).stored, 1)
    with transaction.atomic(), inbox.transaction(connection) as kept:
        expect(kept.receive(an_event("evt_1")).duplicates, 1)
        expect(kept.receive(an_event("evt_2")).stored, 1)
    try:
        with transaction.atomic():
            with inbox.transaction(connection) as kept:
                kept.receive(an_event("evt_3"))
            raise ZeroDivisionError
    except ZeroDivisionError:
        connection.close()


async def handle(inbox: Inbox) -> None:
    @inbox.on("stripe")
    def ship(event: InboxEvent, connection: Any) -> None:
        with connection.cursor() as cursor:
            cursor.execute("INSERT INTO effects (id) VALUES (%s)", [event.id])
        if event.attempt == 1:
            raise RuntimeError("not yet")

    async with inbox.running():
        await inbox.receive(an_event("evt_4"))
        await all_in(inbox, State.DONE, 3)


def effects() -> list[str]:
    from django.db import connection  # type: ignore[import-untyped,import-not-found,unused-ignore]

    with connection.cursor() as cursor:
        cursor.execute("SELECT id FROM effects ORDER BY id")
        return [row[0] for row in cursor.fetchall()]


def expect(seen: object, expected: object) -> None:
    if seen != expected:
        sys.exit(f"there is {seen!r} where {expected!r} should be")


if __name__ == "__main__":
    migrate(configure(sys.argv[1]))
    the_inbox = Inbox(django_connection, settings=quick(create_tables=False, retry_schedule_s=(0,)))
    receive(the_inbox)
    asyncio.run(handle(the_inbox))
    expect(effects(), ["evt_1", "evt_2", "evt_4"])
