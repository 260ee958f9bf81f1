"""`ringback listen`: a receiver for this machine, to see what a provider or a sender of yours does.

It answers as a receiver should, or misbehaves as it is told, to show what the sender does about it.
"""

import asyncio
import json
import signal
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from time import localtime, strftime
from typing import Final

import click

from ringback.cli.dev_receiver import printable
from ringback.cli.exits import Exit, Failure
from ringback.cli.options import with_json
from ringback.cli.provider import with_provider
from ringback.clock import Clock
from ringback.errors import CannotListen
from ringback.listen.arrival import Arrival, Judge
from ringback.listen.behaviours import BEFORE_BODY, BEHAVIOURS, chosen
from ringback.listen.keep import Keep, keep_in
from ringback.listen.listener import Listener, Plan
from ringback.receive.webhook import Webhook

PORT: Final = 8073
LOOPBACK: Final = "127.0.0.1"
FLAKY: Final = "status/500"
_NUMBERED: Final = ("slow", "drip", "drip-body")

Show = Callable[[Arrival], None]


@click.command()
@click.argument("port", type=click.IntRange(0, 65_535), default=PORT)
@with_provider(is_pair=True)
@click.option("--url", metavar="URL", help="What the provider calls, if it signs the URL.")
@click.option("--host", default=LOOPBACK, help="Where to listen; this machine alone without it.")
@click.option("--keep", metavar="FILE|DIR/", help="JSON lines in a file, requests in a directory.")
@click.option("--answer", metavar="STATUS", type=click.IntRange(200, 599), help="Always this.")
@click.option("--slow", metavar="SECONDS", type=float, help="Answer that late.")
@click.option("--drip", metavar="SECONDS", type=float, help="Answer a byte at a time.")
@click.option("--hang", is_flag=True, help="Never answer.")
@click.option("--misbehave", metavar="NAME", help="`list` shows what there is.")
@click.option(
    "--flaky",
    metavar="SHARE",
    type=click.FloatRange(0, 1),
    help="Misbehave for that share only, 0.3 for 30 %; with a 500 if nothing else is said.",
)
@click.option("--count", metavar="N", type=click.IntRange(1), help="End after N requests.")
@click.option("--headers", "with_headers", is_flag=True, help="Show headers and whole bodies.")
@with_json
def command(
    *,
    port: int,
    provider: str | None,
    secrets: tuple[str, ...],
    url: str | None,
    host: str,
    keep: str | None,
    answer: int | None,
    slow: float | None,
    drip: float | None,
    hang: bool,
    misbehave: str | None,
    flaky: float | None,
    count: int | None,
    with_headers: bool,
    as_json: bool,
) -> None:
    """Show, verify and keep what arrives at PORT, until Ctrl+C.

    With --count, exit code 1 says that something was not trusted.
    """
    if misbehave == "list":
        known = sorted([*BEHAVIOURS, *BEFORE_BODY])
        click.echo(json.dumps(known) if as_json else "\n".join(known))
        return
    plan = _plan(answer=answer, slow=slow, drip=drip, hang=hang, name=misbehave, share=flaky)
    judge = _judge(provider, secrets, url) if provider else None
    kept = keep_in(Path(keep), is_directory=keep.endswith("/")) if keep else None
    show = _json_line if as_json else _block if with_headers else _line
    audience = _Audience(show, kept, count)
    listener = Listener(host, port, clock=Clock(), tell=audience, judge=judge, plan=plan)
    try:
        asyncio.run(_listen(listener, audience, greet=lambda: _greet(listener, provider)))
    except CannotListen as error:
        raise Failure(Exit.NETWORK, str(error)) from None
    click.echo(audience.summary(), err=True)
    if count is not None and audience.distrusted:
        raise Failure(Exit.FAILED, f"{audience.distrusted} of {count} were not trusted")


class _Audience:
    """Shows and keeps each arrival, and counts; `enough` is set when all that were asked for came.

    The last answer is on its way by then: it was told before it was sent.
    """

    def __init__(self, show: Show, keep: Keep | None, count: int | None) -> None:
        self.enough = asyncio.Event()
        self.arrived = self.verified = self.distrusted = self.repeated = 0
        self._show = show
        self._keep = keep
        self._count = count

    def __call__(self, arrival: Arrival) -> None:
        self.arrived += 1
        self.verified += arrival.finding.is_verified is True
        self.distrusted += arrival.finding.is_verified is False
        self.repeated += arrival.is_repeated
        self._show(arrival)
        if self._keep is not None:
            self._keep(arrival)
        if self.arrived == self._count:
            self.enough.set()

    def summary(self) -> str:
        counts = {
            "arrived": self.arrived,
            "verified": self.verified,
            "not trusted": self.distrusted,
            "repeated": self.repeated,
        }
        return ", ".join(f"{number} {name}" for name, number in counts.items())


async def _listen(listener: Listener, audience: _Audience, *, greet: Callable[[], None]) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        with suppress(NotImplementedError, ValueError, RuntimeError):  # not in the main thread
            loop.add_signal_handler(number, audience.enough.set)
    async with listener:
        greet()
        await audience.enough.wait()
        await listener.idle()


def _judge(provider: str, secrets: tuple[str, ...], url: str | None) -> Judge:
    def fetch(address: str, /) -> bytes:
        from ringback.wire.fetch import fetch as fetched

        return fetched(address)

    judge = Judge(provider, secrets, url=url, fetch=fetch)
    if judge.scheme.needs_url and not url:
        raise click.UsageError(
            f"{judge.scheme.title} signs the URL: give --url, the one that it was told to call"
        )
    if secrets:
        # Made for its checks alone: a secret of another kind is told now, not to each request.
        Webhook(provider, secrets=secrets, public_url=url)
    return judge


def _plan(
    *,
    answer: int | None,
    slow: float | None,
    drip: float | None,
    hang: bool,
    name: str | None,
    share: float | None,
) -> Plan:
    asked = [
        f"status/{answer}" if answer is not None else "",
        f"slow/{slow}" if slow is not None else "",
        f"drip/{drip}" if drip is not None else "",
        "hang" if hang else "",
        name or "",
    ]
    found = [behaviour for behaviour in asked if behaviour]
    if len(found) > 1:
        raise click.UsageError(f"one misbehaviour at a time, not {' and '.join(found)}")
    behaviour = found[0] if found else FLAKY if share is not None else ""
    if behaviour:
        _check(behaviour)
    return Plan(behaviour, 1.0 if share is None else share)


def _check(behaviour: str) -> None:
    known, argument = chosen(behaviour)
    if known not in BEHAVIOURS and known not in BEFORE_BODY:
        raise click.UsageError(f"there is no misbehaviour {known!r}; `--misbehave list` shows all")
    with suppress(ValueError):
        is_number = known in _NUMBERED and bool(argument)
        if known == "slow" or is_number:
            if not 0 <= float(argument) <= 86_400:
                raise ValueError
        elif known == "status" and not 200 <= int(argument) <= 599:
            raise ValueError
        return
    raise click.UsageError(f"{behaviour!r}: give {known}/NUMBER")


def _greet(listener: Listener, provider: str | None) -> None:
    what = f"verifies as {provider}" if provider else "verifies nothing (--provider, --secret)"
    click.echo(f"Listening: {listener.url()}   {what}, Ctrl+C stops it.", err=True)


def _json_line(arrival: Arrival) -> None:
    click.echo(json.dumps(arrival.as_object()))


def _line(arrival: Arrival) -> None:
    click.echo("  ".join([*_title(arrival), printable(arrival.body.decode(errors="replace"))]))


def _block(arrival: Arrival) -> None:
    head = arrival.head
    lines = [f"{name}: {_visible(text)}" for name, text in head.headers]
    body = "\n".join(map(_visible, arrival.body.decode(errors="replace").splitlines()))
    click.echo("\n".join(["  ".join(_title(arrival)), *lines, "", body, ""]))


def _title(arrival: Arrival) -> list[str]:
    finding = arrival.finding
    again = click.style(" again", fg="yellow") if arrival.is_repeated else ""
    did = arrival.misbehaviour or str(finding.answer.status)
    known = [printable(text) for text in (finding.event_type, finding.event_id) if text]
    if finding.secret:
        known.append(f"secret: {_visible(finding.secret)}")
    when = strftime("%H:%M:%S", localtime(arrival.at_ms / 1000))
    where = f"{arrival.head.method} {printable(arrival.head.target)}"
    return [when, _verdict(arrival) + again, did, *known, where]


def _verdict(arrival: Arrival) -> str:
    finding = arrival.finding
    if finding.is_verified is None:
        return "arrived"
    if not finding.is_verified:
        return click.style(f"not trusted: {finding.complaint}", fg="red")
    return click.style("handshake" if finding.is_handshake else "verified", fg="green")


def _visible(text: str) -> str:
    """Whatever it holds, it cannot command the terminal."""
    return "".join(letter if letter.isprintable() else "�" for letter in text)
