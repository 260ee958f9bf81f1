"""`ringback serve`: run the service."""

import click

from ringback.cli.exits import Exit, Failure
from ringback.cli.options import Chosen, with_settings


@click.command()
@with_settings
def command(*, chosen: Chosen) -> None:
    """Run the service until SIGTERM or Ctrl+C, then finish what is in flight and exit 0.

    Logs go to stderr. The service is ready when GET /api/v1/health/ping answers 204.
    """
    settings = chosen.load()
    from ringback.front import CannotListen
    from ringback.serve import serve

    try:
        serve(settings)
    except CannotListen as error:
        raise Failure(Exit.NETWORK, str(error)) from None
