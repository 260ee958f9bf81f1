"""A request as it was received, and its headers whatever the framework made of them.

Invariants: names are lower-case; a header that was sent twice is known to be ambiguous and is
refused when somebody asks for it, even if both values are the same, because the program behind us
might read the other one; the work is bounded by `HEADERS_MAX` and `HEADER_CHARS_MAX`.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from msgspec import Struct

from ringback.errors import Malformed, Misconfigured, Missing

HEADERS_MAX: Final = 512
HEADER_CHARS_MAX: Final = 8_192
ID_CHARS_MAX: Final = 256

Headers = Mapping[str, str] | Mapping[str, object] | Iterable[tuple[str | bytes, str | bytes]]
"""A mapping, an `environ`, pairs of text (`.items()`) or pairs of bytes (an ASGI scope's)."""

_HOW_TO_GIVE_HEADERS: Final = (
    "give the headers as a mapping, a WSGI environ or pairs of a name and a value"
)
_AMBIGUOUS: Final = None
_IDENTIFIER: Final = re.compile(r"[!-+\--~]+")
_ENVIRON: Final = re.compile("http_|content_(type|length|encoding)$")
_NOT_A_HEADER: Final = object()  # an environ holds streams and tuples too


class Request(Struct, frozen=True):
    """`url` is the public URL that the provider called, if known; `body` the bytes as received."""

    method: str
    url: str | None
    headers: dict[str, str | None]
    body: bytes

    def header(self, name: str) -> str:
        """The one value of a header, as it was sent. Names are lower-case.

        Raises Missing if it is absent; Malformed if it is empty, too long or sent twice.
        """
        text = self.headers.get(name)
        if text is None:
            if name in self.headers:
                raise Malformed(f"the header {name} was sent more than once")
            raise Missing(f"the header {name} is absent: not sent, or removed by a proxy")
        if not 0 < len(text) <= HEADER_CHARS_MAX:
            raise Malformed(f"the header {name} is empty or exceeds {HEADER_CHARS_MAX} characters")
        return text

    def has(self, name: str) -> bool:
        return name in self.headers

    def visible(self, name: str) -> str:
        """The same for identifiers: visible ASCII only, so no space, comma list or line break.

        Raises as `header` does, and Malformed for anything else or over `ID_CHARS_MAX`.
        """
        text = self.header(name)
        if len(text) > ID_CHARS_MAX or not _IDENTIFIER.fullmatch(text):
            raise Malformed(
                f"the header {name} is not an identifier of at most {ID_CHARS_MAX} characters"
            )
        return text


def received(method: str, url: str | None, headers: Headers, *, body: object) -> Request:
    """Raises Misconfigured for what only a programmer can get wrong, Malformed for the rest."""
    if not isinstance(body, bytes):
        body = _bytes(body)
    if not isinstance(method, str) or (url is not None and not isinstance(url, str)):
        raise Misconfigured("give `method` and `url` as text")
    return Request(method.upper(), url, _normalised(headers), body)


def _bytes(body: object) -> bytes:
    if isinstance(body, bytearray | memoryview):
        return bytes(body)
    raise Misconfigured(
        f"verify needs the raw body as bytes, not {type(body).__name__}: a body that was decoded or"
        " parsed is not what was signed. Use `await request.body()` (FastAPI, Starlette),"
        " `request.get_data()` (Flask), `request.body` (Django), `await request.read()` (aiohttp)"
    )


def _normalised(headers: Headers) -> dict[str, str | None]:
    try:
        pairs = list(headers.items() if hasattr(headers, "items") else headers)
    except (TypeError, ValueError):
        raise Misconfigured(_HOW_TO_GIVE_HEADERS) from None
    if len(pairs) > HEADERS_MAX:
        raise Malformed(f"the request has more than {HEADERS_MAX} headers")
    return _plain(pairs) or _collected(pairs, is_mapping=hasattr(headers, "items"))


def _plain(pairs: list[Any]) -> dict[str, str | None] | None:
    """The headers of most requests: all text or all bytes, each once. Nothing for any other kind.

    It is the same as `_collected` makes of them, in a third of the time.
    """
    try:
        names, values = zip(*pairs, strict=True)
    except (TypeError, ValueError):
        return None
    kinds = {*map(type, names), *map(type, values)}
    if kinds == {bytes}:
        joined = b"\0".join(names).decode("latin-1").lower()
        values = tuple(b"\0".join(values).decode("latin-1").split("\0"))
    elif kinds == {str}:
        joined = "\0".join(names).lower()
    else:
        return None
    lowered = joined.split("\0")  # a name or a value may have had a NUL of its own
    if not len(lowered) == len(values) == len(pairs):
        return None
    if "_" in joined and ("http_" in joined or "content_" in joined):
        return None
    found: dict[str, str | None] = dict(zip(lowered, values, strict=True))
    return found if len(found) == len(pairs) else None


def _collected(pairs: list[Any], *, is_mapping: bool) -> dict[str, str | None]:
    found: dict[str, str | None] = {}
    for pair in pairs:
        if not isinstance(pair, list | tuple) or len(pair) != 2:
            raise Misconfigured(_HOW_TO_GIVE_HEADERS)
        name, text = _name(pair[0]), _text(pair[1])
        if text is _NOT_A_HEADER:
            continue
        if is_mapping and _ENVIRON.match(name):
            name = name.removeprefix("http_").replace("_", "-")
        found[name] = _AMBIGUOUS if name in found else text
    return found


def _name(key: object) -> str:
    if not isinstance(key, bytes | str):
        raise Misconfigured(_HOW_TO_GIVE_HEADERS)
    return str(key, "latin-1").lower() if isinstance(key, bytes) else str(key).lower()


def _text(value: object) -> Any:
    if isinstance(value, list | tuple):
        if len(value) != 1:
            return _AMBIGUOUS if value and isinstance(value[0], str | bytes) else _NOT_A_HEADER
        value = value[0]
    if isinstance(value, bytes):
        return value.decode("latin-1")
    return str(value) if isinstance(value, str) else _NOT_A_HEADER
