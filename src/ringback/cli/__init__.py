"""The command line: `ringback <command>`, one file a command.

Commands parse and print. What they do is elsewhere: a command that decides something has it in the
wrong place. Results go to stdout, everything else to stderr; exit codes are in `exits.py`.

Nothing is imported before it is needed: `ringback --help` loads click and this package alone.
"""

import sys


def main() -> None:
    """The `ringback` program."""
    try:
        from ringback.cli.group import run
    except ModuleNotFoundError as error:
        if error.name != "click":
            raise
        sys.stderr.write('ringback: the command line needs pip install "ringback[serve]"\n')
        sys.exit(2)
    run()
