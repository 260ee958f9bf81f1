"""A periodic wake-up with microsecond precision.

An event loop rounds its timers to milliseconds, which would add up to one to every latency of the
open loop. Linux's timerfd does not; elsewhere the loop's own timer has to do.
"""

import asyncio
import ctypes
import os
import sys
from collections.abc import Callable
from typing import Final

CLOCK_MONOTONIC: Final = 1
TFD_NONBLOCK: Final = os.O_NONBLOCK
TFD_TIMER_ABSTIME: Final = 1
NANOSECONDS: Final = 1_000_000_000


class Ticker:
    """Calls `tick` at `start_ns` (CLOCK_MONOTONIC) and every `interval_ns` after, until stopped."""

    def __init__(self, tick: Callable[[], None], *, start_ns: int, interval_ns: int) -> None:
        self._tick = tick
        self._loop = asyncio.get_running_loop()
        self._interval_s = interval_ns / NANOSECONDS
        self._handle: asyncio.TimerHandle | None = None
        self._file = _timerfd(start_ns, interval_ns)
        if self._file >= 0:
            self._loop.add_reader(self._file, self._read)
        else:
            self._call()

    def stop(self) -> None:
        if self._handle:
            self._handle.cancel()
        if self._file >= 0:
            self._loop.remove_reader(self._file)
            os.close(self._file)
            self._file = -1

    def _read(self) -> None:
        os.read(self._file, 8)
        self._tick()

    def _call(self) -> None:
        self._handle = self._loop.call_later(self._interval_s, self._call)
        self._tick()


class _Spec(ctypes.Structure):
    """struct itimerspec: interval and first expiry, each as seconds and nanoseconds."""

    _fields_ = [(name, ctypes.c_long) for name in ("every_s", "every_ns", "first_s", "first_ns")]


def _timerfd(start_ns: int, interval_ns: int) -> int:
    """The descriptor of a running timer, or -1 where there is no such thing."""
    if sys.platform != "linux":
        return -1
    libc = ctypes.CDLL(None, use_errno=True)
    file = int(libc.timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK))
    if file < 0:
        return -1
    spec = _Spec(*divmod(interval_ns, NANOSECONDS), *divmod(start_ns, NANOSECONDS))
    if libc.timerfd_settime(file, TFD_TIMER_ABSTIME, ctypes.byref(spec), None):
        os.close(file)
        return -1
    return file
