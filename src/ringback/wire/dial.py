"""TCP, CONNECT and TLS to addresses that were allowed just before. Owns nothing that lasts.

Addresses are tried one after the other, each with an equal share of the time that is left, so that
one that swallows packets does not use it all up. The caller sets the deadline around everything by
cancelling; whatever was opened is closed then.
"""

import asyncio
import ssl
from collections.abc import Callable
from typing import Final

from ringback.wire.exchange import Connection, Origin
from ringback.wire.port import Reason, Target
from ringback.wire.problem import Problem
from ringback.wire.proxy import Proxy, Tunnel
from ringback.wire.tls import explain

ADDRESSES_TRIED_MAX: Final = 4


class Progress:
    """When each phase of one attempt ended, on the `now` clock."""

    def __init__(self) -> None:
        self.dns_at: float | None = None
        self.connect_at: float | None = None
        self.tls_at: float | None = None


class Dialler:
    """Opens connections. `make` builds the protocol of one to an origin."""

    def __init__(
        self,
        *,
        context: ssl.SSLContext,
        proxy: Proxy | None,
        now: Callable[[], float],
        make: Callable[[Origin], Connection],
    ) -> None:
        self._context = context
        self._proxy = proxy
        self._now = now
        self._make = make
        self._loop = asyncio.get_running_loop()

    async def dial(
        self, target: Target, addresses: tuple[str, ...], *, deadline: float, progress: Progress
    ) -> Connection | Problem:
        """A connection ready for a request to the target, or why not. `deadline` as of `now`."""
        tried = addresses[:ADDRESSES_TRIED_MAX]
        opened: Connection | Problem | None = None
        for position, address in enumerate(tried):
            share_s = (deadline - self._now()) / (len(tried) - position)
            origin = Origin(address, target.port, target.host, target.is_tls)
            opened = await self._connect(origin, share_s)
            if isinstance(opened, Connection):
                progress.connect_at = self._now()
                return await self._secure(opened, progress)
        return opened or Problem(Reason.REFUSED, f"{target.host} has no address to connect to")

    async def _connect(self, origin: Origin, share_s: float) -> Connection | Problem:
        connection = self._make(origin)
        try:
            async with asyncio.timeout(max(share_s, 0)):
                if self._proxy is not None:
                    return await self._tunnel(self._proxy, connection)
                await self._loop.create_connection(lambda: connection, origin.address, origin.port)
                return connection
        except TimeoutError:
            detail = f"{origin.host} did not take the connection on port {origin.port} in time"
            return Problem(Reason.CONNECT_TIMEOUT, detail)
        except ConnectionRefusedError:
            detail = f"{origin.host} refused the connection on port {origin.port}"
        except OSError:
            detail = f"{origin.host} could not be reached on port {origin.port}"
        return Problem(Reason.REFUSED, detail)

    async def _tunnel(self, proxy: Proxy, connection: Connection) -> Connection | Problem:
        tunnel = Tunnel(proxy, connection.origin.address, connection.origin.port)
        try:
            transport, _ = await self._loop.create_connection(
                lambda: tunnel, proxy.host, proxy.port
            )
        except OSError:
            return Problem(Reason.PROXY, "the proxy of this service could not be reached")
        is_open = False
        try:
            is_open = await tunnel.opened
        finally:
            if not is_open:
                transport.abort()
        if not is_open:
            host, port = connection.origin.host, connection.origin.port
            detail = f"the proxy of this service would not connect to {host} on port {port}"
            return Problem(Reason.PROXY, detail)
        transport.set_protocol(connection)
        connection.connection_made(transport)
        return connection

    async def _secure(self, connection: Connection, progress: Progress) -> Connection | Problem:
        """TLS on top, when the origin asks for it, with the name it was asked for by."""
        if not connection.origin.is_tls:
            return connection
        host, plain = connection.origin.host, connection.transport
        secured = None
        try:
            if plain is not None:
                secured = await self._loop.start_tls(
                    plain, connection, self._context, server_hostname=host
                )
        except OSError as error:  # ssl.SSLError is one.
            return Problem(Reason.TLS, explain(error, host))
        finally:
            if secured is None and plain is not None:
                plain.abort()
        if secured is None:
            return Problem(Reason.TLS, explain(ConnectionResetError(), host))
        connection.transport = secured
        progress.tls_at = self._now()
        return connection
