"""HTTP dates: English in every locale, and read as strictly as they are written."""

import calendar
from datetime import UTC, datetime
from importlib import import_module

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.errors import Malformed
from ringback.sign.instant import http_date, rfc3339, written

LAST_S = int(datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC).timestamp())
GERMAN_DAYS = ["Mo", "Di", "Mi", "Do", "Fr", "Sa", "So"]
GERMAN_MONTHS = [
    "",
    "Jan",
    "Feb",
    "Mär",
    "Apr",
    "Mai",
    "Jun",
    "Jul",
    "Aug",
    "Sep",
    "Okt",
    "Nov",
    "Dez",
]


@given(timestamp_s=st.integers(0, LAST_S))
def test_what_is_written_is_read(timestamp_s: int) -> None:
    assert http_date(written(timestamp_s, "http-date")) == timestamp_s


def test_the_names_are_english_whatever_the_locale_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calendar, "day_abbr", GERMAN_DAYS)
    monkeypatch.setattr(calendar, "month_abbr", GERMAN_MONTHS)
    # strptime keeps the names of the locale that it saw first.
    strptime = import_module("_strptime")
    monkeypatch.setattr(strptime, "_TimeRE_cache", strptime.TimeRE())
    monkeypatch.setattr(strptime, "_regex_cache", {})

    assert http_date("Wed, 07 Oct 2026 10:00:00 GMT") == 1_791_367_200
    assert written(1_791_367_200, "http-date") == "Wed, 07 Oct 2026 10:00:00 GMT"
    with pytest.raises(Malformed):
        http_date("Mi, 07 Okt 2026 10:00:00 GMT")


@pytest.mark.parametrize(
    "text",
    [
        "Thu, 07 Oct 2026 10:00:00 GMT",
        "wed, 07 oct 2026 10:00:00 gmt",
        "Wed, 7 Oct 2026 10:00:00 GMT",
        "Wed, 07 Oct 2026 24:00:00 GMT",
        "Wed, 07 Oct 2026 10:00:60 GMT",
        "Wed, 32 Oct 2026 10:00:00 GMT",
        "Sun, 29 Feb 2026 10:00:00 GMT",
        "Wed, 07 Oct 0000 10:00:00 GMT",
        "Wed, ٠٧ Oct 2026 10:00:00 GMT",
        "Wed, 07 Oct 2026 10:00:00 UTC",
        "Wed, 07 Oct 2026 10:00:00 GMT\n",
        " Wed, 07 Oct 2026 10:00:00 GMT",
        "",
    ],
)
def test_another_date_is_malformed(text: str) -> None:
    with pytest.raises(Malformed):
        http_date(text)


def test_an_hour_of_24_is_none_in_any_python() -> None:
    with pytest.raises(Malformed):
        rfc3339("2026-10-07T24:00:00Z")
