"""Where `ringback listen` keeps what arrived: a file of JSON lines, or a directory of requests.

    arrivals.jsonl           one line an arrival, as `Arrival.as_object`
    DIR/                     000001.http, 000002.http …: each request as bytes, ready to be sent
                             again, and 000001.json beside it with what was found

Files are for their owner only, because headers may hold credentials. Nothing is ever overwritten.
"""

import os
from pathlib import Path
from typing import Final, Protocol

from msgspec import json

from ringback.errors import ConfigError
from ringback.listen.arrival import Arrival

_PRIVATE: Final = 0o600
_PRIVATE_DIRECTORY: Final = 0o700


class Keep(Protocol):
    def __call__(self, arrival: Arrival, /) -> None: ...


def keep_in(path: Path, *, is_directory: bool) -> Keep:
    """Raises ConfigError if the place cannot be written."""
    try:
        if is_directory or path.is_dir():
            path.mkdir(_PRIVATE_DIRECTORY, parents=True, exist_ok=True)
            return _Directory(path)
        return _Lines(path)
    except OSError as error:
        raise ConfigError(f"cannot keep anything in {path}: {error.strerror}") from None


class _Lines:
    def __init__(self, path: Path) -> None:
        self._path = path
        _append(path, b"")

    def __call__(self, arrival: Arrival, /) -> None:
        _append(self._path, json.encode(arrival.as_object()) + b"\n")


class _Directory:
    def __init__(self, path: Path) -> None:
        self._path = path
        taken = [name.stem for name in path.glob("*.http") if name.stem.isdigit()]
        self._last = max(map(int, taken), default=0)

    def __call__(self, arrival: Arrival, /) -> None:
        self._last += 1
        self._write(".http", as_bytes(arrival))
        self._write(".json", json.encode(arrival.as_object()) + b"\n")

    def _write(self, suffix: str, content: bytes) -> None:
        path = self._path / f"{self._last:06}{suffix}"
        _append(path, content, os.O_EXCL)


def as_bytes(arrival: Arrival) -> bytes:
    """The request as it could be sent again: its headers as they came, its body in one piece."""
    head = arrival.head
    framing = ("transfer-encoding", "content-length", "expect")
    lines = [
        f"{head.method} {head.target} HTTP/1.1",
        *(f"{name}: {text}" for name, text in head.headers if name.lower() not in framing),
        f"Content-Length: {len(arrival.body)}",
    ]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + arrival.body


def _append(path: Path, content: bytes, flags: int = 0) -> None:
    number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | flags, _PRIVATE)
    with os.fdopen(number, "ab") as file:
        file.write(content)
