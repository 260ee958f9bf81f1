"""The signature formats of providers, one file each, loaded when somebody asks for one.

A file `<name>.py` holds `SCHEME`, the provider's `Scheme`. Its name is the name that users write.
"""

import re
from functools import cache
from importlib import import_module

from ringback.errors import Misconfigured
from ringback.sign.scheme import Scheme


@cache
def names() -> tuple[str, ...]:
    """All providers in the order of the alphabet; nothing is loaded."""
    from pkgutil import iter_modules

    return tuple(sorted(module.name for module in iter_modules(__path__)))


@cache
def scheme(name: str) -> Scheme:
    """The scheme of a provider. Raises Misconfigured for a name that is none."""
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,39}", name) or name not in names():
        raise Misconfigured(f"there is no provider {name!r:.60}; there are {', '.join(names())}")
    found: Scheme = import_module(f"{__name__}.{name}").SCHEME
    return found
