"""Why a connection could not be had, as a value: what `Failure` says, before it has timings."""

from msgspec import Struct

from ringback.wire.port import Reason


class Problem(Struct, frozen=True):
    """`detail` is one sentence fit for the customer."""

    reason: Reason
    detail: str
