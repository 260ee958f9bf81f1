"""The lease of this process: the `Nodes` of the port.

The file has one owner, so there is one node; the rows are kept all the same, because an epoch tells
the batches of this run from those of the runs before it.
"""

import sqlite3

from ringback.store.port import Lease
from ringback.store.sqlite.accept import fenced
from ringback.store.sqlite.database import Database
from ringback.store.sqlite.sql import query


class SqliteNodes:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def join(self, *, host: str, now_ms: int, until_ms: int) -> Lease:
        node_id = self._database.clock.new_id("node")

        def run(connection: sqlite3.Connection) -> Lease:
            rows = connection.execute(query("insert_node"), (node_id, host, until_ms)).fetchall()
            return Lease(node_id, rows[0][0])

        return await self._database.write(run)

    async def renew(self, lease: Lease, *, until_ms: int) -> None:
        def run(connection: sqlite3.Connection) -> None:
            values = (until_ms, lease.epoch, lease.node_id)
            if connection.execute(query("renew_node"), values).rowcount == 0:
                raise fenced()

        await self._database.write(run)

    async def leave(self, lease: Lease) -> None:
        await self._database.write(
            lambda connection: (
                connection.execute(query("leave_node"), (lease.epoch, lease.node_id)).rowcount
            )
        )
