"""What an engine reads off the end of an attempt. Pure; `rules` decides what to do about it."""

from typing import Final

from ringback.wire.port import Failure, Reason, Reply

_OVERLOADED: Final = frozenset({429, 502, 503, 504})
_TOO_SLOW: Final = frozenset({Reason.TIMEOUT, Reason.CONNECT_TIMEOUT})


def is_success(outcome: Reply | Failure) -> bool:
    """A 2xx is the receipt; a redirect is not."""
    return isinstance(outcome, Reply) and 200 <= outcome.status < 300


def is_overload(outcome: Reply | Failure) -> bool:
    """The receiver says, or shows, that it is asked too much: send it less at a time."""
    if isinstance(outcome, Failure):
        return outcome.reason in _TOO_SLOW
    return outcome.status in _OVERLOADED


def status_code(outcome: Reply | Failure) -> int:
    """The HTTP status, 0 when there was no valid response."""
    return outcome.status if isinstance(outcome, Reply) else 0


def error(outcome: Reply | Failure) -> str | None:
    """Why there was no valid response, in words for the customer."""
    return outcome.detail if isinstance(outcome, Failure) else None
