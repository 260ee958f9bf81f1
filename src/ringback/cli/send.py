"""`ringback send`: publish one message to a running server."""

import json
import sys
from pathlib import Path
from urllib.parse import quote

import click
import msgspec

from ringback.cli.call import Server, call, default_url, expect
from ringback.cli.dev_home import server_token
from ringback.cli.options import Chosen, with_json, with_settings


@click.command()
@click.argument("app")
@click.argument("event_type")
@click.argument("payload", metavar="PAYLOAD|@FILE|-", default="{}")
@click.option(
    "--url", metavar="URL", help="The server; by default RINGBACK_URL, then port 8071 here."
)
@click.option("--token", metavar="TOKEN", help="By default RINGBACK_TOKEN, then one made here.")
@click.option(
    "--event-id", metavar="ID", help="Your own id of the event; a repeated one is refused."
)
@click.option("--channel", "channels", metavar="NAME", multiple=True, help="May be repeated.")
@click.option("--idempotency-key", metavar="KEY", help="Makes repeating this command harmless.")
@with_settings
@with_json
def command(
    *,
    chosen: Chosen,
    app: str,
    event_type: str,
    payload: str,
    url: str | None,
    token: str | None,
    event_id: str | None,
    channels: tuple[str, ...],
    idempotency_key: str | None,
    as_json: bool,
) -> None:
    """Publish one message and print its id.

    APP is the application's id or uid. PAYLOAD is a JSON object: as text, in a file (@order.json)
    or from stdin (-).
    """
    _check_utf8(app, event_type, event_id or "", *channels)
    message: dict[str, object] = {"eventType": event_type, "payload": _payload(payload)}
    if event_id is not None:
        message["eventId"] = event_id
    if channels:
        message["channels"] = list(channels)
    server = Server(url=url or default_url(), token=token or server_token(chosen))
    answer = call(
        server,
        "POST",
        f"/app/{quote(app, safe='')}/msg?with_content=false",
        body=msgspec.json.encode(message),
        headers={} if idempotency_key is None else {"Idempotency-Key": idempotency_key},
    )
    sent = expect(answer, 202)
    click.echo(json.dumps(sent, indent=2) if as_json else _id(sent))


def _payload(argument: str) -> msgspec.Raw:
    """The payload as it was written: receivers get the same digits and the same order of keys."""
    text = _text(argument)
    try:
        payload = json.loads(text)
    except ValueError as error:
        raise click.UsageError(f"the payload is not JSON: {error}") from None
    except RecursionError:
        raise click.UsageError("the payload is nested too deeply; flatten it") from None
    if not isinstance(payload, dict):
        raise click.UsageError('the payload must be a JSON object, like {"order": 42}')
    return msgspec.Raw(text.encode())


def _text(argument: str) -> str:
    if argument != "-" and not argument.startswith("@"):
        _check_utf8(argument)
        return argument
    try:
        raw = sys.stdin.buffer.read() if argument == "-" else Path(argument[1:]).read_bytes()
        return raw.decode()
    except OSError as error:
        raise click.UsageError(f"cannot read {argument[1:]}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise click.UsageError(f"the payload is not UTF-8, as JSON must be: {error}") from None


def _check_utf8(*arguments: str) -> None:
    """Python keeps bytes of the command line that are not UTF-8 as halves of characters."""
    for argument in arguments:
        try:
            argument.encode()
        except UnicodeEncodeError:
            raise click.UsageError(f"{argument!r} is not UTF-8; give it in that encoding") from None


def _id(sent: object) -> str:
    return str(sent.get("id")) if isinstance(sent, dict) else ""
