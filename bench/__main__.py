"""`python -m bench`: runs scenarios and prints one table. Progress goes to stderr."""

import argparse
import asyncio
import json
import os
import platform
import signal
import sys
import traceback
from contextlib import nullcontext
from pathlib import Path
from typing import Final

import msgspec

from bench.figures import Row
from bench.mark import PAYLOAD_BYTES_MIN
from bench.postgres import OWN, Cluster, cluster
from bench.scenarios import ABOUT, SCENARIOS
from bench.server import Choice
from bench.sink import raise_file_limit
from bench.stage import Options, opened
from bench.table import table

SCENARIO_S_MAX: Final = 900.0
SECRET: Final = frozenset({"token", "set", "database", "url"})


def main() -> int:
    arguments = _parser().parse_args()
    raise_file_limit()
    names = arguments.scenario or list(SCENARIOS)
    try:
        rows, has_failed = asyncio.run(_run(arguments, names))
    except (KeyboardInterrupt, asyncio.CancelledError):
        print("interrupted; every process that was started has ended", file=sys.stderr)
        return 130
    print(table(rows))
    if arguments.json:
        Path(arguments.json).write_bytes(_json(rows, arguments))
    return int(has_failed)


async def _run(arguments: argparse.Namespace, names: list[str]) -> tuple[list[Row], bool]:
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    rows: list[Row] = []
    has_failed = False
    with cluster() if arguments.database == OWN else nullcontext() as own:
        options = _options(arguments, own)
        for repeat in range(arguments.repeat):
            for name in names:
                if arguments.repeat > 1:
                    print(f"[{repeat + 1}/{arguments.repeat}] ", end="", file=sys.stderr)
                has_failed |= not await _scenario(name, options, rows)
    return rows, has_failed


async def _scenario(name: str, options: Options, rows: list[Row]) -> bool:
    """One scenario with a sink of its own. A failure is shown and does not stop the others."""
    async with opened(options) as stage:
        try:
            async with asyncio.timeout(SCENARIO_S_MAX):
                await SCENARIOS[name](stage)
        except Exception:
            print(f"{name} failed:\n{traceback.format_exc()}", file=sys.stderr)
            return False
        finally:
            rows += stage.rows
    return True


def _options(arguments: argparse.Namespace, own: Cluster | None) -> Options:
    choice = Choice(
        kind="external" if arguments.url else arguments.server,
        url=arguments.url,
        token=arguments.token,
        pid=arguments.pid,
        database="" if own else arguments.database,
        cluster=own,
        environment=dict(pair.split("=", 1) for pair in arguments.set),
    )
    return Options(
        choice=choice,
        is_quick=arguments.quick,
        has_idempotency=arguments.idempotency,
        connections=arguments.connections,
        payload_bytes=arguments.payload_bytes,
        backlog_max=arguments.backlog,
        window_s=arguments.seconds,
        drain_s_max=10.0 if arguments.quick else 60.0,
        stored=arguments.stored,
        waiting=arguments.waiting,
    )


def _json(rows: list[Row], arguments: argparse.Namespace) -> bytes:
    """All rows of all repeats, and on what they were measured; nothing that may hold a secret."""
    about = {
        "python": platform.python_version(),
        "system": platform.platform(),
        "cpus": os.cpu_count(),
        "arguments": {k: v for k, v in vars(arguments).items() if k not in SECRET},
    }
    named = [msgspec.to_builtins(row) for row in rows]
    return json.dumps({"about": about, "rows": named}, indent=1).encode() + b"\n"


def _parser() -> argparse.ArgumentParser:
    scenarios = "\n".join(f"  {name:<12} {about}" for name, about in ABOUT.items())
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description="Benchmarks for servers that speak the Svix API. bench/README.md explains.",
        epilog=f"scenarios:\n{scenarios}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("scenario", nargs="*", type=_scenario_name, help="which to run; all without")
    add("--quick", action="store_true", help="a smoke run of seconds; its figures mean little")
    add("--repeat", type=_positive, default=1, metavar="N", help="medians over N runs")
    add("--json", metavar="FILE", help="also write every row of every repeat")
    add("--seconds", type=float, default=20.0, help="window of the throughput scenario (20)")
    add("--connections", type=_positive, default=64, help="of the generator (64)")
    add("--payload-bytes", type=_payload, default=300, help="size of a message's payload (300)")
    add("--backlog", type=int, default=1_000, help="deliveries that may pile up; 0: any number")
    add("--idempotency", action="store_true", help="send an Idempotency-Key as official SDKs do")
    add("--server", choices=["ringback", "relay"], default="ringback", help="which to start")
    add(
        "--database",
        default="",
        metavar="URL",
        help="instead of a fresh SQLite file each start; `postgresql` starts a PostgreSQL for it",
    )
    add("--stored", type=int, default=0, metavar="N", help="waiting: messages delivered before (0)")
    add("--waiting", type=_positive, default=1_000_000, metavar="N", help="waiting: retries (1 M)")
    add(
        "--set",
        action="append",
        default=[],
        type=_pair,
        metavar="NAME=VALUE",
        help="its environment",
    )
    add("--url", default="", help="measure a server that runs already")
    add("--token", default="", help="its bearer token")
    add("--pid", type=int, default=0, help="its process, to take CPU and memory of")
    return parser


def _scenario_name(text: str) -> str:
    if text not in SCENARIOS:
        raise argparse.ArgumentTypeError(f"{text!r} is none of {', '.join(SCENARIOS)}")
    return text


def _positive(text: str) -> int:
    if (value := int(text)) < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return value


def _payload(text: str) -> int:
    if (value := int(text)) < PAYLOAD_BYTES_MIN:
        raise argparse.ArgumentTypeError(f"must be {PAYLOAD_BYTES_MIN} or more")
    return value


def _pair(text: str) -> str:
    if "=" not in text:
        raise argparse.ArgumentTypeError("is written NAME=VALUE")
    return text


if __name__ == "__main__":
    sys.exit(main())
