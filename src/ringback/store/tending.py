"""What a store promises to whoever tends it, as a protocol; a part of `store.port`.

What nobody needs any more goes in small steps, and so does every background task.
"""

from typing import Protocol

from ringback.model import Task


class Tending(Protocol):
    """Every call is one short transaction over at most `limit` rows and returns how many it took.

    So a caller loops until it gets less than `limit`, and the writer is never held for long. A
    store that keeps messages and attempts by spans of time may delete a whole span at once, which
    counts as `limit`, and may wait until all of a span is old.
    """

    async def expire_payloads(self, *, now_ms: int, before_ms: int, limit: int) -> int:
        """Delete payloads whose own expiry is past, and those of messages made before
        `before_ms` that have none."""
        ...

    async def delete_messages(self, *, before_ms: int, limit: int) -> int:
        """Delete the oldest messages with their waiting rows."""
        ...

    async def delete_attempts(self, *, before_ms: int, limit: int) -> int: ...
    async def forget_answers(self, *, now_ms: int, limit: int) -> int:
        """Delete expired idempotency keys."""
        ...

    async def purge_deleted(self, *, limit: int) -> int:
        """Delete waiting rows of deleted endpoints."""
        ...

    async def forget_deleted(self, *, before_ms: int, limit: int) -> int:
        """Endpoints and applications deleted before an instant, once nothing refers to them."""
        ...

    async def forget_tasks(self, *, before_ms: int, limit: int) -> int: ...
    async def forget_rates(self, *, limit: int) -> int:
        """Delete what is known of rates that were not used of late."""
        ...

    async def reclaim(self, *, pages: int) -> int:
        """Give unused space back to the file system, a bounded bit at a time."""
        ...

    async def make_room(self, *, now_ms: int) -> int:
        """Prepare for the messages of the time to come; how many spans of it were prepared. What
        comes unprepared is kept as well, but costs more to delete."""
        ...

    async def create_task(self, task: Task, *, running_max: int) -> Task:
        """Raises TooManyRequests when the application has `running_max` that run."""
        ...

    async def get_task(self, org_id: str, task_id: str) -> Task | None: ...
    async def running_tasks(self, *, limit: int) -> list[Task]: ...
    async def recover_step(self, task: Task, *, now_ms: int, limit: int) -> Task:
        """One step of an `endpoint.recover` task: look at the next `limit` messages of its range.

        Arguments: `endpoint_id`, `since_ms`, `until_ms`. A message whose deliveries to the endpoint
        ended in failure (no success, nothing waiting, payload still there) gets a waiting row due
        now with `attempts_made` 0. The waiting rows and the task's progress are one transaction;
        a task that does not match the stored cursor is returned as stored, unchanged. Status
        `finished` when the range is done, or the endpoint is gone.
        """
        ...
