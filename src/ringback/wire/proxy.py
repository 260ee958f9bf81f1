"""An explicit HTTP proxy, used with CONNECT for http:// and https:// targets alike.

Names are resolved here and not by the proxy: the proxy is asked to connect to the very address that
the egress policy allowed, so the policy means the same with and without a proxy. The proxy's own
address is the operator's choice and is not judged. Variables like HTTPS_PROXY are never read.
"""

import asyncio
from base64 import b64encode
from typing import Final, NamedTuple

from ringback.errors import ConfigError
from ringback.wire.url import parse

ANSWER_BYTES_MAX: Final = 8 * 1024
_END_OF_HEAD: Final = b"\r\n\r\n"


class Proxy(NamedTuple):
    """`authorization` is a whole header line with CRLF, or empty."""

    host: str
    port: int
    authorization: bytes


def proxy_of(setting: str) -> Proxy | None:
    """Reads the setting. Raises ConfigError when it is not `http://[user:password@]host:port`."""
    if not setting:
        return None
    try:
        parsed = parse(setting)
    except ValueError as error:
        raise ConfigError(f"proxy: {error}") from None
    if parsed.is_tls or parsed.path != "/":
        raise ConfigError("proxy: write it as http://host:port, without a path")
    authorization = b""
    if parsed.credentials is not None:
        encoded = b64encode(parsed.credentials)
        authorization = b"Proxy-Authorization: Basic %b\r\n" % encoded
    return Proxy(parsed.host, parsed.port, authorization)


class Tunnel(asyncio.Protocol):
    """Asks for a tunnel over a fresh connection. `opened` says whether the proxy agreed."""

    def __init__(self, proxy: Proxy, address: str, port: int) -> None:
        authority = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
        self._request = b"CONNECT %b HTTP/1.1\r\nHost: %b\r\n%b\r\n" % (
            authority.encode("ascii"),
            authority.encode("ascii"),
            proxy.authorization,
        )
        self._answer = b""
        self.opened: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.write(self._request)  # type: ignore[attr-defined]

    def data_received(self, chunk: bytes) -> None:
        self._answer += chunk
        if _END_OF_HEAD in self._answer:
            self._decide(is_open=_is_agreed(self._answer))
        elif len(self._answer) > ANSWER_BYTES_MAX:
            self._decide(is_open=False)

    def connection_lost(self, exc: Exception | None) -> None:
        self._decide(is_open=False)

    def _decide(self, *, is_open: bool) -> None:
        if not self.opened.done():
            self.opened.set_result(is_open)


def _is_agreed(answer: bytes) -> bool:
    """A 2xx with nothing after its head: the other side speaks only when it was spoken to."""
    version, _, status = answer.split(b"\r\n", 1)[0].partition(b" ")
    is_http = version in (b"HTTP/1.0", b"HTTP/1.1")
    return is_http and status[:1] == b"2" and answer.endswith(_END_OF_HEAD)
