"""Background tasks, to see how far they are."""

from ringback.api.call import Answer, Call, reply, rfc3339
from ringback.api.schemas.background_task import BackgroundTaskOut
from ringback.errors import NotFound


async def get(call: Call[None, None]) -> Answer:
    task = await call.services.store.tending.get_task(call.principal.org_id, call.path["task_id"])
    if task is None:
        raise NotFound
    progress = {"appId": task.app_id, **task.arguments, "doneCount": task.done_count}
    return reply(
        200,
        BackgroundTaskOut(
            id=task.id,
            task=task.kind,
            status=task.status,
            data=progress,
            updated_at=rfc3339(task.updated_at_ms),
        ),
    )
