"""Time, sleep, randomness and ids: the only source of each, so that tests can replace all four.

Ids are `<prefix>_` + 27 base-62 characters of a 20-byte KSUID with milliseconds:

    4 bytes  seconds since 1,400,000,000      lexical order is time order,
    1 byte   milliseconds / 4                 with 4 ms precision across processes;
    15 bytes random                           strictly increasing within one process

(`svix-ksuid`'s KsuidMs variant, so ids from both sort together.)
"""

import asyncio
import random
import time
from typing import Final, Protocol

EPOCH_S: Final = 1_400_000_000
_ALPHABET: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_VALUES: Final = {letter: value for value, letter in enumerate(_ALPHABET)}
_PAIRS: Final = [high + low for high in _ALPHABET for low in _ALPHABET]
ID_LENGTH: Final = 27
_RANDOM_BITS: Final = 120
_LOW_DIGITS: Final = 6  # three pairs
_LOW_LIMIT: Final = 62**_LOW_DIGITS


class Random(Protocol):
    """What we need of a random source; `random.SystemRandom` and `random.Random` both fit."""

    def random(self) -> float: ...
    def getrandbits(self, k: int, /) -> int: ...
    def randbytes(self, n: int, /) -> bytes: ...


class Ids:
    """Makes ids. Within a 4 ms tick it steps the low six digits by a random amount.

    So ids stay strictly increasing and hard to guess while most of the text is reused.
    """

    def __init__(self, source: Random) -> None:
        self._source = source
        self._steps = random.Random(source.getrandbits(64))  # noqa: S311  ids are not secrets
        self._tick = -1  # of 4 ms, since the Unix epoch
        self._high = -1
        self._low = 0
        self._high_text = ""

    def new(self, prefix: str, now_ms: int) -> str:
        if now_ms >> 2 > self._tick:
            self._tick = now_ms >> 2
            self._move_to(*divmod(self._first(now_ms), _LOW_LIMIT))
        else:
            self._low += 1 + self._steps.getrandbits(28)
            if self._low >= _LOW_LIMIT:
                self._move_to(self._high + 1, self._low - _LOW_LIMIT)
        rest, low = divmod(self._low, 3844)
        high, middle = divmod(rest, 3844)
        return f"{prefix}_{self._high_text}{_PAIRS[high]}{_PAIRS[middle]}{_PAIRS[low]}"

    def _first(self, now_ms: int) -> int:
        """The first value of a tick: its time, and all the rest random."""
        time_bits = (now_ms // 1000 - EPOCH_S) << 8 | now_ms % 1000 // 4
        return time_bits << _RANDOM_BITS | self._source.getrandbits(_RANDOM_BITS)

    def _move_to(self, high: int, low: int) -> None:
        self._high, self._low = max(high, self._high + 1), low
        self._high_text = _digits(self._high, ID_LENGTH - _LOW_DIGITS)


def _digits(value: int, count: int) -> str:
    text = ""
    for _ in range((count + 1) // 2):
        value, pair = divmod(value, 3844)
        text = _PAIRS[pair] + text
    return text[-count:]


def encode_ksuid(raw: bytes) -> str:
    """20 bytes as 27 base-62 characters."""
    return _digits(int.from_bytes(raw), ID_LENGTH)


def decode_ksuid(text: str) -> bytes:
    """The 20 bytes behind the 27 characters (a prefix is allowed). Raises ValueError."""
    digits = text.rpartition("_")[2]
    if len(digits) != ID_LENGTH:
        raise ValueError(f"an id has {ID_LENGTH} characters after its prefix, not {len(digits)}")
    value = 0
    for letter in digits:
        if letter not in _VALUES:
            raise ValueError(f"{letter!r} is not a character of an id")
        value = value * 62 + _VALUES[letter]
    try:
        return value.to_bytes(20)
    except OverflowError:
        raise ValueError("the id is out of range") from None


def id_time_ms(text: str) -> int:
    """The instant an id was made, 4 ms precision. Raises ValueError."""
    raw = decode_ksuid(text)
    return (int.from_bytes(raw[:4]) + EPOCH_S) * 1000 + raw[4] * 4


def first_id_at(prefix: str, at_ms: int) -> str:
    """The smallest id of that 4 ms tick: a bound for paging by time."""
    at_ms = max(at_ms, EPOCH_S * 1000)
    seconds = min(at_ms // 1000 - EPOCH_S, 0xFFFFFFFF)
    raw = seconds.to_bytes(4) + bytes([at_ms % 1000 // 4]) + bytes(15)
    return f"{prefix}_{encode_ksuid(raw)}"


class Clock:
    """The real thing. Subclassed by `testing.simulation` with virtual time and a seeded source.

    Secrets come from the operating system. Jitter does not need that, and a system call for each
    attempt would cost more than the rest of its bookkeeping.
    """

    def __init__(self, source: Random | None = None) -> None:
        self.source: Random = source or random.SystemRandom()
        self._jitter = random.Random(self.source.getrandbits(64))  # noqa: S311  not a secret
        self._ids = Ids(self.source)

    def now_ms(self) -> int:
        """Milliseconds since the Unix epoch."""
        return time.time_ns() // 1_000_000

    def monotonic(self) -> float:
        """Seconds from an arbitrary start, never going back."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def random(self) -> float:
        """A float in [0, 1), good enough for jitter and for nothing secret."""
        return self._jitter.random()

    def token_bytes(self, count: int) -> bytes:
        """Random bytes fit for a secret."""
        return self.source.randbytes(count)

    def new_id(self, prefix: str) -> str:
        return self._ids.new(prefix, self.now_ms())
