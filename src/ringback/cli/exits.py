"""What an exit code says. Scripts rely on the numbers; `docs/cli.md` lists them."""

from enum import IntEnum

from ringback.errors import Rejected, RingbackError, StoreError


class Exit(IntEnum):
    OK = 0
    FAILED = 1  # a check failed, or the program has a defect
    USAGE = 2  # an argument or a setting is wrong
    STORE = 3  # the database is owned by another process, damaged, of another version or gone
    NETWORK = 4  # nobody answers there, or the address to listen on is not to be had
    REJECTED = 5  # a server answered, and refused
    INTERRUPTED = 130  # a second signal, or Ctrl+C outside a server


class Failure(Exception):
    """Ends the program with this code, and this line on stderr."""

    def __init__(self, code: Exit, message: str) -> None:
        super().__init__(message)
        self.code = code


def code_of(error: RingbackError) -> Exit:
    """The exit code for what the rooms below raise."""
    match error:
        case StoreError():
            return Exit.STORE
        case Rejected():
            return Exit.REJECTED
        case _:
            return Exit.USAGE
