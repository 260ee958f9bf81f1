"""How PostgreSQL is best told to accept a batch of messages: five forms of the same writes.

    python -m bench.statements [SECONDS]

Each form checks the lease and the application's version, writes messages of 300 bytes and the batch
row, and commits; the disk is waited for. Per message: time, CPU of this process and of the server,
and bytes of log. Rounds of all forms take turns, and the median round counts.
"""

import asyncio
import json
import statistics
import sys
from collections.abc import Awaitable, Callable, Sequence
from time import perf_counter, process_time
from typing import Any, Final

import asyncpg  # type: ignore[import-untyped]
import msgspec
import psutil  # type: ignore[import-untyped]
import uvloop

from ringback.clock import Clock
from ringback.config import Settings
from ringback.model import Message
from ringback.store.port import IdempotencyKey, Lease, NewMessage
from ringback.store.postgres.accept import accept
from ringback.store.postgres.database import Database
from ringback.store.postgres.store import PostgresStore, open_store
from ringback.testing.postgres import PostgresServer
from ringback.testing.stores import World, delivery

ROUNDS: Final = 5
SIZES: Final = (1, 10, 100, 500)
PAYLOAD: Final = json.dumps({"text": "x" * 288}).encode()

HOLD_ROW: Final = "SELECT 1 FROM node WHERE epoch = $1 AND id = $2 AND NOT is_gone FOR SHARE"
VERSIONS: Final = "SELECT id, version FROM application WHERE id = ANY ($1) AND NOT is_deleted"
BATCH: Final = "INSERT INTO in_flight (epoch, batch_id, deliveries) VALUES ($1, $2, $3)"
UNNEST: Final = """
    INSERT INTO message (app_id, id, created_at_ms, event_type, payload)
    SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[], $4::text[], $5::bytea[])"""
WITH_JSON: Final = """
    CREATE FUNCTION accept_json(
        _epoch bigint, _node_id text, _batch_id bigint, _messages jsonb, _deliveries text
    ) RETURNS void LANGUAGE plpgsql AS $$
    BEGIN
        PERFORM hold_lease(_epoch, _node_id);
        PERFORM count(*) FROM application
        JOIN (SELECT DISTINCT app_id FROM jsonb_to_recordset(_messages) AS m (app_id text)) AS w
            ON w.app_id = application.id AND NOT is_deleted;
        INSERT INTO message (app_id, id, created_at_ms, event_type, payload)
        SELECT app_id, id, created_at_ms, event_type, convert_to(payload, 'UTF8')
        FROM jsonb_to_recordset(_messages)
            AS m (app_id text, id text, created_at_ms bigint, event_type text, payload text);
        INSERT INTO in_flight (epoch, batch_id, deliveries)
        VALUES (_epoch, _batch_id, _deliveries);
    END $$"""
WITH_ARRAYS: Final = """
    CREATE FUNCTION accept_arrays(
        _epoch bigint, _node_id text, _batch_id bigint, _app_ids text[], _ids text[],
        _created_at_ms bigint[], _event_types text[], _payloads bytea[], _deliveries text
    ) RETURNS void LANGUAGE plpgsql AS $$
    BEGIN
        PERFORM hold_lease(_epoch, _node_id);
        PERFORM count(*) FROM application
        JOIN (SELECT DISTINCT app_id FROM unnest(_app_ids) AS m (app_id)) AS w
            ON w.app_id = application.id AND NOT is_deleted;
        INSERT INTO message (app_id, id, created_at_ms, event_type, payload)
        SELECT * FROM unnest(_app_ids, _ids, _created_at_ms, _event_types, _payloads);
        INSERT INTO in_flight (epoch, batch_id, deliveries)
        VALUES (_epoch, _batch_id, _deliveries);
    END $$"""
COLUMNS: Final = ("app_id", "id", "created_at_ms", "event_type", "payload")

Form = Callable[[int, Sequence[NewMessage]], Awaitable[object]]
Figures = tuple[float, float, float, float]  # µs, µs here, µs there, bytes of log; a message


class Forms:
    """The forms by name, each on the same connection of its own."""

    def __init__(self, database: Database, connection: Any, lease: Lease) -> None:
        self._database = database
        self._connection = connection
        self._lease = lease
        self.all: dict[str, Form] = {
            "function, rows": self.function,
            "function, arrays, five columns": self.with_arrays,
            "function, jsonb, five columns": self.with_json,
            "transaction, unnest": self.with_unnest,
            "transaction, COPY": self.with_copy,
        }

    async def function(self, batch_id: int, messages: Sequence[NewMessage]) -> object:
        return await accept(self._database, self._lease, batch_id, messages)

    async def with_arrays(self, batch_id: int, messages: Sequence[NewMessage]) -> object:
        columns = zip(*(_row(new.message) for new in messages), strict=True)
        values = (self._lease.epoch, self._lease.node_id, batch_id, *columns, _batch(messages))
        return await self._connection.execute(
            "SELECT accept_arrays($1, $2, $3, $4, $5, $6, $7, $8, $9)", *values
        )

    async def with_json(self, batch_id: int, messages: Sequence[NewMessage]) -> object:
        rows = [dict(zip(COLUMNS, _row(new.message), strict=True)) for new in messages]
        for row in rows:
            row["payload"] = row["payload"].decode()
        text = msgspec.json.encode(rows).decode()
        values = (self._lease.epoch, self._lease.node_id, batch_id, text)
        return await self._connection.execute(
            "SELECT accept_json($1, $2, $3, $4, $5)", *values, _batch(messages)
        )

    async def with_unnest(self, batch_id: int, messages: Sequence[NewMessage]) -> None:
        columns = zip(*(_row(new.message) for new in messages), strict=True)
        await self._in_steps(batch_id, messages, lambda: self._connection.execute(UNNEST, *columns))

    async def with_copy(self, batch_id: int, messages: Sequence[NewMessage]) -> None:
        rows = [_row(new.message) for new in messages]
        copy = self._connection.copy_records_to_table
        await self._in_steps(
            batch_id,
            messages,
            lambda: copy("message", records=rows, columns=COLUMNS),
        )

    async def _in_steps(
        self,
        batch_id: int,
        messages: Sequence[NewMessage],
        write: Callable[[], Awaitable[object]],
    ) -> None:
        async with self._connection.transaction():
            lease = self._lease
            await self._connection.fetchval(HOLD_ROW, lease.epoch, lease.node_id)
            await self._connection.fetch(VERSIONS, list({new.message.app_id for new in messages}))
            await write()
            await self._connection.execute(BATCH, lease.epoch, batch_id, _batch(messages))


def _row(message: Message) -> tuple[Any, ...]:
    return message.app_id, message.id, message.created_at_ms, message.event_type, message.payload


def _batch(messages: Sequence[NewMessage]) -> str:
    return json.dumps(
        [[one.app_id, one.msg_id, one.endpoint_id] for n in messages for one in n.now]
    )


class Stage:
    """A store with one application and endpoint, and the backends whose CPU is counted."""

    def __init__(self, store: PostgresStore, connection: Any, world: World) -> None:
        self.forms = Forms(store._database, connection, world.lease)
        self._store = store
        self._connection = connection
        self._world = world
        self._app = world.app()
        self._endpoint = world.endpoint(self._app)
        self._version = world.version(self._app)
        self._batch_id = 0

    def messages(self, count: int, *, with_keys: bool) -> list[NewMessage]:
        made = []
        for _ in range(count):
            message = self._world.message(self._app, payload=PAYLOAD)
            key = IdempotencyKey(message.id.encode(), 2**50) if with_keys else None
            now = (delivery(message, self._endpoint),)
            made.append(NewMessage(message, self._version, now, (), key))
        return made

    async def measure(self, form: Form, size: int, *, for_s: float, with_keys: bool) -> Figures:
        batches = [self.messages(size, with_keys=with_keys) for _ in range(max(1, 2_000 // size))]
        server = await self._server_cpu_s()
        log = await self._log_position()
        began_s, cpu_s, count = perf_counter(), process_time(), 0
        for batch in batches:
            self._batch_id += 1
            await form(self._batch_id, batch)
            count += size
            if perf_counter() - began_s > for_s:
                break
        took_s, cpu_s = perf_counter() - began_s, process_time() - cpu_s
        log = await self._log_position() - log
        server = await self._server_cpu_s() - server
        return took_s / count * 1e6, cpu_s / count * 1e6, server / count * 1e6, log / count

    async def _server_cpu_s(self) -> float:
        [(pid,)] = await self._store._database.call("SELECT pg_backend_pid()")
        pids = {pid, await self._connection.fetchval("SELECT pg_backend_pid()")}
        return sum(sum(psutil.Process(one).cpu_times()[:2]) for one in pids)

    async def _log_position(self) -> int:
        return int(
            await self._connection.fetchval(
                "SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint"
            )
        )


def main(for_s: float) -> None:
    server = PostgresServer(fsync="on", full_page_writes="on", shared_buffers="256MB")
    try:
        server.start()
        settings = Settings(database=server.create_database())
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            _run(runner, settings, for_s)
    finally:
        server.close()


def _run(runner: asyncio.Runner, settings: Settings, for_s: float) -> None:
    store = runner.run(open_store(settings, Clock()))
    connection = runner.run(asyncpg.connect(settings.database))
    runner.run(connection.execute(WITH_JSON))
    runner.run(connection.execute(WITH_ARRAYS))
    stage = Stage(store, connection, World(runner, store, Clock()))  # type: ignore[arg-type]
    print("| form | messages | µs | µs here | µs there | log, bytes |\n|---|---|---|---|---|---|")
    for size in SIZES:
        rounds: dict[str, list[Figures]] = {}
        for _ in range(ROUNDS):
            for name, form in stage.forms.all.items():
                figures = stage.measure(form, size, for_s=for_s, with_keys=False)
                rounds.setdefault(name, []).append(runner.run(figures))
            figures = stage.measure(stage.forms.function, size, for_s=for_s, with_keys=True)
            rounds.setdefault("function, rows, each with a key", []).append(runner.run(figures))
        for name, found in rounds.items():
            median = [statistics.median(column) for column in zip(*found, strict=True)]
            print(f"| {name} | {size} | " + " | ".join(f"{value:.1f}" for value in median) + " |")
    runner.run(connection.close())
    runner.run(store.close())


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 0.5)
