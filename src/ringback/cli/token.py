"""`ringback token`: a bearer token, and nothing else on stdout."""

import json
import re
from typing import Final

import click

from ringback.cli.dev_home import DEFAULT_ORG, with_secret
from ringback.cli.options import Chosen, with_json, with_settings
from ringback.clock import Clock
from ringback.config import weakness_of_key

# What the Svix API gives out: ten years for an organization, a week for an application.
ORG_TTL_S: Final = 10 * 365 * 86_400
APP_TTL_S: Final = 7 * 86_400
TTL_S_MAX: Final = 100 * 365 * 86_400

_UNITS_S: Final = {"": 1, "s": 1, "m": 60, "h": 3_600, "d": 86_400}
_DURATION: Final = re.compile(r"([0-9]{1,12})([smhd]?)")
_APP_ID: Final = re.compile(r"app_[a-zA-Z0-9\-_.]{1,252}")


@click.command()
@click.argument("org_id", default=DEFAULT_ORG)
@click.option("--app", "app_id", metavar="APP_ID", help="Only for this application (app_...).")
@click.option("--ttl", metavar="DURATION", help="3600, 90m, 12h or 7d. Without: 10 years, app 7d.")
@with_settings
@with_json
def command(
    *, chosen: Chosen, org_id: str, app_id: str | None, ttl: str | None, as_json: bool
) -> None:
    """Print a token for an organization, by default one that is always the same.

    Any org_... id is an organization: there is no list of them, a valid signature is enough. A
    token cannot be taken back before it expires, so give applications short ones.
    """
    settings = with_secret(chosen.load())
    if weakness := weakness_of_key(settings):
        click.echo(f"ringback: warning: {weakness}", err=True)
    from ringback.api.auth import mint_app_token, mint_org_token

    now_ms = Clock().now_ms()
    if app_id is None:
        expiry_s = ORG_TTL_S if ttl is None else _seconds(ttl)
        token = mint_org_token(settings, org_id, now_ms=now_ms, expiry_s=expiry_s)
    else:
        expiry_s = APP_TTL_S if ttl is None else _seconds(ttl)
        app_id = _checked(app_id)
        token = mint_app_token(settings, org_id, app_id=app_id, now_ms=now_ms, expiry_s=expiry_s)
    if as_json:
        expires_at_ms = (now_ms // 1_000 + expiry_s) * 1_000  # tokens count whole seconds
        about = {"org_id": org_id, "app_id": app_id, "expires_at_ms": expires_at_ms}
        click.echo(json.dumps({"token": token, **about}))
    else:
        click.echo(token)


def _checked(app_id: str) -> str:
    if not _APP_ID.fullmatch(app_id):
        raise click.UsageError(f"{app_id!r} is not an application id (app_..., not its uid)")
    return app_id


def _seconds(text: str) -> int:
    match = _DURATION.fullmatch(text)
    seconds = int(match[1]) * _UNITS_S[match[2]] if match else 0
    if not 0 < seconds <= TTL_S_MAX:
        raise click.UsageError(f"--ttl {text!r} is not a duration like 3600, 90m, 12h or 7d")
    return seconds
