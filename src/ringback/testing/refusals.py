"""What the API refuses, and how: one violation with a place and a sentence."""

from typing import Any, Final

from ringback.testing.asker import Reply

UIDS_REFUSED: Final[tuple[Any, ...]] = (
    "",
    "a b",
    "é",
    "a/b",
    "a\n",
    "a\u0000",
    "x" * 257,
    "%",
    "a%00",
    7,
    [],
)


def refused(reply: Reply, *loc: str, kind: str = "value_error") -> str:
    """The sentence of a 422 answer about one place. Raises AssertionError for any other answer."""
    found = (reply.status, reply.headers.get("content-type"))
    if found != (422, "application/json"):
        raise AssertionError(f"not a refusal: {found}, {reply.body[:300]!r}")
    [violation] = reply.json["detail"]
    sentence = str(violation["msg"])
    if violation != {"loc": list(loc), "msg": sentence, "type": kind}:
        raise AssertionError(f"another refusal: {violation}")
    if len(sentence) <= 10 or "Traceback" in sentence:
        raise AssertionError(f"no sentence: {sentence!r}")
    return sentence
