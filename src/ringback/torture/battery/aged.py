"""Requests that the provider made, but not now; for those that sign a time."""

from typing import Final

from ringback.torture.case import Case, Shot
from ringback.torture.maker import Maker, with_headers

PAST_S: Final = 3_600
_NO_TIME: Final = "it signs no time"
_REPLAY: Final = "whoever recorded a request once can send it again for ever"


def old(make: Maker) -> Case:
    return Case(
        name="stale",
        title="rightly signed, long ago",
        want="refuse",
        shots=_at(make, -PAST_S),
        why=_REPLAY,
        todo=f"refuse what was signed more than {make.scheme.tolerance_s} s ago",
        skip="" if make.scheme.tolerance_s else _NO_TIME,
    )


def future(make: Maker) -> Case:
    return Case(
        name="future",
        title="rightly signed, for a time to come",
        want="refuse",
        shots=_at(make, PAST_S),
        is_advice=True,
        why="a wrong clock at either end goes unnoticed, and makes requests good for longer",
        todo="let the window be closed on both sides",
        skip="" if make.scheme.tolerance_s else _NO_TIME,
    )


def renewed(make: Maker) -> Case:
    shot = _renewed(make)
    return Case(
        name="renewed",
        title="an old signature with a new time beside it",
        want="refuse",
        shots=(shot,) if shot else (),
        why=_REPLAY,
        todo="the time must be part of what is signed: verify both together",
        skip="" if shot else _NO_TIME if not make.scheme.tolerance_s else "its time is in the body",
    )


def _at(make: Maker, seconds: int) -> tuple[Shot, ...]:
    if not make.scheme.tolerance_s:
        return ()
    beyond = make.scheme.tolerance_s + abs(seconds)
    at_s = make.now_s + (beyond if seconds > 0 else -beyond)
    return (make.shot(make.signed(make.draft(at_s=at_s))),)


def _renewed(make: Maker) -> Shot | None:
    """The stale request, with the new time wherever the old one is written in a header."""
    if not make.scheme.tolerance_s:
        return None
    then_s = make.now_s - make.scheme.tolerance_s - PAST_S
    stale = make.draft(at_s=then_s)
    shot = make.shot(make.signed(stale))
    now = dict(make.shot(make.signed(make.with_body(stale, stale.body, at_s=make.now_s))).headers)
    old, new = str(then_s).encode(), str(make.now_s).encode()
    fields = []
    for name, text in shot.headers:
        is_signature = name in make.signatures
        fields.append((name, text.replace(old, new) if is_signature else now.get(name, text)))
    return with_headers(shot, *fields) if tuple(fields) != shot.headers else None


MAKERS: Final = (old, renewed)
