"""Where in a request the signatures are, and how they are spelled.

    Plain     X-Hub-Signature-256: sha256=<hex>         one signature, or one in each of N headers
    Pairs     Stripe-Signature: t=<time>,v1=<hex>,…     named items, the time among them

Reading yields texts that are compared with what they ought to be, never decoded: base64 in another
spelling or hex in upper case is another text. Nothing here decides what a good signature is.
"""

import re
from binascii import a2b_base64, b2a_base64, b2a_hex
from typing import Final, Literal, Protocol

from msgspec import Struct

from ringback.errors import Malformed, Missing
from ringback.sign.request import Request
from ringback.sign.scheme import SIGNATURES_MAX, Fields

Encoding = Literal["hex", "base64"]

_ALPHABETS: Final = {"hex": re.compile("[0-9a-f]+"), "base64": re.compile("[A-Za-z0-9+/]+={0,2}")}


class Layout(Protocol):
    def read(self, request: Request) -> tuple[list[str], str | None]:
        """The candidates, at most `SIGNATURES_MAX` and at least one, and the signed timestamp.

        Raises Missing or Malformed.
        """
        ...

    def write(self, signature: str, timestamp: str) -> Fields:
        """The headers that carry them."""
        ...

    def says(self) -> str:
        """The same in words."""
        ...


class Plain(Struct, frozen=True):
    """The signature is the header's value behind a prefix.

    `more` names further headers that may hold a signature too (rotation); one of all must be there.
    """

    header: str
    prefix: str = ""
    more: tuple[str, ...] = ()

    def read(self, request: Request) -> tuple[list[str], str | None]:
        headers = [name for name in (self.header, *self.more) if request.has(name.lower())]
        if not headers:
            raise Missing(f"the header {self.header} is absent: not sent, or removed by a proxy")
        texts = [request.header(name.lower()) for name in headers]
        found = [text.removeprefix(self.prefix) for text in texts if text.startswith(self.prefix)]
        if not found:
            raise Malformed(f"the header {self.header} does not begin with {self.prefix}")
        return found, None

    def write(self, signature: str, timestamp: str) -> Fields:
        return ((self.header, self.prefix + signature),)

    def says(self) -> str:
        return f"{self.header}: {self.prefix}…"


class Pairs(Struct, frozen=True):
    """Items `name=value`: signatures under one name, and the time once under another, or nowhere.

    Items of other names are ignored: they are other versions, which are not proofs here.
    """

    header: str
    signature: str
    timestamp: str | None = None
    separator: str = ","

    def read(self, request: Request) -> tuple[list[str], str | None]:
        items = request.header(self.header.lower()).split(self.separator)
        if len(items) > 2 * SIGNATURES_MAX:
            raise Malformed(f"the header {self.header} has more items than any provider sends")
        found, times = [], []
        for item in items:
            name, _, text = item.partition("=")
            if name == self.signature:
                found.append(text)
            elif name == self.timestamp:
                times.append(text)
        if not 0 < len(found) <= SIGNATURES_MAX:
            raise Malformed(f"the header {self.header} has no {self.signature}=… or too many")
        if self.timestamp and len(times) != 1:
            raise Malformed(f"the header {self.header} needs exactly one {self.timestamp}=…")
        return found, times[0] if times else None

    def write(self, signature: str, timestamp: str) -> Fields:
        items = [f"{self.timestamp}={timestamp}"] if self.timestamp else []
        return ((self.header, self.separator.join([*items, f"{self.signature}={signature}"])),)

    def says(self) -> str:
        items = [f"{self.timestamp}=…"] if self.timestamp else []
        return f"{self.header}: {self.separator.join([*items, f'{self.signature}=…'])}"


def encoded(tag: bytes, encoding: Encoding) -> bytes:
    """The one spelling of a tag that is accepted."""
    return b2a_hex(tag) if encoding == "hex" else b2a_base64(tag, newline=False)


def decoded_base64(text: str) -> bytes:
    """The bytes of strict base64, for signatures that cannot be compared. Raises Malformed."""
    try:
        found = a2b_base64(text, strict_mode=True)
    except ValueError:
        raise Malformed("the signature is not base64") from None
    if encoded(found, "base64") != text.encode():  # another spelling, by bits that do not count
        raise Malformed("the signature is not the base64 of any bytes")
    return found


def is_signature(text: str, encoding: Encoding, tag_bytes: int) -> bool:
    """Whether the text could be a signature at all, to tell a malformed one from a wrong one."""
    length = 2 * tag_bytes if encoding == "hex" else (tag_bytes + 2) // 3 * 4
    return len(text) == length and _ALPHABETS[encoding].fullmatch(text) is not None
