"""`ringback doctor`: one line for each thing that must be right, and what to do where it is not."""

import asyncio
import json
import os
from pathlib import Path

import click
from msgspec.structs import asdict

from ringback.cli import checks
from ringback.cli.call import Server, call, default_url
from ringback.cli.checks import Finding
from ringback.cli.dev_home import read_secret
from ringback.cli.exits import Exit, Failure
from ringback.cli.options import Chosen, with_json, with_settings
from ringback.clock import Clock
from ringback.config import Settings
from ringback.errors import ConfigError

COLOURS = {"ok": "green", "warn": "yellow", "fail": "red"}


@click.command()
@click.option("--url", metavar="URL", help="An endpoint: make one test delivery to it.")
@click.option("--secret", metavar="WHSEC", help="Sign the test delivery with this secret.")
@click.option("--server", metavar="URL", help="A running server; by default RINGBACK_URL.")
@with_settings
@with_json
def command(
    *, chosen: Chosen, url: str | None, secret: str | None, server: str | None, as_json: bool
) -> None:
    """Check settings, database, clock, network and a running server.

    Exit code 1 if a check fails. Nothing is changed.
    """
    findings = _all(chosen, url=url, secret=secret, server=server or default_url())
    if as_json:
        click.echo(json.dumps([asdict(finding) for finding in findings], indent=2))
    else:
        for finding in findings:
            level = click.style(f"{finding.level:4}", fg=COLOURS[finding.level])
            click.echo(f"{level}  {finding.subject:12}  {finding.detail}")
    if any(finding.level == "fail" for finding in findings):
        raise click.exceptions.Exit(Exit.FAILED)


def _all(chosen: Chosen, *, url: str | None, secret: str | None, server: str) -> list[Finding]:
    findings = list(checks.environment(os.environ))
    try:
        settings = chosen.load()
        has_dev_secret = read_secret(Path.cwd()) is not None
        findings += checks.secrets(settings, has_dev_secret=has_dev_secret)
        findings += checks.database(settings)
        findings += checks.sealed(settings)
    except ConfigError as error:
        return [*findings, Finding("fail", "settings", str(error))]
    findings += [checks.clock(Clock().now_ms()), checks.open_files(settings), _running(server)]
    return findings if url is None else [*findings, *_delivered(url, settings, secret=secret)]


def _running(url: str) -> Finding:
    try:
        status = call(Server(url), "GET", "/health").status
    except Failure as failure:
        return Finding("warn", "server", str(failure))
    if status == 200:
        return Finding("ok", "server", f"healthy at {url}")
    return Finding(
        "fail", "server", f"{url} answers {status} when asked for its health; see its log"
    )


def _delivered(url: str, settings: Settings, *, secret: str | None) -> list[Finding]:
    from ringback.cli.check_endpoint import endpoint

    return asyncio.run(endpoint(url, settings, secret=secret))
