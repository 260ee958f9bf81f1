"""How the processes of a benchmark talk: JSON lines on stdin and stdout, errors on stderr."""

import asyncio
import resource
import sys
from collections.abc import AsyncIterator
from typing import Final

import msgspec

LINE_BYTES_MAX: Final = 64 * 1024 * 1024


async def read_lines() -> AsyncIterator[bytes]:
    """The lines of stdin until it ends."""
    reader = asyncio.StreamReader(limit=LINE_BYTES_MAX)
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin.buffer)
    while line := await reader.readline():
        yield line


def write_line(message: object) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(message) + b"\n")
    sys.stdout.buffer.flush()


def cpu_s() -> float:
    """Seconds of CPU, user and system, that this process has used."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime
