"""Timestamps as providers write them, read strictly, and whether they are fresh.

The raw text is what was signed, so nothing is forgiven here: no sign, space, underscore, exponent
or digit of another script. A reading that another program could not share is refused.
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final, Literal

from ringback.errors import Malformed, Stale

Form = Literal["s", "ms", "rfc3339", "http-date"]

TOLERANCE_S: Final = 300
_DIGITS_MAX: Final = 12
_DATE_CHARS_MAX: Final = 40
_CLOCK: Final = r"(?!24)\d\d:\d\d:\d\d"  # newer Pythons read 24:00:00 as the next day's 00:00:00
_RFC3339: Final = re.compile(
    rf"(\d{{4}}-\d\d-\d\dT{_CLOCK})(?:\.\d{{1,9}})?(Z|[+-]\d\d:\d\d)", re.ASCII
)

# The names are English whatever the locale of the process, so strptime and strftime cannot be used.
_WEEKDAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS: Final = (
    *("Jan", "Feb", "Mar", "Apr", "May", "Jun"),
    *("Jul", "Aug", "Sep", "Oct", "Nov", "Dec"),
)
_IMF_FIXDATE: Final = re.compile(
    rf"({'|'.join(_WEEKDAYS)}), (\d\d) ({'|'.join(_MONTHS)}) (\d{{4}}) ({_CLOCK}) GMT",
    re.ASCII,
)


def seconds(text: str) -> int:
    """Whole seconds since 1970 in at most 12 ASCII digits. Raises Malformed."""
    return _number(text, _DIGITS_MAX)


def milliseconds(text: str) -> int:
    """Seconds, rounded down, of whole milliseconds in ASCII digits. Raises Malformed."""
    return _number(text, _DIGITS_MAX + 3) // 1000


def rfc3339(text: str) -> int:
    """Seconds, rounded down, of an instant with its offset (RFC 3339, 5.6). Raises Malformed.

    Upper-case `T` and `Z` only; a leap second is refused, as Python cannot say when it was.
    """
    if len(text) <= _DATE_CHARS_MAX and (form := _RFC3339.fullmatch(text)):
        try:
            return int(datetime.fromisoformat(form[1] + form[2]).timestamp())
        except (ValueError, OverflowError):
            pass
    raise Malformed("the timestamp is not an instant of RFC 3339, like 2026-01-31T12:00:00Z")


def http_date(text: str) -> int:
    """Seconds of an IMF-fixdate (RFC 9110, 5.6.7), its weekday right. Raises Malformed."""
    if form := _IMF_FIXDATE.fullmatch(text):
        weekday, day, month, year, clock = form.groups()
        number = 1 + _MONTHS.index(month)
        try:
            instant = datetime.fromisoformat(f"{year}-{number:02}-{day}T{clock}+00:00")
        except ValueError:
            pass
        else:
            if _WEEKDAYS[instant.weekday()] == weekday:
                return int(instant.timestamp())
    raise Malformed("the timestamp is not an HTTP date, like Sat, 31 Jan 2026 12:00:00 GMT")


READERS: Final[dict[Form, Callable[[str], int]]] = {
    "s": seconds,
    "ms": milliseconds,
    "rfc3339": rfc3339,
    "http-date": http_date,
}


def written(timestamp_s: int, form: Form) -> str:
    """The text that a provider would send."""
    match form:
        case "s":
            return str(timestamp_s)
        case "ms":
            return str(timestamp_s * 1000)
        case "rfc3339":
            return datetime.fromtimestamp(timestamp_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        case "http-date":
            instant = datetime.fromtimestamp(timestamp_s, UTC)
            weekday, month = _WEEKDAYS[instant.weekday()], _MONTHS[instant.month - 1]
            return f"{weekday}, {instant:%d} {month} {instant:%Y %H:%M:%S} GMT"


def check_fresh(timestamp_s: int, *, now_s: int, tolerance_s: int) -> None:
    """Raises Stale if the two differ by more than the tolerance, in either direction.

    To be asked after the signature was found good, so that Stale means authentic.
    """
    if abs(now_s - timestamp_s) > tolerance_s:
        age_s = now_s - timestamp_s
        when = f"{age_s} s ago" if age_s > 0 else f"{-age_s} s in the future"
        raise Stale(
            f"signed {when}, and {tolerance_s} s are tolerated: a replay, or a clock is wrong"
        )


def _number(text: str, digits_max: int) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= digits_max):
        raise Malformed(f"the timestamp is not a whole number of at most {digits_max} digits")
    return int(text)
