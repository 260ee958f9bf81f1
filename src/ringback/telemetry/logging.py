"""Log lines: one event a line on stderr, as text for people or as JSON for machines.

Owns how lines look and where they go. Never decides what is logged, and never writes to stdout,
which belongs to the commands. Logging cannot stop the service: a closed or full-disk stderr loses
the line and nothing else.

The standard library's loggers (asyncio's) come out in the same shape.
"""

import logging
import sys
from collections.abc import MutableMapping
from typing import Any, Final, Literal, Protocol, TextIO

import msgspec
import structlog

Format = Literal["auto", "text", "json"]
Level = Literal["debug", "info", "warning", "error"]

_EXTRAS_OF_UVICORN: Final = ("color_message",)


class Log(Protocol):
    """What a room needs of a logger: an event in a few plain words, and facts by name."""

    def debug(self, event: str, /, **facts: object) -> None: ...
    def info(self, event: str, /, **facts: object) -> None: ...
    def warning(self, event: str, /, **facts: object) -> None: ...
    def error(self, event: str, /, **facts: object) -> None: ...
    def exception(self, event: str, /, **facts: object) -> None:
        """As `error`, with the traceback of the exception being handled."""
        ...


def configure(level: Level, shape: Format, *, stream: TextIO | None = None) -> Log:
    """Set up logging for this process and return its logger. A later call replaces an earlier one.

    `auto` is text on a terminal and JSON elsewhere.
    """
    stream = sys.stderr if stream is None else stream
    is_terminal = stream.isatty()
    is_text = is_terminal if shape == "auto" else shape == "text"
    shared, renderer = _processors(is_text=is_text, has_colours=is_terminal)
    number = logging.getLevelNamesMapping()[level.upper()]
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=lambda *_: _Lines(stream),
        cache_logger_on_first_use=False,
    )
    _route_standard_library(stream, shared=shared, renderer=renderer)
    logger: Log = structlog.get_logger()
    return logger


def _processors(*, is_text: bool, has_colours: bool) -> tuple[list[Any], Any]:
    stamp = structlog.processors.TimeStamper(
        fmt="%H:%M:%S.%f" if is_text else "iso", utc=not is_text, key="at"
    )
    shared = [structlog.contextvars.merge_contextvars, structlog.processors.add_log_level, stamp]
    if is_text:
        return [*shared, _printable], structlog.dev.ConsoleRenderer(
            colors=has_colours,
            pad_event_to=0,
            timestamp_key="at",
            exception_formatter=structlog.dev.plain_traceback,
        )
    traceback = structlog.processors.format_exc_info
    return [*shared, traceback], structlog.processors.JSONRenderer(serializer=_json)


def _printable(_logger: object, _name: str, line: MutableMapping[str, Any]) -> Any:
    """Line breaks and control characters quoted, so that no value can forge a line."""
    for name, value in line.items():
        if isinstance(value, str) and not value.isprintable():
            line[name] = repr(value)
    return line


def _json(line: object, **_: object) -> str:
    return msgspec.json.encode(line, enc_hook=repr).decode()


def _route_standard_library(stream: TextIO, *, shared: list[Any], renderer: Any) -> None:
    """Warnings and worse of every standard logger, in the same shape."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.ExtraAdder(), _without_extras, *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.raiseExceptions = False


def _without_extras(
    _logger: object, _name: str, line: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    for name in _EXTRAS_OF_UVICORN:
        line.pop(name, None)
    return line


class _Lines:
    """The end of the chain: writes a finished line, and survives when nobody can read it."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def msg(self, line: str) -> None:
        try:
            self._stream.write(line + "\n")
            self._stream.flush()
        except (OSError, ValueError):
            return

    debug = info = warning = error = critical = exception = msg
