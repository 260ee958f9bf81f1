"""Endpoint URLs: one strict reading, and the normal form that everything else uses.

The normal form is the WHATWG one (https://url.spec.whatwg.org/): lower-case scheme and host, no
default port, `/` for an empty path, dot segments removed, characters percent-encoded, no fragment.
What WHATWG repairs silently is refused here instead, because two readers may repair differently:
white space, control characters, backslashes, empty or padded ports, percent signs in a host.

An IPv4 address is written as four decimal numbers. Other notations (2130706433, 0x7f.1, 0177.0.0.1,
127.1, full-width digits) are refused: nobody needs them, and resolvers disagree about them. What a
name leads to is not looked at here; that is judged at every attempt.
"""

import re
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import Final
from urllib.parse import quote, unquote_to_bytes

from msgspec import Struct

from ringback.wire.names import ascii_name

URL_CHARS_MAX: Final = 2_048
DEFAULT_PORTS: Final = {"http": 80, "https": 443}

# Services that read lines and could take a request for commands: the "bad ports" of the Fetch
# standard that a webhook could do harm with, Redis and Memcached added.
REFUSED_PORTS: Final = frozenset(
    {
        1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 77, 79, 87, 95, 101,
        102, 103, 104, 109, 110, 111, 113, 115, 117, 119, 123, 135, 137, 139, 143, 161, 179, 389,
        427, 465, 512, 513, 514, 515, 526, 530, 531, 532, 540, 548, 554, 556, 563, 587, 601, 636,
        989, 990, 993, 995, 1719, 1720, 1723, 2049, 3659, 4045, 4190, 5060, 5061, 6000, 6379, 6566,
        6665, 6666, 6667, 6668, 6669, 6679, 6697, 10080, 11211,
    }
)  # fmt: skip

_SHAPE: Final = re.compile(
    r"(?P<scheme>[A-Za-z]+)://(?P<authority>[^/?#]+)(?P<path>[^?#]*)(?P<query>\?[^#]*)?(?:#.*)?"
)
_ODD: Final = re.compile(r"[\x00-\x20\x7f-\xa0\\\ufeff\u2028\u2029]")
_USERINFO: Final = re.compile(r"[A-Za-z0-9._~!$&'()*+,;=:%-]+")
_BAD_PERCENT: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")
_NUMERIC_LABEL: Final = re.compile(r"[0-9]+|0[xX][0-9A-Fa-f]*")
_KEPT_IN_PATH: Final = "/%:@!$&'()*+,;=-._~[]|^"
_KEPT_IN_QUERY: Final = "/%:@!$&()*+,;=-._~[]|^?{}`"


class ParsedUrl(Struct, frozen=True):
    """`text` is the normal form with credentials, `public` without; `host` has no brackets.

    `path` carries the query, as it goes into the request line. `credentials` are the decoded
    `user:password` of the URL, None when it has none.
    """

    text: str
    public: str
    is_tls: bool
    host: str
    port: int
    path: str
    credentials: bytes | None

    @property
    def authority(self) -> str:
        """Host and port as the Host header has them: IPv6 in brackets, no default port."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        is_default = self.port == DEFAULT_PORTS["https" if self.is_tls else "http"]
        return host if is_default else f"{host}:{self.port}"


def parse(url: str) -> ParsedUrl:
    """The URL in its normal form. Raises ValueError with one sentence that says what to change."""
    shape = _shape(url)
    scheme = shape["scheme"].lower()
    if scheme not in DEFAULT_PORTS:
        raise ValueError(f"the URL must begin with https:// or http://, not {scheme}://")
    userinfo, _, host_and_port = shape["authority"].rpartition("@")
    host, port = _host_and_port(host_and_port)
    path = quote(_without_dots(shape["path"]), safe=_KEPT_IN_PATH)
    query = quote(shape["query"] or "", safe=_KEPT_IN_QUERY)
    parsed = ParsedUrl(
        text="",
        public="",
        is_tls=scheme == "https",
        host=host,
        port=DEFAULT_PORTS[scheme] if port is None else port,
        path=path + query,
        credentials=_credentials(userinfo) if "@" in shape["authority"] else None,
    )
    return _with_text(parsed, scheme, userinfo)


def _shape(url: str) -> re.Match[str]:
    if len(url) > URL_CHARS_MAX:
        raise ValueError(f"the URL is longer than {URL_CHARS_MAX} characters")
    if _ODD.search(url):
        raise ValueError(
            "the URL has a space, a control character or a backslash in it; percent-encode it"
        )
    if any("\ud800" <= letter <= "\udfff" for letter in url):
        raise ValueError("the URL has half a surrogate pair in it; send valid Unicode")
    shape = _SHAPE.fullmatch(url)
    if shape is None:
        raise ValueError("the URL must look like https://host/path")
    return shape


def _host_and_port(text: str) -> tuple[str, int | None]:
    if text.startswith("["):
        literal, bracket, rest = text[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            raise ValueError("the URL's IPv6 address needs a closing bracket, like https://[::1]/")
        return _ipv6(literal), _port(rest[1:]) if rest else None
    host, colon, port = text.partition(":")
    return _name_or_ipv4(host), _port(port) if colon else None


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 5 and 0 < int(text) < 65_536):
        raise ValueError("the URL's port must be a number from 1 to 65535")
    if int(text) in REFUSED_PORTS:
        raise ValueError(f"port {int(text)} belongs to another protocol; use an HTTP port")
    return int(text)


def _ipv6(literal: str) -> str:
    if "%" in literal:
        raise ValueError("the URL's IPv6 address must not name a network interface (%…)")
    try:
        return IPv6Address(literal).compressed
    except AddressValueError:
        raise ValueError("the URL's IPv6 address is malformed") from None


def _name_or_ipv4(host: str) -> str:
    if not host:
        raise ValueError("the URL has no host")
    name = ascii_name(host)
    if not _NUMERIC_LABEL.fullmatch(name.rpartition(".")[2]):
        return name
    # `IPv4Address` takes four decimal numbers without leading zeros, and nothing else.
    try:
        return str(IPv4Address(host))
    except AddressValueError:
        raise ValueError(
            "the URL's host looks like a number; write an IPv4 address as 192.0.2.1"
        ) from None


def _credentials(userinfo: str) -> bytes:
    if not _USERINFO.fullmatch(userinfo) or _BAD_PERCENT.search(userinfo):
        raise ValueError("the user and password in the URL must be percent-encoded")
    user, _, password = userinfo.partition(":")
    decoded_user, decoded_password = unquote_to_bytes(user), unquote_to_bytes(password)
    if b":" in decoded_user:
        raise ValueError("the user in the URL must not have a colon in it (RFC 7617)")
    credentials = decoded_user + b":" + decoded_password
    if any(byte < 0x20 or byte == 0x7F for byte in credentials):
        raise ValueError("the user and password in the URL must not have control characters")
    return credentials


def _without_dots(path: str) -> str:
    """Dot segments resolved, also when they are percent-encoded, as WHATWG says."""
    kept: list[str] = []
    segments = path.split("/")[1:]
    for position, segment in enumerate(segments):
        plain = segment.replace("%2e", ".").replace("%2E", ".")
        if plain == "..":
            del kept[-1:]
        elif plain != ".":
            kept.append(segment)
            continue
        if position == len(segments) - 1:
            kept.append("")
    return "/" + "/".join(kept)


def _with_text(parsed: ParsedUrl, scheme: str, userinfo: str) -> ParsedUrl:
    public = f"{scheme}://{parsed.authority}{parsed.path}"
    login = "" if parsed.credentials is None else userinfo + "@"
    text = f"{scheme}://{login}{parsed.authority}{parsed.path}"
    if len(text) > URL_CHARS_MAX:
        raise ValueError(f"the URL is longer than {URL_CHARS_MAX} characters once encoded")
    return ParsedUrl(
        text=text,
        public=public,
        is_tls=parsed.is_tls,
        host=parsed.host,
        port=parsed.port,
        path=parsed.path,
        credentials=parsed.credentials,
    )
