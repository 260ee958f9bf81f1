"""The nouns: a shot is one request, a case is a few of them with what a good receiver does.

Everything here is a value; who fires, and who judges, is elsewhere.
"""

from enum import StrEnum
from typing import Final, Literal

from msgspec import Struct

Fields = tuple[tuple[bytes, bytes], ...]

Want = Literal["accept", "refuse", "survive", "once"]
"""What a good receiver answers:

    accept    2xx to each
    refuse    4xx to each; 3xx and 5xx refuse too, but 5xx makes the provider come again
    survive   anything that is not a 5xx: 2xx to 4xx, in time
    once      2xx to at least one, and no 5xx
"""

Manner = Literal["one by one", "on one connection", "together"]

BODY_KEPT_BYTES: Final = 65_536


class Shot(Struct, frozen=True, kw_only=True):
    """One request. `pace_s` spreads its body over that time; `length` claims another length."""

    method: str
    target: str
    headers: Fields
    body: bytes
    is_chunked: bool = False
    pace_s: float = 0.0
    length: int | None = None


class Answer(Struct, frozen=True, kw_only=True):
    """What came of a shot: a status, or a fault without one. `body` is its beginning."""

    status: int | None = None
    body: bytes = b""
    head: bytes = b""
    took_s: float = 0.0
    fault: Literal["", "timeout", "closed", "refused", "garbage", "tls"] = ""


class Case(Struct, frozen=True, kw_only=True):
    """
    why       what goes wrong in the world if a receiver fails it
    todo      what its author should do
    is_advice True if a failure is worth a word, but no error
    may_cut   True if a connection closed without an answer is fine as well
    effects   by how many the events that took effect must grow; None if that is not looked at
    within_s  how late an answer may be, beside the time in which all must come; 0 for no matter
    held      beginnings of requests that are sent first and never finished
    never     texts that must not be in an answer
    is_ours_to_judge  False if our own `verify` cannot say what is right: methods, for example
    skip      why it cannot be tried with this provider; then there are no shots
    """

    name: str
    title: str
    want: Want
    shots: tuple[Shot, ...] = ()
    why: str
    todo: str
    manner: Manner = "one by one"
    is_advice: bool = False
    may_cut: bool = False
    effects: int | None = None
    held: tuple[bytes, ...] = ()
    never: tuple[bytes, ...] = ()
    within_s: float = 0.0
    is_ours_to_judge: bool = True
    skip: str = ""


class Outcome(StrEnum):
    OK = "ok"
    WRONG = "wrong"
    ADVICE = "advice"  # not wrong enough to fail
    SKIPPED = "skipped"


class Verdict(Struct, frozen=True, kw_only=True):
    """`saw` is what happened, in words; `why` and `todo` are empty for what is fine."""

    group: str
    name: str
    title: str
    outcome: Outcome
    saw: str
    why: str = ""
    todo: str = ""
