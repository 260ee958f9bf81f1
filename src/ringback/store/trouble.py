"""What a store suffers from: logged when it begins and when it is over, not for every request.

    trouble   the disk is full, a lock is held …      it is tried again, and passes by itself
    fault     the file is damaged, or it is gone      it stays until the service is started again

Written by the threads of a store, read by everybody.
"""

import threading
from typing import Final

import structlog

from ringback.clock import Clock
from ringback.errors import StoreError

REPEAT_S: Final = 60.0  # a trouble that lasts is said again after this
CALM_S: Final = 5.0  # on a disk that is nearly full small writes succeed between those that fail
REASONS_MAX: Final = 16

log = structlog.get_logger()


class Trouble:
    """`fault` is why the store refuses to write until it is opened anew, `hindrance` why writing
    fails just now; None while it is well."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._said_s: dict[str, float] = {}
        self._met_s = 0.0
        self.hindrance: StoreError | None = None
        self.fault: StoreError | None = None

    def met(self, error: StoreError, *, is_writing: bool) -> None:
        """Something that passes. Logged at once, and then once every `REPEAT_S`."""
        reason, now_s = str(error), self._clock.monotonic()
        with self._lock:
            if is_writing:
                self.hindrance, self._met_s = error, now_s
            said_s = self._said_s.get(reason)
            if said_s is not None and now_s - said_s < REPEAT_S:
                return
            if len(self._said_s) >= REASONS_MAX:
                self._said_s.clear()
            self._said_s[reason] = now_s
        log.error("store_unavailable", error=reason)

    def over(self) -> None:
        """Something was committed: after `CALM_S` without trouble, trouble has passed."""
        with self._lock:
            if self.hindrance is None or self._clock.monotonic() - self._met_s < CALM_S:
                return
            self.hindrance = None
            self._said_s.clear()
        log.info("store_available")

    def condemn(self, error: StoreError) -> bool:
        """Something that does not pass. Logged once; whether this was the first."""
        with self._lock:
            if self.fault is not None:
                return False
            self.fault = error
        log.error("store_refuses", error=str(error))
        return True

    def refusal(self) -> StoreError | None:
        """The fault, as an exception of its own for each caller: a raised one keeps growing."""
        return None if self.fault is None else type(self.fault)(*self.fault.args)
