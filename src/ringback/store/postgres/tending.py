"""What keeps the database small, and background tasks: the `Tending` of the port.

Several nodes tend at once: each passes what another one holds.
"""

from ringback.config import Settings
from ringback.errors import TooManyRequests
from ringback.model import Task
from ringback.store.postgres import recover
from ringback.store.postgres.connection import Connection
from ringback.store.postgres.database import Database
from ringback.store.postgres.expire import count, expire
from ringback.store.postgres.partitions import make_partitions
from ringback.store.postgres.retire import delete_old, forget_deleted, unless_locked
from ringback.store.postgres.rows import one, task_of, task_row
from ringback.store.postgres.sql import query


class PostgresTending:
    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._span_h = settings.partition_h

    async def expire_payloads(self, *, now_ms: int, before_ms: int, limit: int) -> int:
        return await self._database.write(
            lambda db: expire(db, now_ms=now_ms, before_ms=before_ms, limit=limit)
        )

    async def delete_messages(self, *, before_ms: int, limit: int) -> int:
        return await delete_old(self._database, "message", before_ms=before_ms, limit=limit)

    async def delete_attempts(self, *, before_ms: int, limit: int) -> int:
        return await delete_old(self._database, "attempt", before_ms=before_ms, limit=limit)

    async def forget_answers(self, *, now_ms: int, limit: int) -> int:
        async def run(db: Connection) -> int:
            return count(await db.execute(query("delete_answers"), now_ms, limit))

        return await self._database.write(run)

    async def purge_deleted(self, *, limit: int) -> int:
        async def run(db: Connection) -> int:
            purged = 0
            empty: list[str] = []
            for (endpoint_id,) in await db.fetch(query("list_deleted_lanes"), limit):
                if purged == limit:
                    break
                values = (endpoint_id, limit - purged)
                purged += count(await db.execute(query("delete_waiting_of_endpoint"), *values))
                empty.append(endpoint_id)
            if empty:
                # Whoever was just putting something there has committed by then, or is refused.
                await db.execute(query("own_lanes"), empty)
                await db.execute(query("delete_deleted_lanes"), empty)
            return purged

        return await self._database.write(run)

    async def forget_deleted(self, *, before_ms: int, limit: int) -> int:
        return await self._database.write(
            lambda db: forget_deleted(db, before_ms=before_ms, limit=limit)
        )

    async def forget_tasks(self, *, before_ms: int, limit: int) -> int:
        async def run(db: Connection) -> int:
            return count(await db.execute(query("forget_tasks"), before_ms, limit))

        return await self._database.write(run)

    async def forget_rates(self, *, limit: int) -> int:
        async def run(db: Connection) -> int:
            return count(await db.execute(query("delete_rates"), limit))

        return await self._database.write(run)

    async def reclaim(self, *, pages: int) -> int:
        """Nothing: the server's autovacuum does, and dropping partitions frees their files."""
        return 0

    async def make_room(self, *, now_ms: int) -> int:
        made = await unless_locked(
            self._database,
            lambda db: make_partitions(db, now_ms=now_ms, span_h=self._span_h),
            what="make_room",
        )
        return made or 0

    # ---- tasks

    async def create_task(self, task: Task, *, running_max: int) -> Task:
        async def run(db: Connection) -> Task:
            await db.execute(query("lock_app"), task.org_id, task.app_id)
            _check_room(await db.fetchval(query("count_running_tasks"), task.app_id), running_max)
            await db.execute(query("insert_task"), *task_row(task))
            return task

        return await self._database.write(run)

    async def get_task(self, org_id: str, task_id: str) -> Task | None:
        async def run(db: Connection) -> Task | None:
            row = await one(db, query("read_task"), org_id, task_id)
            return None if row is None else task_of(row)

        return await self._database.read(run)

    async def running_tasks(self, *, limit: int) -> list[Task]:
        async def run(db: Connection) -> list[Task]:
            return [task_of(row) for row in await db.fetch(query("list_running_tasks"), limit)]

        return await self._database.look_up(run)

    async def recover_step(self, task: Task, *, now_ms: int, limit: int) -> Task:
        return await self._database.write(
            lambda db: recover.step(db, task, now_ms=now_ms, limit=limit)
        )


def _check_room(count: int, running_max: int) -> None:
    if count >= running_max:
        raise TooManyRequests(
            f"The application has {count} recoveries running, which is the limit; wait for one to"
            " finish",
            code="limit_reached",
        )
