"""Addresses to listen on: taking them, and saying why they are not to be had."""

import os
import socket
from contextlib import suppress
from typing import Any

from ringback.errors import CannotListen


def bind(host: str, port: int) -> list[socket.socket]:
    """Sockets that hold the address, one for each meaning of the host; nobody is answered yet.

    Port 0 is any free port, the same for all of them. Raises CannotListen.
    """
    bound: list[socket.socket] = []
    try:
        for family, address in _addresses(host, port):
            chosen = bound[0].getsockname()[1] if bound else port
            bound.append(_bound(family, (address[0], chosen, *address[2:])))
    except (OSError, UnicodeError) as error:
        for one in bound:
            one.close()
        raise cannot_listen(host, port, error) from None
    return bound


def url_of(host: str, port: int) -> str:
    """Where a program on this machine reaches a listener."""
    shown = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104
    return f"http://[{shown}]:{port}" if ":" in shown else f"http://{shown}:{port}"


def cannot_listen(host: str, port: int, error: OSError | UnicodeError) -> CannotListen:
    """The one line for it."""
    if isinstance(error, UnicodeError):
        reason = "that is no host name"
    else:
        number = error.errno or 0
        reason = os.strerror(number) if number > 0 else error.strerror or str(error)
    return CannotListen(
        f"cannot listen on {host}:{port}: {reason.lower()};"
        " stop what runs there, or choose another address with --listen HOST:PORT"
    )


def _addresses(host: str, port: int) -> list[tuple[int, tuple[Any, ...]]]:
    found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    return list(dict.fromkeys((int(family), address) for family, *_, address in found))


def _bound(family: int, address: tuple[Any, ...]) -> socket.socket:
    one = socket.socket(family, socket.SOCK_STREAM)
    try:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            with suppress(AttributeError, OSError):
                one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        one.setblocking(False)
        one.bind(address)
    except BaseException:
        one.close()
        raise
    return one
