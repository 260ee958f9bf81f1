"""The shapes of errors."""

from typing import Annotated

from msgspec import Meta, Struct


class HttpErrorOut(Struct, frozen=True, kw_only=True):
    """Every error but 422."""

    code: Annotated[str, Meta(description="A word for programs.")]
    detail: Annotated[str, Meta(description="A sentence for people: what to do next.")]


class ValidationErrorItem(Struct, frozen=True, kw_only=True):
    loc: Annotated[list[str], Meta(description="The path to the value, e.g. body, url.")]
    msg: Annotated[str, Meta(description="What is wrong with it.")]
    type: Annotated[str, Meta(description="A word for programs.")]


class HTTPValidationError(Struct, frozen=True, kw_only=True):
    """A value of the request breaks a rule (422)."""

    detail: list[ValidationErrorItem]
