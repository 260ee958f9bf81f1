"""How a transfer shows how far it is: a line that moves on a terminal, else a line now and then."""

import json
from typing import Final

import click
from msgspec.structs import asdict

from ringback.clock import Clock
from ringback.store.transfer.walk import Step

BAR_CHARS: Final = 24
DRAWN_EVERY_S: Final = 0.1
LINE_EVERY_S: Final = 10.0
WORDS: Final = {"copy": "copying", "verify": "comparing"}


class Progress:
    """`step` is called often; little of it is shown. Everything goes to stderr."""

    def __init__(self, clock: Clock, *, is_terminal: bool, as_json: bool) -> None:
        self._clock = clock
        self._is_terminal = is_terminal and not as_json
        self._as_json = as_json
        self._table: tuple[str, str] = ("", "")
        self._began_s = 0.0
        self._began_at = 0
        self._shown_s = 0.0
        self._width = 0

    def step(self, step: Step) -> None:
        now_s = self._clock.monotonic()
        if (step.phase, step.table) != self._table:
            self._table = (step.phase, step.table)
            self._began_s, self._began_at = now_s, step.done
            self._shown_s = now_s
        every_s = DRAWN_EVERY_S if self._is_terminal else LINE_EVERY_S
        if step.is_last or now_s - self._shown_s >= every_s:
            self._shown_s = now_s
            self._show(step, now_s)

    def end(self) -> None:
        """Leave the terminal to others."""
        if self._is_terminal and self._width:
            click.echo("\r" + " " * self._width + "\r", err=True, nl=False)

    def _show(self, step: Step, now_s: float) -> None:
        if self._as_json:
            click.echo(json.dumps({"event": "step", **asdict(step)}), err=True)
            return
        line = line_of(step, done=step.done - self._began_at, took_s=now_s - self._began_s)
        if not self._is_terminal:
            click.echo(line, err=True)
            return
        padding = " " * max(0, self._width - len(line))
        self._width = len(line)
        click.echo(f"\r{line}{padding}", err=True, nl=False)


def line_of(step: Step, *, done: int, took_s: float) -> str:
    """`done` and `took_s` are of this run: an earlier one may have done a part."""
    share = 1.0 if step.total == 0 else min(1.0, step.done / step.total)
    full = int(share * BAR_CHARS)
    bar = "#" * full + "." * (BAR_CHARS - full)
    pace = done / took_s if took_s > 0 else 0.0
    left = "" if step.is_last or pace <= 0 else f"  {_left(step, pace)}"
    return (
        f"{WORDS[step.phase]:9} {step.table:11} [{bar}] {share:4.0%}"
        f"  {step.done:,}/{step.total:,}  {pace:,.0f}/s{left}"
    )


def _left(step: Step, pace: float) -> str:
    seconds = round(max(0, step.total - step.done) / pace)
    return f"{seconds // 60}:{seconds % 60:02} left"
