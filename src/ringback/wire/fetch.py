"""A document behind an `https` URL, by one GET: a provider's certificate, or a visit it asks for.

    parse ─▶ look up ─▶ judge every address ─▶ connect to one that is allowed ─▶ TLS ─▶ GET ─▶ 200

For a few requests a day to hosts that a scheme has pinned: it needs no event loop and no package,
keeps nothing and does not hurry. The rules are those of deliveries: only addresses that
`rules.egress` allows, certificates always verified, no redirect, no proxy of the environment, every
byte and second bounded. A name server or a host that says nothing is left behind with its thread.
"""

import asyncio
import socket
import ssl
from collections.abc import Sequence
from contextlib import suppress
from http.client import HTTPConnection
from ipaddress import ip_address
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Final

from ringback import __version__
from ringback.errors import FetchFailed
from ringback.rules.egress import Policy
from ringback.wire.resolve import Lookup, system_lookup
from ringback.wire.tls import checked, delivery_context
from ringback.wire.url import ParsedUrl, parse

FETCH_S_MAX: Final = 5.0
FETCHED_BYTES_MAX: Final = 65_536
ADDRESSES_TRIED_MAX: Final = 2


def fetch(
    url: str,
    /,
    *,
    policy: Policy = Policy(),  # noqa: B008  a frozen value
    ssl_context: ssl.SSLContext | None = None,
    lookup: Lookup = system_lookup,
    timeout_s: float = FETCH_S_MAX,
) -> bytes:
    """The body of a 200, at most `FETCHED_BYTES_MAX` bytes within `timeout_s`. Blocks.

    `ssl_context` adds a private authority; it must verify. Raises FetchFailed.
    """
    context = delivery_context() if ssl_context is None else checked(ssl_context)
    visit = _Visit(_parsed(url), policy, context=context, lookup=lookup, timeout_s=timeout_s)
    outcomes: SimpleQueue[bytes | Exception] = SimpleQueue()
    Thread(target=visit.run, args=(outcomes,), name="ringback-fetch", daemon=True).start()
    try:
        outcome = outcomes.get(timeout=timeout_s)
    except Empty:
        visit.abandon()
        outcome = TimeoutError()
    if isinstance(outcome, bytes):
        return outcome
    if isinstance(outcome, FetchFailed):
        raise outcome
    if isinstance(outcome, TimeoutError):
        raise FetchFailed(f"{visit.url.host} took longer than {timeout_s:g} s") from None
    raise FetchFailed(f"{visit.url.host}: {outcome or type(outcome).__name__}") from None


async def fetch_async(url: str, /) -> bytes:
    """The same for an event loop, in a thread."""
    return await asyncio.to_thread(fetch, url)


class _Visit:
    """One GET, in a thread of its own."""

    def __init__(
        self,
        url: ParsedUrl,
        policy: Policy,
        *,
        context: ssl.SSLContext,
        lookup: Lookup,
        timeout_s: float,
    ) -> None:
        self.url = url
        self._policy = policy
        self._context = context
        self._lookup = lookup
        self._timeout_s = timeout_s
        self._socket: socket.socket | None = None

    def run(self, outcomes: "SimpleQueue[bytes | Exception]") -> None:
        try:
            outcomes.put(self._get())
        except Exception as error:
            outcomes.put(error.with_traceback(None))  # it would keep the connection open
        finally:
            self.abandon()
            if self._socket is not None:
                self._socket.close()

    def abandon(self) -> None:
        """Whatever the thread waits for, it waits no more."""
        if self._socket is not None:
            with suppress(OSError):
                # Not that of an SSL socket: it would undo TLS under the thread that reads.
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

    def _get(self) -> bytes:
        self._socket = plain = self._connected(self._addresses())
        self._socket = secured = self._context.wrap_socket(
            plain,
            server_hostname=self.url.host,
            do_handshake_on_connect=False,
            suppress_ragged_eofs=False,  # an end that TLS does not confirm may be a cut
        )
        secured.do_handshake()
        connection = HTTPConnection(self.url.host)
        connection.sock = secured
        connection.putrequest("GET", self.url.path, skip_host=True, skip_accept_encoding=True)
        connection.putheader("Host", self.url.authority)
        connection.putheader("User-Agent", f"Ringback/{__version__}")
        connection.putheader("Accept-Encoding", "identity")
        connection.putheader("Connection", "close")
        connection.endheaders()
        response = connection.getresponse()
        if response.status != 200:
            raise FetchFailed(f"{self.url.host} answered {response.status}")
        body = response.read(FETCHED_BYTES_MAX + 1)
        if len(body) > FETCHED_BYTES_MAX:
            raise FetchFailed(f"{self.url.host} sent more than {FETCHED_BYTES_MAX} bytes")
        if response.length:
            raise FetchFailed(f"{self.url.host} ended in the middle of its answer")
        return body

    def _addresses(self) -> Sequence[str]:
        """What the name leads to and may be dialled. Raises FetchFailed if nothing."""
        host = self.url.host
        try:
            found: Sequence[str] = (str(ip_address(host)),)
        except ValueError:
            found = self._lookup(host)
        allowed = [text for text in found if self._policy.is_allowed(ip_address(text))]
        if not allowed:
            raise FetchFailed(f"{host} leads to no address that may be reached")
        return allowed[:ADDRESSES_TRIED_MAX]

    def _connected(self, addresses: Sequence[str]) -> socket.socket:
        """Each address has an equal share of the time."""
        share_s = self._timeout_s / len(addresses)
        for address in addresses:
            with suppress(OSError):
                opened = socket.create_connection((address, self.url.port), timeout=share_s)
                opened.settimeout(self._timeout_s)
                return opened
        raise FetchFailed(f"{self.url.host} could not be reached on port {self.url.port}")


def _parsed(url: str) -> ParsedUrl:
    """Raises FetchFailed for what is not to be fetched like this."""
    if "#" in url:
        # A fragment names one key of many, which the provider gives to nobody without credentials.
        raise FetchFailed("this document needs credentials: give `fetch`, a function that has them")
    try:
        parsed = parse(url)
    except ValueError as error:
        raise FetchFailed(str(error)) from None
    if not parsed.is_tls or parsed.credentials is not None:
        raise FetchFailed("documents are fetched by https alone, and without credentials")
    return parsed
