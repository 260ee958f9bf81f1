"""The seam between the engine and the network: what is sent, and what came of it, as values.

Nothing here raises for what a receiver, a resolver or a network does: every end of an attempt is a
`Reply` or a `Failure`. `engine` knows this module and never a concrete client.
"""

from collections.abc import Callable
from enum import StrEnum
from typing import Protocol

from msgspec import Struct

from ringback.model import Timings


class Target(Struct, frozen=True):
    """A parsed, normalised endpoint URL and the head of every request to it.

    `head` is ready to send: request line, Host, static and custom headers, each with CRLF, without
    the final empty line; the per-attempt headers and Content-Length follow it.
    """

    is_tls: bool
    host: str
    port: int
    head: bytes
    url: str


def always() -> bool:
    return True


class Request(Struct, frozen=True):
    """One attempt. `headers` are the per-attempt headers as wire bytes, each with CRLF.

    `may_send` is asked again once there is a connection, as making one takes its time.
    """

    target: Target
    headers: bytes
    body: bytes
    may_send: Callable[[], bool] = always


class Reason(StrEnum):
    """Why there was no valid response."""

    BLOCKED = "blocked"  # every address of the host is denied by the egress policy
    DNS = "dns"  # the name does not resolve
    REFUSED = "refused"  # nobody listens, or the network is unreachable
    CONNECT_TIMEOUT = "connect_timeout"
    TLS = "tls"  # handshake or certificate
    SEND = "send"  # the connection broke while the request was sent
    RESET = "reset"  # closed before a whole response
    TIMEOUT = "timeout"  # the attempt's total time was up
    BAD_RESPONSE = "bad_response"  # not HTTP, or a head over its limit
    PROXY = "proxy"  # the configured proxy refused or failed
    UNSENDABLE = "unsendable"  # there was nothing to send: the wire was never asked
    CALLED_OFF = "called_off"  # by `may_send`: not a byte was sent


class Reply(Struct, frozen=True):
    """A valid response. `body` holds the first kept bytes, `is_truncated` says there were more."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes
    is_truncated: bool
    timings: Timings

    def header(self, name: str) -> str | None:
        """The first value of a header, by lower-case name."""
        return next((value for key, value in self.headers if key == name), None)


class Failure(Struct, frozen=True):
    """No valid response. `detail` is one sentence fit for the customer, without internals."""

    reason: Reason
    detail: str
    timings: Timings


class Wire(Protocol):
    """POSTs requests. Safe to call from many tasks of one event loop."""

    async def post(self, request: Request) -> Reply | Failure: ...

    async def close(self) -> None: ...
