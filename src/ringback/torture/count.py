"""Asks how many events were kept, or took effect: a number, from a URL or from a command.

The command is the caller's own and is run by their shell, as `make` would.
"""

import asyncio
import re
from typing import Final

from ringback.clock import Clock
from ringback.errors import ConfigError
from ringback.torture.case import Shot
from ringback.torture.dial import Dialler, place_of

ASK_S: Final = 10.0
POLL_S: Final = 0.05
_NUMBER: Final = re.compile(rb"\s*([0-9]{1,18})\s*")


class Count:
    """`where` is a URL that answers with a number, or a command that prints one."""

    def __init__(self, where: str, clock: Clock, *, may_be_anywhere: bool) -> None:
        self._where = where
        self._clock = clock
        self._may_be_anywhere = may_be_anywhere

    async def now(self) -> int:
        """Raises ConfigError if there is no number to be had."""
        if self._where.startswith(("http://", "https://")):
            said = await self._asked()
        else:
            said = await self._run()
        form = _NUMBER.fullmatch(said)
        if not form:
            raise ConfigError(f"{self._where} gave no number, but {said[:80]!r}")
        return int(form[1])

    async def calm(self, *, patience_s: float, linger_s: float) -> int:
        """The number when it no longer changes, or patience ends: what came before is done."""
        end_s = self._clock.monotonic() + patience_s
        last = await self.now()
        while self._clock.monotonic() < end_s:
            await self._clock.sleep(linger_s)
            before, last = last, await self.now()
            if last == before:
                break
        return last

    async def settled(self, wanted: int, *, patience_s: float, linger_s: float) -> int:
        """The number when it has reached what is wanted, or patience ends; and then a bit later.

        The bit shows what came once too often.
        """
        end_s = self._clock.monotonic() + patience_s
        while await self.now() < wanted and self._clock.monotonic() < end_s:
            await self._clock.sleep(POLL_S)
        return await self.calm(patience_s=patience_s, linger_s=linger_s)

    async def _asked(self) -> bytes:
        place = await place_of(self._where, may_be_anywhere=self._may_be_anywhere)
        target = "/" + self._where.split("/", 3)[3] if self._where.count("/") > 2 else "/"
        shot = Shot(method="GET", target=target, headers=(), body=b"")
        dialler = Dialler(place, self._clock, timeout_s=ASK_S, cafile=None)
        [answer] = await dialler.fire([shot])
        if answer.status != 200:
            raise ConfigError(f"{self._where} answered {answer.status or answer.fault}")
        return answer.body

    async def _run(self) -> bytes:
        process = await asyncio.create_subprocess_shell(
            self._where, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE
        )
        try:
            async with asyncio.timeout(ASK_S):
                said, _ = await process.communicate()
        except TimeoutError:
            raise ConfigError(f"{self._where!r} took longer than {ASK_S:g} s") from None
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if process.returncode:
            raise ConfigError(f"{self._where!r} ended with exit code {process.returncode}")
        return said
