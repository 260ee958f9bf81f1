"""Custom headers of an endpoint: which may be sent, and which belong to the sender.

Refused are the names that the Svix API refuses, and besides: everything that frames or routes the
request (Host, Connection, Expect, Content-*, Transfer-*, Proxy-*), everything that proves who sent
it (Webhook-*, Svix-*), and Cookie and Accept-Encoding, which the client never uses.
Names are tokens of RFC 9110 section 5.6.2; values are visible ASCII with single spaces or tabs
allowed inside, so nothing can begin a header of its own.
"""

import re
from collections.abc import Mapping
from typing import Final

HEADERS_MAX: Final = 50
NAME_CHARS_MAX: Final = 256
VALUE_BYTES_MAX: Final = 4_096

_FORBIDDEN: Final = frozenset(
    {
        "accept-encoding", "age", "cache-control", "clear-site-data", "connection", "cookie",
        "cookie2", "expect", "expires", "host", "http2-settings", "keep-alive", "pragma", "te",
        "trailer", "trailers", "upgrade", "user-agent", "via", "warning",
    }
)  # fmt: skip
_FORBIDDEN_PREFIXES: Final = (
    "content-",
    "proxy-",
    "svix-",
    "transfer-",
    "webhook-",
    "x-amz-",
    "x-amzn-",
    "x-azure-",
    "x-fd-",
    "x-gfe",
    "x-goog-",
    "x-google",
    "x-svix-",
)
_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE: Final = re.compile(r"(?:[!-~](?:[\t -~]*[!-~])?)?")


def check_custom(headers: Mapping[str, str]) -> None:
    """Raises ValueError with the rule that a header breaks; a name twice in two cases is one."""
    if len(headers) > HEADERS_MAX:
        raise ValueError(f"an endpoint may have at most {HEADERS_MAX} headers")
    seen: set[str] = set()
    for name, value in headers.items():
        check_form(name, value)
        if is_forbidden(name):
            raise ValueError(f"the header {name} is set by the sender and cannot be changed")
        if name.lower() in seen:
            raise ValueError(f"the header {name} is given twice")
        seen.add(name.lower())


def is_forbidden(name: str) -> bool:
    """True for names that only the sender sets."""
    lower = name.lower()
    return lower in _FORBIDDEN or lower.startswith(_FORBIDDEN_PREFIXES)


def check_form(name: str, value: str) -> None:
    """Raises ValueError when the pair could not go on the wire as one header line."""
    if len(name) > NAME_CHARS_MAX or not _TOKEN.fullmatch(name):
        raise ValueError(
            f"{name[:NAME_CHARS_MAX]!r} is not a header name: use letters, digits and hyphens,"
            f" at most {NAME_CHARS_MAX}"
        )
    if len(value) > VALUE_BYTES_MAX:
        raise ValueError(f"the value of {name} is longer than {VALUE_BYTES_MAX} bytes")
    if not _VALUE.fullmatch(value):
        raise ValueError(
            f"the value of {name} may only have visible ASCII characters, and spaces inside"
        )
