"""Every error as the caller sees it: the one place where exceptions become JSON.

    422          {"detail": [{"loc": ["body", "url"], "msg": "…", "type": "value_error"}]}
    all others   {"code": "not_found", "detail": "Entity not found"}

An exception that nobody planned is a 500 that names the request id and nothing else.
"""

import re
from collections.abc import Sequence
from typing import Final

import msgspec

from ringback.api.call import Answer, encode
from ringback.api.schemas.problem import (
    HttpErrorOut,
    HTTPValidationError,
    ValidationErrorItem,
)
from ringback.api.schemas.words import SENTENCES
from ringback.errors import (
    BadRequest,
    Fenced,
    Invalid,
    Rejected,
    StoreCorrupt,
    StoreError,
    StoreGone,
    StoreUnavailable,
    Unauthenticated,
    Unavailable,
)

RETRY_AFTER_S: Final = 1
_RETRY: Final = (b"retry-after", str(RETRY_AFTER_S).encode())
_BEARER: Final = (b"www-authenticate", b"Bearer")
_STORE_AWAY: Final = (
    "The database cannot be used just now. Try again, with the same Idempotency-Key if any."
)

_PLACE: Final = re.compile(r" - at `(?P<path>[^`]*)`$")
_STEP: Final = re.compile(r"\.(?P<name>[^.\[\]]+)|\[(?P<index>\d+|\.\.\.)\]")
_MISSING: Final = re.compile(r"Object missing required field `(?P<name>[^`]+)`")
_PATTERN: Final = re.compile(r"Expected `str` matching regex (?P<pattern>'.*'|\".*\")$")


class ClientGone(Exception):
    """The caller hung up before the request was whole: there is nobody to answer."""


def answer_to(error: Exception) -> Answer | None:
    """The answer to an error that was planned for; None for one that was not."""
    match error:
        case Invalid():
            return _validation(error.loc, error.detail, kind=error.code)
        case Unauthenticated():
            return problem(401, error.code, detail=error.detail, headers=(_BEARER,))
        case Unavailable():
            return problem(503, error.code, detail=error.detail, headers=(_RETRY,))
        case Rejected():
            return problem(error.status, error.code, detail=error.detail)
        case StoreUnavailable() | Fenced() | StoreCorrupt() | StoreGone():
            return problem(503, "unavailable", detail=_about_store(error), headers=(_RETRY,))
        case _:
            return None


def unexpected(request_id: str) -> Answer:
    """The answer to a mistake of ours."""
    detail = f"Something went wrong here. If it stays, report request {request_id}."
    return problem(500, "server_error", detail=detail)


def _about_store(error: StoreError) -> str:
    """What passes is told without its details; what does not pass must reach the operator."""
    if isinstance(error, StoreUnavailable | Fenced):
        return _STORE_AWAY
    text = str(error)
    return f"{text[:1].upper()}{text[1:]}."


def problem(
    status: int, code: str, *, detail: str, headers: tuple[tuple[bytes, bytes], ...] = ()
) -> Answer:
    return Answer(status, encode(HttpErrorOut(code=code, detail=detail)), headers)


def _validation(loc: Sequence[str], message: str, *, kind: str) -> Answer:
    item = ValidationErrorItem(loc=list(loc), msg=message, type=kind)
    return Answer(422, encode(HTTPValidationError(detail=[item])))


# ---- msgspec's messages -------------------------------------------------------------------------


def invalid_body(error: Exception) -> Invalid:
    """What decoding a body raised, as an error that names the place and the remedy."""
    match error:
        case msgspec.ValidationError():
            steps, sentence = _explained(str(error))
            return Invalid(sentence, loc=("body", *steps))
        case RecursionError():
            return not_json("it is nested too deeply; flatten it")
        case UnicodeDecodeError():
            return not_json("it has bytes that are not UTF-8; encode the text as UTF-8")
        case _:
            return not_json(_malformed(str(error)))


def not_json(why: str) -> Invalid:
    return Invalid(
        f"The body is not valid JSON: {why}.", loc=("body",), code="value_error.jsondecode"
    )


def _malformed(message: str) -> str:
    if "truncated" in message:
        return "it ends too early, or has half of a surrogate pair (\\ud800 to \\udfff) in a string"
    reason = message.removeprefix("JSON is malformed: ")
    if reason.endswith("(byte 0)"):
        return f"{reason}; send JSON as UTF-8, without a byte order mark or compression"
    return reason


def invalid_query(error: msgspec.ValidationError) -> Rejected:
    """A value out of its range is 422; one that cannot be read at all is 400, as Svix has it."""
    message = str(error)
    steps, sentence = _explained(message)
    if message.startswith("Expected") and ", got" not in message:
        return Invalid(sentence, loc=("query", *steps))
    return BadRequest(f"The query parameter {'.'.join(steps)} cannot be read: {sentence}.")


def _explained(message: str) -> tuple[list[str], str]:
    place = _PLACE.search(message)
    steps: list[str] = []
    if place is not None:
        message = message[: place.start()]
        steps = [step["name"] or step["index"] for step in _STEP.finditer(place["path"])]
    if missing := _MISSING.match(message):
        return [*steps, missing["name"]], "this field is required"
    if pattern := _PATTERN.match(message):
        return steps, _sentence(pattern["pattern"])
    return steps, message


def _sentence(quoted: str) -> str:
    """The words for a pattern; msgspec shows it as Python's `repr` does."""
    return next((words for pattern, words in SENTENCES.items() if repr(pattern) == quoted), quoted)
