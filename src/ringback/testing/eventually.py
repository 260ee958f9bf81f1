"""Waiting for what another process or task will do, where there is no signal to wait on."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

T = TypeVar("T")

WAIT_S_MAX: Final = 60.0
_POLL_S: Final = 0.01


async def eventually(
    look: Callable[[], Awaitable[T]],
    is_so: Callable[[T], bool],
    timeout_s: float = WAIT_S_MAX,
) -> T:
    """Look again and again until `is_so`; what was seen then. Raises AssertionError in the end."""
    deadline_s = asyncio.get_running_loop().time() + timeout_s
    while True:
        seen = await look()
        if is_so(seen):
            return seen
        if asyncio.get_running_loop().time() > deadline_s:
            raise AssertionError(f"it did not happen within {timeout_s:g} s; last seen: {seen!r}")
        await asyncio.sleep(_POLL_S)
