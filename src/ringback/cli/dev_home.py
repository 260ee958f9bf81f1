"""What `ringback dev` keeps in a directory: the database, and a file with the key of its tokens.

The file is readable by its owner only and belongs in no repository. It is made once, so tokens that
were copied yesterday work today. `token` and `send` read it, so that they need no setup beside it.
"""

import json
import os
from base64 import b64encode
from pathlib import Path
from typing import Final

import msgspec

from ringback.cli.options import Chosen
from ringback.clock import Clock
from ringback.config import Settings
from ringback.errors import ConfigError

FILE: Final = "ringback.dev.json"
SECRET_BYTES: Final = 32
DEFAULT_ORG: Final = "org_00000000000000000000default"
_ABOUT: Final = "Made by `ringback dev`. The key signs its tokens; delete it to get another."


def read_secret(directory: Path) -> str | None:
    """The key kept in a directory, None without one. Raises ConfigError if it is unreadable."""
    file = directory / FILE
    try:
        kept = json.loads(file.read_text())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise _unreadable(file, str(error)) from None
    secret = kept.get("jwt_secret") if isinstance(kept, dict) else None
    if not isinstance(secret, str) or not secret:
        raise _unreadable(file, "it has no jwt_secret")
    return secret


def keep_secret(directory: Path, clock: Clock) -> str:
    """The key kept in a directory, made now if there is none."""
    if known := read_secret(directory):
        return known
    secret = b64encode(clock.token_bytes(SECRET_BYTES)).decode()
    text = json.dumps({"about": _ABOUT, "jwt_secret": secret}, indent=2) + "\n"
    try:
        number = os.open(directory / FILE, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(number, "w") as stream:
            stream.write(text)
    except OSError as error:
        raise ConfigError(f"cannot write {directory / FILE}: {error.strerror}") from None
    return secret


def with_secret(settings: Settings) -> Settings:
    """The settings with a key to sign tokens with: theirs, or that of `ringback dev` here.

    Raises ConfigError when there is neither.
    """
    secret = settings.jwt_secret or read_secret(Path.cwd())
    if secret is None:
        raise ConfigError(
            "jwt_secret is not set, so no token can be made: set RINGBACK_JWT_SECRET to the"
            " server's, or run this where `ringback dev` runs"
        )
    return msgspec.structs.replace(settings, jwt_secret=secret)


def server_token(chosen: Chosen) -> str:
    """A token for calling a server: RINGBACK_TOKEN, or one made here. Raises ConfigError."""
    if token := os.environ.get("RINGBACK_TOKEN"):
        return token
    settings = with_secret(chosen.load())
    from ringback.api.auth import mint_org_token

    return mint_org_token(settings, DEFAULT_ORG, now_ms=Clock().now_ms())


def _unreadable(file: Path, why: str) -> ConfigError:
    return ConfigError(f"cannot read {file}: {why}; delete it and `ringback dev` makes a new one")
