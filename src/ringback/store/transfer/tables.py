"""What is moved: each table's columns, the same in both databases, in the order of copying.

`key` is what rows are read in the order of, so that a transfer can go on after one of them. What is
not here is made anew by the first nodes: leases, rates of the last seconds, how far retention went.
"""

from typing import Final, TypeVar

from msgspec import Struct

from ringback.store.sqlite.sql import Row

T = TypeVar("T")

REPLACEMENT: Final = "\ufffd"


class Table(Struct, frozen=True):
    """`flags` are columns that hold 0 and 1 in SQLite; `rows` is what it reads them from.

    `large` are the columns that may hold much, so that a batch is bounded by their bytes.
    """

    name: str
    key: str
    columns: tuple[str, ...]
    flags: tuple[str, ...] = ()
    large: tuple[str, ...] = ()
    rows: str = ""

    @property
    def source(self) -> str:
        return self.rows or self.name


def _table(
    name: str, key: str, columns: str, *, flags: str = "", large: str = "", rows: str = ""
) -> Table:
    return Table(
        name, key, tuple(columns.split()), tuple(flags.split()), tuple(large.split()), rows
    )


TABLES: Final = (
    _table(
        "application",
        "id",
        "id org_id uid name throttle_rate metadata version is_deleted created_at_ms updated_at_ms",
        flags="is_deleted",
    ),
    _table(
        "endpoint",
        "id",
        "id app_id uid url description is_disabled event_types channels throttle_rate metadata"
        " headers secrets signature_scheme retry failing_since_ms version is_deleted created_at_ms"
        " updated_at_ms",
        flags="is_disabled is_deleted",
    ),
    _table(
        "event_type",
        "org_id || ' ' || name",
        "org_id name description is_archived is_deprecated schemas feature_flag group_name"
        " created_at_ms updated_at_ms",
        flags="is_archived is_deprecated",
    ),
    _table(
        "message",
        "seq",
        "created_at_ms payload_expires_at_ms app_id id event_type event_id channels content_type"
        " payload raw_body",
        large="payload raw_body",
    ),
    # Unique for ever: in PostgreSQL not to be had from a table that is kept in partitions.
    _table(
        "event_id",
        "seq",
        "app_id event_id message_id",
        rows="(SELECT seq, app_id, event_id, id AS message_id FROM message WHERE event_id <> '')",
    ),
    _table(
        "attempt",
        "seq",
        "batch_id started_at_ms next_at_ms number status_code trigger status id msg_id endpoint_id"
        " timings url error response_headers response",
        large="response_headers response",
    ),
    _table("waiting", "id", "id due_at_ms attempts_made trigger endpoint_id app_id msg_id"),
    _table("lane", "endpoint_id", "due_at_ms is_deleted endpoint_id app_id", flags="is_deleted"),
    _table("answer", "hex(digest)", "digest expires_at_ms message_id answer", large="answer"),
    _table(
        "task",
        "id",
        "id org_id app_id kind status arguments cursor done_count created_at_ms updated_at_ms",
    ),
)


class Converter:
    """From rows as SQLite gives them to rows as PostgreSQL takes them.

    It keeps every character but NUL, which becomes U+FFFD; `replaced` counts such rows.
    """

    def __init__(self, table: Table) -> None:
        self._flags = tuple(map(table.columns.index, table.flags))
        self.replaced = 0

    def row(self, row: Row) -> Row:
        if self._flags:
            values = list(row)
            for place in self._flags:
                values[place] = bool(values[place])
            row = tuple(values)
        for value in row:
            if type(value) is str and "\0" in value:  # quicker than isinstance, in millions
                self.replaced += 1
                return tuple(map(_storable, row))
        return row


def _storable(value: T) -> T | str:
    return value.replace("\0", REPLACEMENT) if isinstance(value, str) else value
