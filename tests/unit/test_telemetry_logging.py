"""Log lines: their shape, their level, and that a broken stream stops nothing."""

import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from ringback.telemetry.logging import configure


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level, raises = root.handlers[:], root.level, logging.raiseExceptions
    yield
    structlog.reset_defaults()
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.raiseExceptions = raises


def test_json_is_one_object_a_line_with_time_and_level() -> None:
    stream = io.StringIO()
    configure("info", "json", stream=stream).info("ready", url="http://[::1]:1", codes={1})
    line = json.loads(stream.getvalue())
    assert line.pop("at").endswith("Z")
    assert line == {"event": "ready", "level": "info", "url": "http://[::1]:1", "codes": [1]}


def test_what_json_cannot_say_is_shown_as_python_says_it() -> None:
    stream = io.StringIO()
    configure("info", "json", stream=stream).info("odd", thing=object)
    assert json.loads(stream.getvalue())["thing"] == "<class 'object'>"


def test_auto_is_json_where_no_terminal_is() -> None:
    stream = io.StringIO()
    configure("info", "auto", stream=stream).info("ready")
    assert json.loads(stream.getvalue())["event"] == "ready"


def test_text_is_one_readable_line_without_colours_off_a_terminal() -> None:
    stream = io.StringIO()
    configure("info", "text", stream=stream).info("ready", url="http://127.0.0.1:1")
    assert stream.getvalue().endswith("[info     ] ready url=http://127.0.0.1:1\n")
    assert "\x1b" not in stream.getvalue()


def test_no_value_can_forge_a_text_line_or_command_the_terminal() -> None:
    stream = io.StringIO()
    log = configure("info", "text", stream=stream)
    log.info("failed", detail="no\n00:00:00 [info] ready \x1b[2J")
    (line,) = stream.getvalue().splitlines()
    assert "\x1b" not in line


def test_a_line_below_the_level_is_not_written() -> None:
    stream = io.StringIO()
    log = configure("warning", "json", stream=stream)
    log.info("quiet")
    log.warning("loud")
    assert [json.loads(line)["event"] for line in stream.getvalue().splitlines()] == ["loud"]


def test_an_exception_stays_on_one_json_line() -> None:
    stream = io.StringIO()
    log = configure("info", "json", stream=stream)
    try:
        raise RuntimeError("broken")
    except RuntimeError:
        log.exception("a loop failed")
    (line,) = stream.getvalue().splitlines()
    assert "RuntimeError: broken" in json.loads(line)["exception"]


def test_the_standard_library_comes_out_in_the_same_shape() -> None:
    stream = io.StringIO()
    configure("info", "json", stream=stream)
    logging.getLogger("uvicorn.error").warning("Invalid HTTP request received.")
    logging.getLogger("uvicorn.error").info("chatter", extra={"color_message": "chatter"})
    (line,) = (json.loads(line) for line in stream.getvalue().splitlines())
    assert (line["event"], line["level"]) == ("Invalid HTTP request received.", "warning")


@pytest.mark.parametrize("shape", ["json", "text"])
def test_a_stream_that_is_gone_stops_nothing(shape: str) -> None:
    stream = io.StringIO()
    log = configure("info", "json" if shape == "json" else "text", stream=stream)
    stream.close()
    log.error("nobody reads this")
    logging.getLogger("asyncio").error("nor this")
