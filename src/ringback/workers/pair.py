"""What supervisor and worker tell each other over their socket pair.

To the worker, a byte each; CONNECTION comes with a descriptor, the others without:

    CONNECTION   serve this connection
    STOP         drain and end: the whole service stops
    REPLACED     the same, but others serve on: so first let go of callers without refusing any

To the supervisor, lines:

    ready        requests are answered
    alive N      once a second, with the number of open connections
    leaving      somebody asked this worker alone to end: give it no more, and say STOP

They are few and never change their meaning: a supervisor meets workers of later versions.
"""

from typing import Final

CONNECTION: Final = b"c"
STOP: Final = b"s"
REPLACED: Final = b"r"

READY: Final = "ready"
ALIVE: Final = "alive"
LEAVING: Final = "leaving"

ALIVE_EVERY_S: Final = 1.0
