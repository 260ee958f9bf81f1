"""`ringback torture`: what a receiver does with good and bad requests, and what it should do."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any, Final

import click
import msgspec

from ringback.cli.exits import Exit, Failure
from ringback.cli.options import with_json
from ringback.cli.provider import text_of, with_provider
from ringback.clock import Clock
from ringback.errors import ConfigError, Misconfigured, SecretError
from ringback.receive.verification import scheme_of
from ringback.torture.case import Outcome, Verdict
from ringback.torture.maker import Terms
from ringback.torture.run import PATIENCE_S, SECONDS_MAX, TIMEOUT_S, Report, Rules, torture

PAYLOAD: Final = '{"message": "a test by ringback torture", "amount": 1999}'
KEY_BYTES: Final = 32
_COLOURS: Final = {
    Outcome.OK: "green",
    Outcome.WRONG: "red",
    Outcome.ADVICE: "yellow",
    Outcome.SKIPPED: "bright_black",
}


@click.command()
@click.argument("url", required=False)
@with_provider(is_pair=False)
@click.option("--verifying", metavar="TEXT|@FILE", help="The receiver's half of a key pair.")
@click.option("--new-key", is_flag=True, help="Print a key pair of the provider's kind, and end.")
@click.option(
    "--type", "event_type", metavar="TYPE", default="ringback.torture", help="Of a good event."
)
@click.option("--payload", metavar="JSON|@FILE", default=PAYLOAD, help="Of a good event.")
@click.option("--public-url", metavar="URL", help="What the receiver takes for its own URL.")
@click.option("--effects", metavar="URL|COMMAND", help="Says how many events took effect.")
@click.option("--kept", metavar="URL|COMMAND", help="Says how many events are kept.")
@click.option(
    "--patience",
    metavar="SECONDS",
    type=click.FloatRange(0, 600),
    default=PATIENCE_S,
    show_default=True,
    help="How long effects and what is kept may take to show.",
)
@click.option(
    "--timeout",
    metavar="SECONDS",
    type=click.FloatRange(0.1, 60),
    default=TIMEOUT_S,
    show_default=True,
    help="How long an answer may take.",
)
@click.option(
    "--max-seconds",
    metavar="SECONDS",
    type=click.FloatRange(1, 3_600),
    default=SECONDS_MAX,
    show_default=True,
    help="How long it all may take.",
)
@click.option("--only", metavar="NAME", multiple=True, help="A case or group; may be repeated.")
@click.option(
    "--cafile",
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False),
    help="Certificates to trust besides the system's.",
)
@click.option("--yes-this-is-mine", is_flag=True, help="Try a receiver on another machine.")
@with_json
def command(
    *,
    url: str | None,
    provider: str | None,
    secrets: tuple[str, ...],
    verifying: str | None,
    new_key: bool,
    event_type: str,
    payload: str,
    public_url: str | None,
    as_json: bool,
    **how: Any,
) -> None:
    """Send good, repeated, stale, forged, malformed, huge and slow requests to a receiver of yours.

    Prints what it handled wrongly, why that matters and what to do; exit code 1 if anything was.
    Whether events took effect once can only be seen with --effects, and whether they are kept
    before they are acknowledged with --kept.
    """
    if new_key:
        _print_key(provider, as_json=as_json)
        return
    if url is None or provider is None or len(secrets) != 1:
        raise click.UsageError("give URL, --provider and one --secret")
    terms = Terms(
        scheme=scheme_of(provider),
        url=url,
        public_url=public_url or url,
        signing=secrets[0],
        verifying=text_of(verifying) if verifying else secrets[0],
        type=event_type,
        payload=_payload(payload),
    )
    report = _tried(terms, _rules(**how), as_json=as_json)
    if as_json:
        click.echo(json.dumps(_as_object(report), indent=2))
    else:
        click.echo(_summary(report))
    if not report.is_passed:
        raise Failure(Exit.FAILED, "the receiver did not pass")


def _tried(terms: Terms, rules: Rules, *, as_json: bool) -> Report:
    shown = _Shown()
    try:
        return asyncio.run(
            torture(terms, rules, Clock(), tell=(lambda _: None) if as_json else shown)
        )
    except (Misconfigured, SecretError, ConfigError) as error:
        raise Failure(Exit.USAGE, str(error)) from None


def _rules(
    *,
    effects: str | None,
    kept: str | None,
    patience: float,
    timeout: float,
    max_seconds: float,
    only: tuple[str, ...],
    cafile: str | None,
    yes_this_is_mine: bool,
) -> Rules:
    return Rules(
        may_be_anywhere=yes_this_is_mine,
        timeout_s=timeout,
        seconds_max=max_seconds,
        patience_s=patience,
        effects=effects,
        kept=kept,
        cafile=cafile,
        only=frozenset(only),
    )


def _print_key(provider: str | None, *, as_json: bool) -> None:
    scheme = scheme_of(provider) if provider else None
    if scheme is None or scheme.keys is None:
        raise click.UsageError("--new-key needs a --provider whose keys can be made")
    pair = scheme.keys(Clock().token_bytes(KEY_BYTES))
    if as_json:
        click.echo(json.dumps({"secret": pair.signing, "verifying": pair.verifying}))
    elif pair.signing == pair.verifying:
        click.echo(f"--secret {pair.signing}")
    else:
        click.echo(f"--secret {pair.signing} --verifying {pair.verifying}")


def _payload(argument: str) -> Mapping[str, Any]:
    try:
        payload = json.loads(text_of(argument))
    except ValueError as error:
        raise click.UsageError(f"the payload is not JSON: {error}") from None
    except RecursionError:
        raise click.UsageError("the payload is nested too deeply; flatten it") from None
    if not isinstance(payload, dict):
        raise click.UsageError('the payload must be a JSON object, like {"amount": 1999}')
    return payload


class _Shown:
    """Prints each verdict as it comes, under the name of its group."""

    def __init__(self) -> None:
        self._group = ""

    def __call__(self, verdict: Verdict) -> None:
        if verdict.group != self._group:
            self._group = verdict.group
            click.echo(click.style(f"\n{verdict.group}", bold=True))
        word = click.style(f"{verdict.outcome.value:8}", fg=_COLOURS[verdict.outcome])
        click.echo(f"  {word} {verdict.name:18} {verdict.title}: {verdict.saw}")
        if verdict.why:
            click.echo(f"           why: {verdict.why}\n           do:  {verdict.todo}")


def _summary(report: Report) -> str:
    counts = [f"{report.count(outcome)} {outcome.value}" for outcome in Outcome]
    end = "" if report.is_whole else "\nThis is not the whole battery: see what was skipped."
    return f"\n{', '.join(counts)}{end}"


def _as_object(report: Report) -> dict[str, object]:
    return {
        "passed": report.is_passed,
        "whole": report.is_whole,
        "counts": {outcome.value: report.count(outcome) for outcome in Outcome},
        "verdicts": [msgspec.to_builtins(verdict) for verdict in report.verdicts],
    }
