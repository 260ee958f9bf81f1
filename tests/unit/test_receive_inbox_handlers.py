"""Which handler an event goes to, and which functions are handlers at all."""

from typing import Any

import pytest

from ringback.errors import ConfigError
from ringback.receive.inbox.handlers import Handlers


def handlers(*places: tuple[str, str]) -> Handlers:
    """One for each place, which returns its place."""
    made = Handlers(connections_are_own=True)
    for source, type_ in places:
        made.add(source, (type_,), lambda event, place=(source, type_): place)
    return made


def found(made: Handlers, source: str, type_: str | None) -> Any:
    handler = made.find(source, type_)
    return handler.call(None) if handler else None


def test_the_most_exact_one_is_taken() -> None:
    made = handlers(
        ("stripe", "invoice.paid"),
        ("stripe", "invoice.*"),
        ("stripe", "invoice.item.*"),
        ("stripe", "*"),
        ("*", "push"),
    )
    assert found(made, "stripe", "invoice.paid") == ("stripe", "invoice.paid")
    assert found(made, "stripe", "invoice.void") == ("stripe", "invoice.*")
    assert found(made, "stripe", "invoice.item.new") == ("stripe", "invoice.item.*")
    assert found(made, "stripe", "invoice.other.new") == ("stripe", "invoice.*")
    assert found(made, "stripe", "invoice") == ("stripe", "*")
    assert found(made, "stripe", None) == ("stripe", "*")
    assert found(made, "stripe", "push") == ("stripe", "*")
    assert found(made, "github", "push") == ("*", "push")
    assert found(made, "github", "fork") is None
    assert found(made, "github", None) is None


def test_an_event_has_one_handler() -> None:
    made = handlers(("stripe", "invoice.paid"))
    with pytest.raises(ConfigError, match=r"handles stripe invoice\.paid already"):
        made.add("stripe", ("invoice.void", "invoice.paid"), lambda event: None)


@pytest.mark.parametrize("type_", ["invoice*", "in*.paid", "**", "*.paid", "a.*.b", "*.*"])
def test_other_patterns_are_refused(type_: str) -> None:
    with pytest.raises(ConfigError, match="is no event type"):
        handlers(("stripe", type_))


def test_what_a_handler_takes_is_seen() -> None:
    made = Handlers(connections_are_own=True)

    class Ship:
        async def __call__(self, event: object) -> None: ...

    async def with_transaction(event: object, transaction: object) -> None: ...
    def with_option(event: object, *, verbose: bool = False) -> None: ...

    made.add("a", (), Ship())
    made.add("b", (), with_transaction)
    made.add("c", (), with_option)
    seen = [made.find(source, None) for source in "abc"]
    assert [(one.is_async, one.takes_transaction) for one in seen if one] == [
        (True, False),
        (True, True),
        (False, False),
    ]


@pytest.mark.parametrize("call", [lambda: None, lambda a, b, c: None, 7])
def test_what_cannot_be_called_is_no_handler(call: Any) -> None:
    with pytest.raises(ConfigError):
        Handlers(connections_are_own=True).add("stripe", (), call)
