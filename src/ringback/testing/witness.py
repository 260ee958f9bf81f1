"""What a PostgreSQL database itself saw: which deliveries came back without having been recorded.

Triggers of the test note, in the transaction that takes a batch row away, every delivery of it
that has no attempt in that batch. Those are what a node that died, or lost its lease, had in
flight: each of them may arrive once more than it was recorded, and nothing else may.
"""

from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

import asyncpg  # type: ignore[import-untyped]
from msgspec import Struct

SETUP: Final = """
CREATE TABLE witness_adopted (
    at_ms bigint NOT NULL DEFAULT extract(epoch FROM clock_timestamp()) * 1000,
    epoch bigint NOT NULL,
    msg_id text NOT NULL,
    endpoint_id text NOT NULL
);
CREATE FUNCTION witness_batch() RETURNS trigger
LANGUAGE plpgsql SET enable_seqscan = off AS $$
BEGIN
    INSERT INTO witness_adopted (epoch, msg_id, endpoint_id)
    SELECT OLD.epoch, one ->> 1, one ->> 2
    FROM json_array_elements(OLD.deliveries::json) AS one
    WHERE NOT EXISTS (
        SELECT 1 FROM attempt
        WHERE attempt.msg_id = one ->> 1 AND attempt.endpoint_id = one ->> 2
          AND attempt.batch_id = OLD.batch_id
    );
    RETURN NULL;
END $$;
CREATE TRIGGER witness AFTER DELETE ON in_flight
    FOR EACH ROW EXECUTE FUNCTION witness_batch();
"""
IN_FLIGHT: Final = "SELECT DISTINCT epoch FROM in_flight ORDER BY epoch"
LEFT: Final = "SELECT (SELECT count(*) FROM in_flight) + (SELECT count(*) FROM waiting)"
STANDING: Final = "SELECT count(*) FROM node WHERE NOT is_gone"
RECORDED: Final = (
    "SELECT msg_id, endpoint_id, count(*) FROM attempt WHERE status_code <> 0 GROUP BY 1, 2"
)
ADOPTED: Final = "SELECT msg_id, endpoint_id, count(*) FROM witness_adopted GROUP BY 1, 2"

Place = tuple[str, str]  # message id, path of the endpoint


class Adoption(Struct, frozen=True):
    """When a delivery of a node came back to the database, by the server's clock."""

    at_ms: int
    epoch: int
    msg_id: str


class Witness:
    """Asks over a connection of its own each time: the server may have been restarted."""

    def __init__(self, url: str) -> None:
        self._url = url

    async def begin(self) -> None:
        """Before the first message."""
        await self.execute(SETUP)

    async def left(self) -> int:
        """How many batches are in flight and deliveries waiting."""
        [(number,)] = await self.fetch(LEFT)
        return int(number)

    async def standing(self) -> int:
        """How many nodes hold a lease that they have not given back."""
        [(number,)] = await self.fetch(STANDING)
        return int(number)

    async def epochs_in_flight(self) -> list[int]:
        """Of the nodes that have something in flight."""
        return [row[0] for row in await self.fetch(IN_FLIGHT)]

    async def adoptions(self) -> list[Adoption]:
        rows = await self.fetch("SELECT at_ms, epoch, msg_id FROM witness_adopted ORDER BY at_ms")
        return [Adoption(*row) for row in rows]

    async def adopted(self, endpoints: Mapping[str, str]) -> Counter[Place]:
        """How often each delivery came back unrecorded; `endpoints` are paths by id."""
        return _counted(await self.fetch(ADOPTED), endpoints)

    async def recorded(self, endpoints: Mapping[str, str]) -> Counter[Place]:
        """How many answered attempts of each delivery are recorded."""
        return _counted(await self.fetch(RECORDED), endpoints)

    async def fetch(self, text: str) -> list[Any]:
        connection = await asyncpg.connect(self._url)
        try:
            return list(await connection.fetch(text))
        finally:
            await connection.close()

    async def execute(self, text: str) -> None:
        connection = await asyncpg.connect(self._url)
        try:
            await connection.execute(text)
        finally:
            await connection.close()


def _counted(rows: list[Any], endpoints: Mapping[str, str]) -> Counter[Place]:
    return Counter({(msg_id, endpoints[endpoint_id]): times for msg_id, endpoint_id, times in rows})
