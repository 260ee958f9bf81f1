"""The lease of this process, and rates: the `Nodes` and `Notices` of the port.

The file has one owner, so there is one node; the rows are kept all the same, because an epoch tells
the batches of this run from those of the runs before it. The database's clock is that of the store.
"""

import sqlite3
from collections.abc import Callable, Sequence

import msgspec

from ringback.store.nodes import Grant, NodeAbout, NodeState, Notice, Standing, Want
from ringback.store.port import Lease
from ringback.store.rates import keys, share_out
from ringback.store.sqlite.accept import fenced
from ringback.store.sqlite.database import Database
from ringback.store.sqlite.sql import as_json, query


class SqliteNodes:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def join(self, about: NodeAbout, *, lease_ms: int) -> Lease:
        node_id = self._database.clock.new_id("node")

        def run(connection: sqlite3.Connection) -> Lease:
            now_ms = self._database.clock.now_ms()
            said = (about.host, about.pid, about.role, about.version)
            values = (node_id, *said, now_ms, now_ms + lease_ms)
            return Lease(node_id, connection.execute(query("insert_node"), values).fetchall()[0][0])

        return await self._database.write(run)

    async def renew(self, lease: Lease, *, lease_ms: int, skew_ms: int = 0) -> Standing:
        def run(connection: sqlite3.Connection) -> Standing:
            now_ms = self._database.clock.now_ms()
            values = (now_ms + lease_ms, skew_ms, lease.epoch, lease.node_id)
            if connection.execute(query("renew_node"), values).rowcount == 0:
                raise fenced()
            return _standing(connection, lease, now_ms)

        return await self._database.write(run)

    async def leave(self, lease: Lease) -> None:
        await self._database.write(
            lambda connection: (
                connection.execute(query("leave_node"), (lease.epoch, lease.node_id)).rowcount
            )
        )

    async def list_nodes(self) -> list[NodeState]:
        now_ms = self._database.clock.now_ms()
        return await self._database.read(lambda connection: list_nodes(connection, now_ms=now_ms))

    async def reserve(self, wants: Sequence[Want]) -> list[Grant]:
        def run(connection: sqlite3.Connection) -> list[Grant]:
            rows = connection.execute(query("read_rates"), (as_json(keys(wants)),)).fetchall()
            now_us = self._database.clock.now_ms() * 1000
            grants, changed = share_out(wants, dict(rows), now_us=now_us)
            connection.executemany(query("upsert_rate"), list(changed.items()))
            return grants

        return await self._database.write(run)


class NoNotices:
    """There is nobody to tell."""

    async def tell(self, notice: Notice) -> None:
        """Nothing to do."""

    async def listen(self, on_notice: Callable[[Notice], None]) -> None:
        """Nothing comes."""


def list_nodes(connection: sqlite3.Connection, *, now_ms: int) -> list[NodeState]:
    """Every node, the oldest first."""
    rows = connection.execute(query("list_nodes"), (now_ms,)).fetchall()
    return msgspec.convert(rows, list[NodeState], strict=False)


def _standing(connection: sqlite3.Connection, lease: Lease, now_ms: int) -> Standing:
    nodes = connection.execute(query("list_standing_nodes"), (now_ms,)).fetchall()
    standing = [(epoch, role) for epoch, role, left_ms in nodes if left_ms > 0]
    workers = [epoch for epoch, role, _ in nodes if role != "api"]
    others_ms = [left_ms for epoch, _, left_ms in nodes if epoch != lease.epoch and left_ms > 0]
    return Standing(
        now_ms=now_ms,
        node_count=len(standing),
        workers=tuple(epoch for epoch, role in standing if role != "api"),
        is_leader=workers[:1] == [lease.epoch],
        has_lapsed=len(standing) < len(nodes),
        lapses_in_ms=min(others_ms, default=None),
    )
