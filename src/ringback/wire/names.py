"""Host names: Unicode to the `xn--` form, and what a name may look like.

International names go through IDNA 2003 (the standard library). Where IDNA 2008 reads a letter in
another way (ß, ς, joiners), the name is refused rather than sent to somebody else's host; its
`xn--` form is taken as it is. The answer is lower-case ASCII without a trailing dot.
"""

import re
from encodings import idna
from typing import Final
from unicodedata import category

NAME_CHARS_MAX: Final = 253
LABEL_CHARS_MAX: Final = 63

_DOTS: Final = re.compile("[.\u3002\uff0e\uff61]")
_LABEL: Final = re.compile(r"[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?")
_READ_DIFFERENTLY: Final = frozenset("ßẞς\u200c\u200d")


def ascii_name(host: str) -> str:
    """The host as ASCII labels. Raises ValueError with one sentence that says what is wrong."""
    if len(host) > NAME_CHARS_MAX + 1:
        raise ValueError(f"the URL's host is longer than {NAME_CHARS_MAX} characters")
    labels = _DOTS.split(host)
    if len(labels) > 1 and not labels[-1]:
        labels.pop()
    name = ".".join(_label(label) for label in labels)
    if len(name) > NAME_CHARS_MAX:
        raise ValueError(f"the URL's host is longer than {NAME_CHARS_MAX} characters")
    return name


def _label(label: str) -> str:
    ascii_label = label.lower() if label.isascii() else _encoded(label)
    if not _LABEL.fullmatch(ascii_label):
        raise ValueError(
            "the URL's host may only have letters, digits, hyphens and dots between them"
        )
    if len(ascii_label) > LABEL_CHARS_MAX:
        raise ValueError(f"a part of the URL's host is longer than {LABEL_CHARS_MAX} characters")
    if ascii_label.startswith("xn--"):
        _check_punycode(ascii_label)
    return ascii_label


def _encoded(label: str) -> str:
    if not _READ_DIFFERENTLY.isdisjoint(label):
        raise ValueError("the URL's host is read in two ways; write it in its xn-- form")
    try:
        encoded = idna.ToASCII(label).decode("ascii").lower()
    except UnicodeError:
        raise ValueError("the URL's host is not a valid international name") from None
    if "." in encoded:
        raise ValueError("the URL's host has a letter in it that stands for a dot")
    return encoded


def _check_punycode(label: str) -> None:
    """A label that does not decode, or not to itself, would mean different hosts to others."""
    coded = label.removeprefix("xn--")
    try:
        decoded = coded.encode("ascii").decode("punycode")
        is_faithful = decoded.encode("punycode").decode("ascii") == coded
    except (UnicodeError, OverflowError, ValueError):
        is_faithful, decoded = False, ""
    if not is_faithful or decoded.isascii() or any(_is_hidden(letter) for letter in decoded):
        raise ValueError(f"the URL's host has an invalid xn-- part: {label}")


def _is_hidden(letter: str) -> bool:
    """Control and direction characters; joiners are letters of some scripts."""
    return category(letter) in ("Cc", "Cf", "Co") and letter not in "\u200c\u200d"
