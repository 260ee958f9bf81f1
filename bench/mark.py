"""The mark that every benchmark payload carries: which run, which message, sent when.

It is one JSON string of fixed width, so that it survives any re-serialisation of the payload on
its way, patches into a precomputed request without changing Content-Length, and lets the sink
compute latency without asking anybody. Times are CLOCK_MONOTONIC nanoseconds, which all processes
of one machine share.

    "~RRRR.SSSSSSSSSS.NNNNNNNNNNNNNNNNNNN"      run . sequence . nanoseconds
"""

from typing import Final

OPEN: Final = b'"~'
PATTERN: Final = b"~%04d.%010d.%019d"
WIDTH: Final = 36
RUNS_MAX: Final = 9_999
PAYLOAD_BYTES_MIN: Final = 160


def write(run: int, sequence: int, sent_ns: int) -> bytes:
    """The mark without its quotes, WIDTH bytes."""
    return PATTERN % (run, sequence, sent_ns)


def read(body: bytes) -> tuple[int, int, int] | None:
    """Run, sequence and send time from a payload, or None if it carries no mark."""
    at = body.find(OPEN)
    if at < 0:
        return None
    try:
        return int(body[at + 2 : at + 6]), int(body[at + 7 : at + 17]), int(body[at + 18 : at + 37])
    except ValueError:
        return None


def payload(size_bytes: int) -> tuple[bytes, bytes]:
    """A plausible JSON payload of about `size_bytes`, as what stands before and after the mark.

    Raises ValueError below PAYLOAD_BYTES_MIN.
    """
    if size_bytes < PAYLOAD_BYTES_MIN:
        raise ValueError(f"a payload has {PAYLOAD_BYTES_MIN} bytes or more, not {size_bytes}")
    before = b'{"mark":"'
    after = b'","amount":4200,"currency":"eur","order":"order_000042","pad":"'
    padding = size_bytes - len(before) - WIDTH - len(after) - 2
    return before, after + b"x" * padding + b'"}'
