"""How PostgreSQL is best told to record a batch of attempts: five forms of the same write.

    python -m bench.recording [ATTEMPTS]

Each form holds the lease, writes attempts, deletes a batch row, and commits to a synced disk.
Per attempt: time, CPU of this process and of the server's, and bytes of log. Rounds of all forms
take turns, and the median round counts; ATTEMPTS is how many a round has (6,000).
"""

import asyncio
import random
import statistics
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

import asyncpg  # type: ignore[import-untyped]
import psutil  # type: ignore[import-untyped]
import uvloop

from bench.postgres import SETTINGS
from ringback.clock import Ids
from ringback.testing.postgres import PostgresServer

ROUNDS: Final = 5
SIZES: Final = (1, 10, 60, 300)
BATCHES_MIN: Final = 20
TYPES: Final = {
    **dict.fromkeys(("batch_id", "started_at_ms", "next_at_ms"), "bigint"),
    **dict.fromkeys(("number", "status_code"), "integer"),
    **dict.fromkeys(("trigger", "status"), "smallint"),
    **dict.fromkeys(("id", "msg_id", "endpoint_id", "timings", "url"), "text"),
    **dict.fromkeys(("error", "response_headers"), "text"),
    "response": "bytea",
}
NAMES: Final = ", ".join(TYPES)
NODE: Final = "INSERT INTO node (until_ms, id, host) VALUES (9e15, 'node', '') RETURNING epoch"
FUNCTION: Final = """
    CREATE FUNCTION {name}(_epoch bigint, _node_id text, {parameters}, _finished bigint[])
    RETURNS void LANGUAGE plpgsql SET enable_seqscan = off AS $$
    BEGIN
        PERFORM hold_lease(_epoch, _node_id);
        INSERT INTO attempt ({names}) SELECT {names} FROM unnest({arguments}) {shape} {conflict};
        DELETE FROM in_flight WHERE epoch = _epoch AND batch_id = ANY (_finished);
    END $$"""
PARAMETERS: Final = {
    "rows": "_attempts attempt_row[]",
    "arrays": ", ".join(f"_{name} {type_}[]" for name, type_ in TYPES.items()),
}

Row = tuple[Any, ...]
Form = Callable[[Sequence[Row]], Awaitable[object]]
Figures = tuple[float, float, float, float]  # µs, µs here, µs there, bytes of log; an attempt


class Forms:
    """The forms by name, on one connection."""

    def __init__(self, connection: Any, epoch: int) -> None:
        self._connection = connection
        self._lease = (epoch, "node")
        self.all: dict[str, Form] = {
            "function of the schema": self._schema,
            "rows": lambda rows: self._call("rows_plain", rows),
            "rows, conflicts skipped": lambda rows: self._call("rows_skipping", rows),
            "arrays, conflicts skipped": lambda rows: self._call(
                "arrays_skipping", *zip(*rows, strict=True)
            ),
            "transaction, COPY": self._copy,
        }

    async def make(self) -> None:
        """Creates the functions that the schema does not have."""
        for name in ("rows_plain", "rows_skipping", "arrays_skipping"):
            given = name.partition("_")[0]
            is_array = given == "arrays"
            text = FUNCTION.format(
                name=name,
                names=NAMES,
                parameters=PARAMETERS[given],
                arguments=", ".join(f"_{one}" for one in TYPES) if is_array else "_attempts",
                shape=f"AS one ({NAMES})" if is_array else "",
                conflict="ON CONFLICT DO NOTHING" if "skipping" in name else "",
            )
            await self._connection.execute(text)

    async def _call(self, name: str, *columns: Sequence[Any]) -> object:
        values = (*self._lease, *columns, [1])
        marks = ", ".join(f"${place}" for place in range(1, len(values) + 1))
        return await self._connection.fetch(f"SELECT {name}({marks})", *values)

    async def _schema(self, rows: Sequence[Row]) -> object:
        text = "SELECT record_attempts($1, $2, $3, $4, '{}', '{}', '{}')"
        return await self._connection.fetch(text, *self._lease, rows, [1])

    async def _copy(self, rows: Sequence[Row]) -> None:
        async with self._connection.transaction():
            await self._connection.execute("SELECT hold_lease($1, $2)", *self._lease)
            await self._connection.copy_records_to_table("attempt", columns=[*TYPES], records=rows)
            finished = "DELETE FROM in_flight WHERE epoch = $1 AND batch_id = ANY ($2)"
            await self._connection.execute(finished, self._lease[0], [1])


class Meter:
    """Times a form and takes the CPU of both sides."""

    def __init__(self, connection: Any, pid: int) -> None:
        self._connection = connection
        self._backend = psutil.Process(pid)

    async def measure(self, form: Form, batches: Sequence[Sequence[Row]]) -> Figures:
        log, there_s = await self._log_bytes(), self._there_s()
        began_s, here_s = time.perf_counter(), time.process_time()
        for batch in batches:
            await form(batch)
        took_s, here_s = time.perf_counter() - began_s, time.process_time() - here_s
        there_s = self._there_s() - there_s
        count = sum(map(len, batches))
        written = await self._log_bytes() - log
        return took_s / count * 1e6, here_s / count * 1e6, there_s / count * 1e6, written / count

    def _there_s(self) -> float:
        return float(sum(self._backend.cpu_times()[:2]))

    async def _log_bytes(self) -> int:
        position = "SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint"
        return int(await self._connection.fetchval(position))


async def run(url: str, attempts: int) -> None:
    settings = {"enable_seqscan": "off", "jit": "off"}
    connection = await asyncpg.connect(url, server_settings=settings)
    forms = Forms(connection, await connection.fetchval(NODE))
    await forms.make()
    meter = Meter(connection, await connection.fetchval("SELECT pg_backend_pid()"))
    ids = Ids(random.Random(0))
    print("| form | attempts | µs | µs here | µs there | log, bytes |\n|---|---|---|---|---|---|")
    for size in SIZES:
        rounds: dict[str, list[Figures]] = {}
        for _ in range(ROUNDS):
            for name, form in forms.all.items():
                count = max(BATCHES_MIN, attempts // size // (1 if size > 1 else 10))
                batches = [[_row(ids) for _ in range(size)] for _ in range(count)]
                rounds.setdefault(name, []).append(await meter.measure(form, batches))
        for name, found in rounds.items():
            median = [statistics.median(column) for column in zip(*found, strict=True)]
            print(f"| {name} | {size} | " + " | ".join(f"{value:.1f}" for value in median) + " |")
    await connection.close()


def _row(ids: Ids) -> Row:
    now_ms = time.time_ns() // 1_000_000
    made = (ids.new("atmpt", now_ms), ids.new("msg", now_ms), "ep_" + "0" * 27)
    texts = ("[null,null,null,0.512,0.625]", "http://127.0.0.1:8080/ok/0", "", "")
    return (1, now_ms, 0, 1, 200, 0, 0, *made, *texts, b"")


def main(attempts: int) -> None:
    server = PostgresServer(**SETTINGS)
    try:
        server.start()
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(run(server.create_database(), attempts))
    finally:
        server.close()


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 6_000)
