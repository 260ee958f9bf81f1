"""A few threads for calls that block and cannot be cancelled.

Not `ThreadPoolExecutor`: the interpreter waits for its threads when it exits, so one name server
that says nothing would hold up a stop for half a minute. These threads are daemons.
"""

import threading
from collections.abc import Callable
from queue import SimpleQueue


class Threads:
    """Runs calls in at most `threads_max` threads, which are started as they are needed."""

    def __init__(self, threads_max: int, *, name: str) -> None:
        self._threads_max = threads_max
        self._name = name
        self._queue: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._started = 0
        self._busy = 0
        self._lock = threading.Lock()

    def run(self, call: Callable[[], None]) -> None:
        """Queues a call that must not raise. The queue is as long as its caller lets it be."""
        with self._lock:
            self._busy += 1
            needs_thread = self._started < min(self._busy, self._threads_max)
            self._started += needs_thread
        self._queue.put(call)
        if needs_thread:
            threading.Thread(target=self._work, name=self._name, daemon=True).start()

    def close(self) -> None:
        """Lets idle threads end; calls under way go on, unheard."""
        for _ in range(self._started):
            self._queue.put(None)

    def _work(self) -> None:
        while (call := self._queue.get()) is not None:
            try:
                call()
            finally:
                with self._lock:
                    self._busy -= 1
