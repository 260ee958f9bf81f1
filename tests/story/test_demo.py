"""The demo tells the truth, and leaves nothing behind, however it ends."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil  # type: ignore[import-untyped]

ROOT = Path(__file__).parents[2]
DEMO = ROOT / "examples" / "shop" / "demo.py"
END_S_MAX = 250.0


@contextmanager
def running(place: Path) -> Iterator[subprocess.Popen[str]]:
    """The demo as a process of its own, with `place` for its temporary files."""
    process = subprocess.Popen(
        [sys.executable, DEMO],
        cwd=place,
        env=os.environ | {"TMPDIR": str(place), "NO_COLOR": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()  # it ends its own children, which a kill would leave behind
        process.communicate(timeout=END_S_MAX)


def test_the_demo_is_as_told(tmp_path: Path) -> None:
    with running(tmp_path) as demo:
        told, complaints = demo.communicate(timeout=END_S_MAX)
    assert demo.returncode == 0, complaints
    assert "5 paid, 5 shipped: none lost, none twice." in told
    table = told.partition("What it took, measured")[2]
    assert re.findall(r"order-\d+", table) == [f"order-{number}" for number in range(1001, 1006)]
    assert re.search(r"^  requests +\d+ +\d+$", table, re.MULTILINE)
    assert re.search(r"^  delay, on average +[\d.]+ s +[\d.]+ s$", table, re.MULTILINE)
    assert list(tmp_path.iterdir()) == []


def test_a_demo_that_is_stopped_takes_everything_with_it(tmp_path: Path) -> None:
    with running(tmp_path) as demo:
        assert demo.stdout is not None
        for line in demo.stdout:
            if "order-1001" in line:
                break
        started = psutil.Process(demo.pid).children(recursive=True)
        demo.terminate()
        _, complaints = demo.communicate(timeout=END_S_MAX)
    assert len(started) >= 4, complaints  # ringback, the provider, the shop, the poller
    assert demo.returncode == 1
    assert not [child for child in started if child.is_running()]
    assert list(tmp_path.iterdir()) == []


def test_the_shop_is_short_enough_to_copy() -> None:
    assert len((DEMO.parent / "shop.py").read_text().splitlines()) < 60
