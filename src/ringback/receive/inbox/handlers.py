"""Which handler an event goes to, and how it is called.

One handler an event: that of its exact type, else of the longest `prefix.*` that fits, else `*`.
A handler of a source goes before one of every source (`"*"`).
"""

import inspect
from collections.abc import Callable
from typing import Any, Final, TypeVar

from msgspec import Struct

from ringback.errors import ConfigError

ANY: Final = "*"

Call = Callable[..., Any]
C = TypeVar("C", bound=Call)


class Handler(Struct, frozen=True):
    """`takes_transaction` says whether it has a second parameter."""

    call: Call
    is_async: bool
    takes_transaction: bool

    @property
    def name(self) -> str:
        return str(getattr(self.call, "__qualname__", self.call))


class Handlers:
    """`connections_are_own` is False if only sync handlers can have a transaction."""

    def __init__(self, *, connections_are_own: bool) -> None:
        self._connections_are_own = connections_are_own
        self._exact: dict[tuple[str, str], Handler] = {}

    def add(self, source: str, types: tuple[str, ...], call: Call) -> None:
        """Raises ConfigError for a second handler of the same events, or a wrong one."""
        handler = _handler(call)
        if handler.is_async and handler.takes_transaction and not self._connections_are_own:
            raise ConfigError(
                f"{handler.name} is async, but the connections of this inbox are the app's and used"
                " in threads: write `def`, or open the inbox with a URL"
            )
        for type_ in types or (ANY,):
            if ANY in type_.removesuffix(".*") and type_ != ANY:
                raise ConfigError(
                    f"{type_!r} is no event type: write it in full, or `name.*`, or `*` for all"
                )
            if (source, type_) in self._exact:
                raise ConfigError(
                    f"{self._exact[source, type_].name} handles {source} {type_} already; call both"
                    " from one handler, so that both are done or none"
                )
            self._exact[source, type_] = handler

    def find(self, source: str, type_: str | None) -> Handler | None:
        for name in (source, ANY):
            for pattern in _patterns(type_):
                if handler := self._exact.get((name, pattern)):
                    return handler
        return None


def _patterns(type_: str | None) -> list[str]:
    """The type itself, then `a.b.*`, `a.*` and `*`."""
    if type_ is None:
        return [ANY]
    words = type_.split(".")[:-1]
    return [type_, *(".".join(words[:count]) + ".*" for count in range(len(words), 0, -1)), ANY]


def _handler(call: Call) -> Handler:
    is_async = inspect.iscoroutinefunction(call) or inspect.iscoroutinefunction(
        getattr(call, "__call__", None)  # noqa: B004  an object whose __call__ is async
    )
    for count in (2, 1):
        try:
            inspect.signature(call).bind(*range(count))
        except TypeError:
            continue
        return Handler(call, is_async, takes_transaction=count == 2)
    raise ConfigError(
        f"{call!r} is no handler: it must take the event, and the transaction if it wants one"
    )
