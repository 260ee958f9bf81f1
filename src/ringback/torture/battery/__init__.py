"""All cases, in the order in which they are tried: what is good first, what is heavy last.

A maker of a case is called when its turn comes, so that its signatures are fresh.
"""

from collections.abc import Callable, Sequence
from typing import Final

from msgspec import Struct

from ringback.torture.battery import aged, forged, heavy, malformed, repeated, sound
from ringback.torture.case import Case
from ringback.torture.maker import Maker

MakeCase = Callable[[Maker], Case]


class Group(Struct, frozen=True):
    """Makers of cases of a kind. `is_harmless` if nothing of it may take effect."""

    name: str
    makers: Sequence[MakeCase]
    is_harmless: bool = False


GROUPS: Final = (
    Group("sound", sound.MAKERS),
    Group("forged", forged.MAKERS, is_harmless=True),
    Group("aged", aged.MAKERS, is_harmless=True),
    Group("doubtful", (forged.twice, forged.methods, aged.future)),
    Group("repeated", repeated.MAKERS),
    Group("malformed", malformed.MAKERS),
    Group("heavy", heavy.MAKERS),
)
