"""How far a transfer has come, as the target itself says it.

While it says that a transfer has not ended, no service starts there: it would send from half of
what is to come.
"""

from typing import Final

import msgspec
from msgspec import Struct

from ringback.errors import StoreOwned
from ringback.store.postgres.connection import Connection
from ringback.store.transfer.sql import query

MARK: Final = "transfer"  # in `progress`


class Identity(Struct, frozen=True):
    """Tells a SQLite file from others, and from itself after a service has run on it."""

    migration: int
    epoch: int
    first_app_id: str
    last_message: int
    last_attempt: int


class Mark(Struct, frozen=True):
    """`table` is the one that is being copied, up to and with the row of the key `after`.

    `rows` were copied of each table so far.
    """

    identity: Identity
    table: str
    after: str | int | None
    rows: dict[str, int]
    is_done: bool = False


async def read_mark(connection: Connection) -> Mark | None:
    """None when there never was a transfer into this database."""
    text = await connection.fetchval(query("read_mark"), MARK)
    return None if text is None else msgspec.json.decode(text, type=Mark)


async def check_no_transfer(connection: Connection) -> None:
    """Raises StoreOwned while a transfer into the database has begun and not ended."""
    mark = await read_mark(connection)
    if mark is not None and not mark.is_done:
        raise StoreOwned(
            "a transfer into this database has not ended; run the same `ringback transfer` again,"
            " it goes on where it was cut off"
        )


def text_of(mark: Mark) -> str:
    return msgspec.json.encode(mark).decode()
