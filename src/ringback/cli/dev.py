"""`ringback dev`: a whole service to play with, in one directory, and a receiver that shows it.

Everything a first try needs is made on the first run and found again on the next: a key for tokens,
an application `dev`, an endpoint `receiver`. The setting-up goes through the API, as yours would.
"""

import asyncio
import json
import os
import shutil
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Final

import click
import msgspec

from ringback import __version__
from ringback.api.auth import mint_org_token
from ringback.cli.call import Server, call, expect
from ringback.cli.dev_home import DEFAULT_ORG, FILE, keep_secret
from ringback.cli.dev_receiver import Arrival, Receiver, as_object, shown
from ringback.cli.options import Chosen, with_json, with_settings
from ringback.cli.serve import run
from ringback.clock import Clock
from ringback.config import Settings
from ringback.errors import CannotListen
from ringback.front import Front
from ringback.serve import Service

LOOPBACK: Final = ("127.0.0.0/8", "::1/128")
APP: Final = "dev"
ENDPOINT: Final = "receiver"

WELCOME: Final = """\
{title} is running, Ctrl+C stops it.

  API        {url}/api/v1   (docs: {url}/docs)
  Receiver   {receiver}   verifies what arrives and shows it here
  Kept here  {database} and {file}
  Egress     deliveries may reach this machine (127.0.0.0/8, ::1); `ringback serve` denies that

Send a webhook from another terminal:

  curl -s {url}/api/v1/app/{app}/msg \\
    -H 'Authorization: Bearer {token}' \\
    -H 'Content-Type: application/json' \\
    -d '{{"eventType": "invoice.paid", "payload": {{"invoice": "in_42", "amount": 1999}}}}'

or, in this directory:  {program} send {app} invoice.paid '{{"invoice": "in_42"}}'{where}

What arrives:
"""


@click.command()
@with_settings
@with_json
def command(*, chosen: Chosen, as_json: bool) -> None:
    """Run a server to play with, and a receiver that shows what arrives.

    Keeps its database and the key of its tokens in the working directory, so the next run goes on
    where this one ended. Deliveries may reach this machine, which `ringback serve` denies.

    With --json a line says when it is ready and with which token, and each arrival is a line.
    """
    run(_settings(chosen), beside=partial(_receiver, as_json=as_json))


def _settings(chosen: Chosen) -> Settings:
    settings = chosen.load_over({"log_level": "warning", "log_format": "text"})
    allowed = tuple(dict.fromkeys((*settings.egress_allow, *LOOPBACK)))
    secret = settings.jwt_secret or keep_secret(Path.cwd(), Clock())
    return msgspec.structs.replace(settings, egress_allow=allowed, jwt_secret=secret)


@asynccontextmanager
async def _receiver(service: Service, *, as_json: bool) -> AsyncIterator[None]:
    clock = Clock()
    receiver = Receiver(clock, show=_show_json if as_json else _show)
    front = Front(clock)
    try:
        url = await _bind_near(front, service.settings)
        token = mint_org_token(service.settings, DEFAULT_ORG, now_ms=clock.now_ms())
        await front.open(receiver)
        server = Server(url=service.url, token=token)
        receiver.key = await asyncio.to_thread(_register, server, f"{url}/")
        welcome = _welcome_json if as_json else _welcome
        welcome(service, receiver=f"{url}/", token=token)
        yield
    finally:
        await front.close(service.settings.drain_timeout_s / 2)


async def _bind_near(front: Front, settings: Settings) -> str:
    """The port after the API's if it is free, so that the URL stays the same; else any."""
    _, port = settings.address()
    if 0 < port < 65_535:
        try:
            return await front.bind("127.0.0.1", port + 1)
        except CannotListen:
            pass
    return await front.bind("127.0.0.1", 0)


def _register(server: Server, url: str) -> str:
    """Make sure that application and endpoint exist and point here; the endpoint's secret."""
    app = {"name": "Playground of ringback dev", "uid": APP}
    expect(call(server, "POST", "/app?get_if_exists=true", body=msgspec.json.encode(app)), 200, 201)
    path = f"/app/{APP}/endpoint/{ENDPOINT}"
    known = call(server, "GET", path)
    if known.status == 404:
        new = {"url": url, "uid": ENDPOINT, "description": "Shows what arrives in the terminal"}
        answer = call(server, "POST", f"/app/{APP}/endpoint", body=msgspec.json.encode(new))
        expect(answer, 201)
    elif not isinstance(known.body, dict) or known.body.get("url") != url:
        expect(call(server, "PATCH", path, body=msgspec.json.encode({"url": url})), 200)
    secret = expect(call(server, "GET", f"{path}/secret"), 200)
    return str(secret["key"]) if isinstance(secret, dict) else ""


def _show(arrival: Arrival) -> None:
    click.echo(shown(arrival))


def _show_json(arrival: Arrival) -> None:
    click.echo(json.dumps({"event": "arrived", **as_object(arrival)}))


def _welcome_json(service: Service, *, receiver: str, token: str) -> None:
    ready = {"event": "ready", "url": service.url, "token": token, "receiver": receiver, "app": APP}
    click.echo(json.dumps(ready))


def _welcome(service: Service, *, receiver: str, token: str) -> None:
    is_default = service.url == "http://127.0.0.1:8071"
    text = WELCOME.format(
        title=click.style(f"Ringback {__version__}", bold=True),
        url=service.url,
        receiver=receiver,
        database=service.settings.database.removeprefix("sqlite:///"),
        file=FILE,
        app=APP,
        token=token,
        program=_program(),
        where="" if is_default else f" --url {service.url}",
    )
    click.echo(text)


def _program() -> str:
    """How to call this program again: the environment of a clone is on nobody's path."""
    beside = Path(sys.executable).with_name("ringback")
    if shutil.which("ringback") is not None or not beside.exists():
        return "ringback"
    return os.path.relpath(beside)
