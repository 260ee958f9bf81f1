"""The official SDK, four versions of it, sync and async: every method that we serve does its job.

The outcome is `docs/sdk-matrix.md`: written with RINGBACK_TEST_REFRESH=1, compared without.
"""

import asyncio
import json
import os
import subprocess
import sys
from asyncio.subprocess import PIPE
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, Literal

import pytest

from ringback.config import Settings
from ringback.serve import Service, running
from ringback.testing.caller import Caller
from ringback.testing.collector import Arrival, Collector
from ringback.testing.process import JWT_SECRET, token
from ringback.testing.quiet import QuietLog

HERE = Path(__file__).parent
PAGE = HERE.parents[1] / "docs" / "sdk-matrix.md"
REFRESH = os.environ.get("RINGBACK_TEST_REFRESH") == "1"
KINDS = ("sync", "async")
INDEX_UNREACHABLE = 3
FAMILIES: tuple[Literal["webhook", "svix"], ...] = ("webhook", "svix")

Outcomes = Mapping[tuple[str, str], Mapping[str, str]]


@pytest.fixture(scope="module")
def interpreters() -> dict[str, str]:
    """A Python for each version; they are installed at the first run only."""
    made = subprocess.run(
        [sys.executable, HERE / "venvs.py"], capture_output=True, text=True, check=False
    )
    if made.returncode == INDEX_UNREACHABLE:
        pytest.skip(f"THE SDK IS NOT TESTED: the package index cannot be reached\n{made.stderr}")
    assert made.returncode == 0, made.stderr
    return dict(line.split(" ", 1) for line in made.stdout.splitlines())


@pytest.mark.timeout(600)
def test_every_method_of_every_version_does_its_job(
    interpreters: dict[str, str], tmp_path: Path
) -> None:
    outcomes = asyncio.run(tours(interpreters, tmp_path))
    wrong = [
        f"svix {version} {kind}: {method}: {outcome}"
        for (version, kind), results in outcomes.items()
        for method, outcome in results.items()
        if outcome not in ("ok", "501", "absent")
    ]
    assert wrong == []
    written = page(outcomes)
    if REFRESH:
        PAGE.write_text(written)
    assert PAGE.exists(), (
        "write docs/sdk-matrix.md: RINGBACK_TEST_REFRESH=1 make test ARGS=tests/sdk"
    )
    assert written == PAGE.read_text(), "write it again: RINGBACK_TEST_REFRESH=1"


# ---- the tours ----------------------------------------------------------------------------------


async def tours(interpreters: Mapping[str, str], tmp_path: Path) -> Outcomes:
    """All versions against one service, one after the other."""
    deliveries = [await delivery_of(family, tmp_path) for family in FAMILIES]
    outcomes = {}
    async with serving(settings(tmp_path / "tours.db")) as service, Collector() as receiver:
        place = (service.url, token(), receiver.url("/shop"))
        for version, python in interpreters.items():
            both = (tour(python, [kind, *place], deliveries) for kind in KINDS)
            for kind, results in zip(KINDS, await asyncio.gather(*both), strict=True):
                outcomes[version, kind] = results
    return outcomes


async def tour(
    python: str, arguments: list[str], deliveries: list[dict[str, Any]]
) -> dict[str, str]:
    process = await asyncio.create_subprocess_exec(
        python, HERE / "tour.py", *arguments, stdin=PIPE, stdout=PIPE, stderr=PIPE
    )
    out, err = await process.communicate(json.dumps(deliveries).encode())
    assert process.returncode == 0, err.decode()
    if err:
        print(err.decode(), file=sys.stderr)
    results: dict[str, str] = json.loads(out)
    return results


async def delivery_of(family: Literal["webhook", "svix"], tmp_path: Path) -> dict[str, Any]:
    """A real delivery with these header names, and the secret to verify it with."""
    chosen = settings(tmp_path / f"{family}.db", family)
    async with serving(chosen) as service, Collector(id_header=f"{family}-id") as receiver:
        async with Caller(service.url, token()) as caller:
            app = (await caller.made("/app", {"name": "Shop"}))["id"]
            made = await caller.made(f"/app/{app}/endpoint", {"url": receiver.url()})
            place = f"/app/{app}/endpoint/{made['id']}"
            secret = (await caller.get(f"{place}/secret")).json["key"]
            body = {"eventType": "order.paid", "payload": {"müller": "☕", "n": 1}}
            message = await caller.made(f"/app/{app}/msg", body)
        [arrival] = await receiver.received(1)
        assert arrival.msg_id == message["id"]
        return shown(arrival, family, secret)


def shown(arrival: Arrival, family: str, secret: str) -> dict[str, Any]:
    return {
        "family": family,
        "secret": secret,
        "headers": arrival.headers,
        "body": arrival.body.decode(),
    }


def serving(chosen: Settings) -> AbstractAsyncContextManager[Service]:
    return running(chosen, log=QuietLog())


def settings(path: Path, family: Literal["webhook", "svix"] = "webhook") -> Settings:
    return Settings(
        database=f"sqlite:///{path}",
        listen="127.0.0.1:0",
        jwt_secret=JWT_SECRET,
        egress_allow=("127.0.0.1/32",),
        header_family=family,
    )


# ---- the page -----------------------------------------------------------------------------------


def page(outcomes: Outcomes) -> str:
    versions = list(dict.fromkeys(version for version, _ in outcomes))
    methods = sorted({method for results in outcomes.values() for method in results})
    served = [name for name in methods if not all_are(outcomes, name, "501")]
    refused = [name for name in methods if name not in served]
    lines = [
        "# The `svix` package for Python against Ringback",
        "",
        "Every method that Ringback serves, called with the sync and the async client of each"
        " version.",
        "The test suite does it anew each time and compares the outcome with this page.",
        "Methods have the names of the newest version; the first generation calls some of them"
        " `update` and `update_headers`.",
        "",
        f"| method | {' | '.join(f'`svix` {version}' for version in versions)} |",
        f"|---|{'---|' * len(versions)}",
        *(row(outcomes, name, versions) for name in served),
        "",
        "– : this version does not have the method.",
        "",
        "Answered with 501 and what to do instead, which every version shows as its `HttpError`: "
        + ", ".join(f"`{name}`" for name in refused)
        + ".",
    ]
    return "\n".join(lines) + "\n"


def all_are(outcomes: Outcomes, method: str, outcome: str) -> bool:
    return all(results.get(method) == outcome for results in outcomes.values())


def row(outcomes: Outcomes, method: str, versions: list[str]) -> str:
    cells = []
    for version in versions:
        both = {outcomes[version, kind].get(method, "absent") for kind in KINDS}
        cells.append({"ok": "ok", "absent": "–"}[both.pop()] if len(both) == 1 else "differs")
    return f"| `{method}` | {' | '.join(cells)} |"
