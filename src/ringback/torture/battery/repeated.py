"""The same event more than once: every time it is acknowledged, and once it takes effect.

Whether it took effect once cannot be seen from the answers, so `--effects` must say where to look.
"""

from typing import Final

from ringback.torture.case import Case
from ringback.torture.maker import Maker

PARALLEL: Final = 20
_TWICE: Final = "customers are charged, and goods shipped, as often as the provider repeats itself"


def again(make: Maker) -> Case:
    shot = make.shot()
    return Case(
        name="repeated",
        title="the same request three times",
        want="accept",
        shots=(shot,) * 3,
        effects=1,
        why=f"providers deliver at least once: {_TWICE}",
        todo="keep the id of each event under a unique key, and acknowledge what is known",
    )


def retried(make: Maker) -> Case:
    draft = make.draft()
    later = make.with_body(draft, draft.body, at_s=make.now_s - 1)
    return Case(
        name="retried",
        title="the same event, signed anew a second later",
        want="accept",
        shots=(make.shot(make.signed(later)), make.shot(make.signed(draft))),
        effects=1,
        why=f"each attempt of a retry has a time and a signature of its own: {_TWICE}",
        todo="dedupe by the event's id, and not by its signature",
        skip="" if make.scheme.tolerance_s and make.scheme.id else "it signs no time, or has no id",
    )


def parallel(make: Maker) -> Case:
    shot = make.shot()
    return Case(
        name="parallel",
        title=f"the same request {PARALLEL} times at once",
        want="once",
        shots=(shot,) * PARALLEL,
        manner="together",
        effects=1,
        why=f"`if not seen: remember` lets two through that come at one time: {_TWICE}",
        todo="let the database decide, by a unique key in the transaction that keeps the event",
    )


MAKERS: Final = (again, retried, parallel)
