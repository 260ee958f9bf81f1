"""Whether the server can do its work."""

from contextlib import suppress

from ringback.api.call import Answer, Call, reply
from ringback.api.schemas.health import DatabaseHealthOut, EngineHealthOut, HealthOut
from ringback.errors import Fenced


async def get(call: Call[None, None]) -> Answer:
    """Of the node that has the connection: behind one port there may be several."""
    node = ""
    with suppress(Fenced):
        node = call.services.engine.tenure.lease.node_id
    health = await call.services.engine.health()
    is_well = health.is_alive and health.is_store_writable
    return reply(
        200 if is_well else 503,
        HealthOut(
            database=DatabaseHealthOut(
                status="ok" if health.is_store_writable else "error",
                detail=health.why_not,
                clock_skew_ms=health.clock_skew_ms,
            ),
            engine=EngineHealthOut(
                status="ok" if health.is_alive else "error",
                node=node,
                oldest_due_age_s=health.oldest_due_age_s,
            ),
        ),
    )


async def ping(call: Call[None, None]) -> Answer:
    """Only that the server answers."""
    return Answer(204)
