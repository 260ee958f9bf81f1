"""The list of commands, the loading of the one that was asked for, and the end of the program."""

import errno
import sys
import warnings
from collections.abc import Sequence
from importlib import import_module
from typing import Final, NoReturn

import click

from ringback import __version__
from ringback.cli.exits import Exit, Failure, code_of
from ringback.errors import RingbackError

COMMANDS: Final = {
    "dev": "Run a server to play with, and a receiver that shows what arrives.",
    "serve": "Run the service.",
    "send": "Publish one message to a running server.",
    "listen": "Show, verify and keep what arrives at a port of this machine, or misbehave.",
    "torture": "Try a receiver with good and bad requests, and report what it handled wrongly.",
    "token": "Print a bearer token.",
    "config": "Show every setting, its value and where it comes from.",
    "doctor": "Check settings, database, clock, network and a running server.",
    "migrate": "Bring the database to this version, or show what that would do.",
    "nodes": "Show which nodes are alive and what each holds.",
    "backup": "Copy the database while it is in use.",
    "transfer": "Move everything into PostgreSQL, from a SQLite file or from Svix.",
}


class Commands(click.Group):
    """Loads a command when it is called, not when it is listed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(f"ringback.cli.{cmd_name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="ringback", message="%(prog)s %(version)s")
def ringback() -> None:
    """Webhooks for Python, whole: send them, see them, receive them, replay them.

    `ringback dev` is the place to begin.
    """


def run(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run a command line and end the program. Whatever fails on purpose is one line on stderr."""
    # PyJWT's own words on a short key; ours are in `config.weakness_of_key`.
    warnings.filterwarnings("ignore", message="The HMAC key is")
    try:
        sys.exit(ringback.main(arguments, prog_name="ringback", standalone_mode=False))
    except click.UsageError as error:
        error.show()
        sys.exit(Exit.USAGE)
    except click.ClickException as error:
        _end(error.exit_code, error.format_message())
    except Failure as error:
        _end(error.code, str(error))
    except (click.Abort, KeyboardInterrupt):
        _end(Exit.INTERRUPTED, "interrupted")
    except RingbackError as error:
        _end(code_of(error), str(error))
    except BrokenPipeError:
        # Whoever read our output has seen enough; stderr may be gone as well.
        sys.stderr.close()
        sys.exit(Exit.OK)
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:
            raise
        _end(Exit.USAGE, "a path is longer than this system allows; choose a shorter one")


def _end(code: int, message: str) -> NoReturn:
    click.echo(f"ringback: {message}", err=True)
    sys.exit(code)
