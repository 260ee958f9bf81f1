"""What keeps the database small, and background tasks: the `Tending` of the port.

Messages and attempts are numbered in order of arrival, so the oldest are found by number and time
needs no index.
"""

import sqlite3
from typing import Final

import msgspec

from ringback.errors import TooManyRequests
from ringback.model import Task
from ringback.store.sqlite import recover
from ringback.store.sqlite.database import Database
from ringback.store.sqlite.rows import one, task_of, task_row
from ringback.store.sqlite.sql import as_json, query

RATE_KEPT_MS: Final = 60_000
_WALK: Final = "expire_payloads"  # the walk that deletes payloads, in `progress`


class SqliteTending:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def expire_payloads(self, *, now_ms: int, before_ms: int, limit: int) -> int:
        def run(db: sqlite3.Connection) -> int:
            own = db.execute(query("expire_own_payloads"), (now_ms, limit)).rowcount
            return own + _expire_oldest(db, before_ms, limit - own)

        return await self._database.write(run)

    async def delete_messages(self, *, before_ms: int, limit: int) -> int:
        def run(db: sqlite3.Connection) -> int:
            deleted = db.execute(query("delete_messages"), (limit, before_ms)).fetchall()
            if deleted:
                msg_ids = as_json([msg_id for (msg_id,) in deleted])
                db.execute(query("delete_waiting_of_messages"), (msg_ids,))
                db.execute(query("lower_progress"), (_WALK,))
            return len(deleted)

        return await self._database.write(run)

    async def delete_attempts(self, *, before_ms: int, limit: int) -> int:
        return await self._database.write(
            lambda db: db.execute(query("delete_attempts"), (limit, before_ms)).rowcount
        )

    async def forget_answers(self, *, now_ms: int, limit: int) -> int:
        return await self._database.write(
            lambda db: db.execute(query("delete_answers"), (now_ms, limit)).rowcount
        )

    async def purge_deleted(self, *, limit: int) -> int:
        def run(db: sqlite3.Connection) -> int:
            purged = 0
            for (endpoint_id,) in db.execute(query("list_deleted_lanes"), (limit,)).fetchall():
                rest = limit - purged
                if rest == 0:
                    break
                values = (endpoint_id, rest)
                purged += db.execute(query("delete_waiting_of_endpoint"), values).rowcount
                db.execute(query("delete_lane"), (endpoint_id,))
            return purged

        return await self._database.write(run)

    async def forget_deleted(self, *, before_ms: int, limit: int) -> int:
        def run(db: sqlite3.Connection) -> int:
            endpoints = db.execute(query("forget_endpoints"), (before_ms, limit)).rowcount
            values = (before_ms, limit - endpoints)
            return endpoints + db.execute(query("forget_apps"), values).rowcount

        return await self._database.write(run)

    async def forget_tasks(self, *, before_ms: int, limit: int) -> int:
        return await self._database.write(
            lambda db: db.execute(query("forget_tasks"), (before_ms, limit)).rowcount
        )

    async def forget_rates(self, *, limit: int) -> int:
        before_us = (self._database.clock.now_ms() - RATE_KEPT_MS) * 1000
        return await self._database.write(
            lambda db: db.execute(query("delete_rates"), (before_us, limit)).rowcount
        )

    async def reclaim(self, *, pages: int) -> int:
        def run(db: sqlite3.Connection) -> int:
            before = _free_pages(db)
            db.execute(f"PRAGMA incremental_vacuum({int(pages)})").fetchall()
            return before - _free_pages(db)

        return await self._database.write(run)

    async def make_room(self, *, now_ms: int) -> int:
        """Nothing: the tables take what comes."""
        return 0

    # ---- tasks

    async def create_task(self, task: Task, *, running_max: int) -> Task:
        def run(db: sqlite3.Connection) -> Task:
            [(count,)] = db.execute(query("count_running_tasks"), (task.app_id,)).fetchall()
            _check_room(count, running_max)
            db.execute(query("insert_task"), task_row(task))
            return task

        return await self._database.write(run)

    async def get_task(self, org_id: str, task_id: str) -> Task | None:
        def run(db: sqlite3.Connection) -> Task | None:
            row = one(db, query("read_task"), (org_id, task_id))
            return None if row is None else task_of(row)

        return await self._database.read(run)

    async def running_tasks(self, *, limit: int) -> list[Task]:
        return await self._database.look_up(
            lambda db: [task_of(row) for row in db.execute(query("list_running_tasks"), (limit,))]
        )

    async def recover_step(self, task: Task, *, now_ms: int, limit: int) -> Task:
        return await self._database.write(
            lambda db: recover.step(db, task, now_ms=now_ms, limit=limit)
        )


def _expire_oldest(db: sqlite3.Connection, before_ms: int, limit: int) -> int:
    """Go on where the last call stopped, until a message that is not old. Returns how many."""
    row = one(db, query("read_progress"), (_WALK,))
    start = 0 if row is None else row[0]
    end, count = start, 0
    for seq, created_at_ms in db.execute(query("list_next_messages"), (start, limit)):
        if created_at_ms >= before_ms:
            break
        end, count = seq, count + 1
    if count:
        db.execute(query("expire_payloads"), (start, end))
        db.execute(query("save_progress"), (_WALK, end))
    return count


def _check_room(count: int, running_max: int) -> None:
    if count >= running_max:
        raise TooManyRequests(
            f"The application has {count} recoveries running, which is the limit; wait for one to"
            " finish",
            code="limit_reached",
        )


def _free_pages(db: sqlite3.Connection) -> int:
    return msgspec.convert(db.execute("PRAGMA freelist_count").fetchall()[0][0], int)
