"""`ringback serve`: run the service."""

import click

from ringback.cli.exits import Exit, Failure
from ringback.cli.options import Chosen, with_settings
from ringback.config import Settings
from ringback.errors import CannotListen, EngineStopped
from ringback.serve import Beside, nothing, serve


@click.command()
@with_settings
def command(*, chosen: Chosen) -> None:
    """Run the service until SIGTERM or Ctrl+C, then finish what is in flight and exit 0.

    Logs go to stderr. The service is ready when GET /api/v1/health/ping answers 204.
    """
    run(chosen.load())


def run(settings: Settings, *, beside: Beside = nothing) -> None:
    """`serve`, with exit codes for what only a server can fail at."""
    try:
        serve(settings, beside=beside)
    except CannotListen as error:
        raise Failure(Exit.NETWORK, str(error)) from None
    except EngineStopped as error:
        raise Failure(Exit.FAILED, str(error)) from None
