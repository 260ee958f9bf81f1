"""What an engine reads off the end of an attempt. Pure; `rules` decides what to do about it."""

from typing import Final

from ringback.wire.port import Failure, Reason, Reply

_UNREACHED: Final = frozenset(
    {
        Reason.BLOCKED,
        Reason.DNS,
        Reason.REFUSED,
        Reason.CONNECT_TIMEOUT,
        Reason.TLS,
        Reason.PROXY,
    }
)


def status_code(outcome: Reply | Failure) -> int:
    """The HTTP status, 0 when there was no valid response."""
    return outcome.status if isinstance(outcome, Reply) else 0


def error(outcome: Reply | Failure) -> str | None:
    """Why there was no valid response, in words for the customer."""
    return outcome.detail if isinstance(outcome, Failure) else None


def is_unreached(outcome: Reply | Failure) -> bool:
    """Not a byte of the request was sent, so nothing of it can be the reason."""
    return isinstance(outcome, Failure) and outcome.reason in _UNREACHED
