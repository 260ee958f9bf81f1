"""Names to addresses, with the egress policy applied to every single answer.

A name's addresses are looked up in threads (`getaddrinfo`, which follows /etc/hosts, search domains
and CNAMEs), judged, and kept for `dns_cache_s`. Of an answer with allowed and denied addresses only
the allowed ones are ever handed out. What is handed out is an address, never a name, so what was
judged is what is dialled: a second answer (DNS rebinding) has no effect on it.

After `dns_cache_s` an answer serves for up to as long again while a new lookup is under way, so a
busy receiver never waits for DNS, and a resolver that hangs does not stop those whose address is
known. A lookup that fails is not repeated for a while, longer if it held its thread for long: names
that time out cannot keep all threads from the others.
"""

import asyncio
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from ipaddress import ip_address
from math import inf
from typing import Final

from msgspec import Struct

from ringback.config import Settings
from ringback.rules.egress import Policy
from ringback.wire.port import Reason
from ringback.wire.problem import Problem
from ringback.wire.threads import Threads

NEGATIVE_S: Final = 2.0
NEGATIVE_SHARE: Final = 4.0
ADDRESSES_MAX: Final = 16
WAITING_MAX: Final = 10_000

Lookup = Callable[[str], Sequence[str]]


def system_lookup(host: str) -> Sequence[str]:
    """Every address of the name, in the system's order of preference. Raises OSError. Blocks."""
    found = socket.getaddrinfo(host.encode("ascii"), None, type=socket.SOCK_STREAM)
    return [str(entry[4][0]) for entry in found]


class Answer(Struct, frozen=True):
    """Allowed addresses, or a problem and no addresses."""

    addresses: tuple[str, ...]
    problem: Problem | None
    fresh_until: float
    usable_until: float


class Resolver:
    """Belongs to one event loop. `lookup` is called in threads and may block."""

    def __init__(
        self,
        settings: Settings,
        policy: Policy,
        *,
        now: Callable[[], float],
        lookup: Lookup = system_lookup,
    ) -> None:
        self._ttl_s = settings.dns_cache_s
        self._answers_max = settings.dns_cache_max
        self._policy = policy
        self._now = now
        self._lookup = lookup
        self._loop = asyncio.get_running_loop()
        self._threads = Threads(settings.dns_threads_max, name="ringback-dns")
        self._answers: dict[str, Answer] = {}
        self._waiting: dict[str, asyncio.Future[Answer]] = {}

    def cached(self, host: str, now: float) -> tuple[str, ...]:
        """Addresses that may be dialled right now; empty when `resolve` must be asked."""
        answer = self._answers.get(host)
        if answer is None or now >= answer.usable_until:
            return ()
        if now >= answer.fresh_until and answer.addresses:
            self._start(host)
        return answer.addresses

    async def resolve(self, host: str) -> tuple[str, ...] | Problem:
        """Allowed addresses of a name or literal, or why there are none. Never empty."""
        answer = self._answers.get(host)
        if answer is None or self._now() >= answer.usable_until:
            answer = self._literal(host)
        if answer is None:
            if len(self._waiting) >= WAITING_MAX:
                return Problem(Reason.DNS, "too many names wait to be looked up; trying later")
            answer = await asyncio.shield(self._start(host))
        return answer.problem or answer.addresses

    def close(self) -> None:
        self._threads.close()
        self._waiting.clear()

    def _literal(self, host: str) -> Answer | None:
        try:
            address = ip_address(host)
        except ValueError:
            return None
        verdict = self._policy.verdict(address)
        # The address is the customer's own words, so a reason that names it gives nothing away.
        problem = None if verdict.is_allowed else Problem(Reason.BLOCKED, verdict.reason)
        addresses = (host,) if verdict.is_allowed else ()
        return self._store(host, Answer(addresses, problem, inf, inf))

    def _start(self, host: str) -> asyncio.Future[Answer]:
        """The lookup of this name: the one under way, or a new one."""
        if (waiting := self._waiting.get(host)) is not None:
            return waiting
        waiting = self._waiting[host] = self._loop.create_future()
        self._threads.run(lambda: self._look_up(host, self._now()))
        return waiting

    def _look_up(self, host: str, started: float) -> None:
        """In a thread."""
        found: Sequence[str] = ()
        is_known_not_to_exist = False
        try:
            found = self._lookup(host)
        except socket.gaierror as error:
            is_known_not_to_exist = error.errno in (socket.EAI_NONAME, socket.EAI_NODATA)
        except Exception:
            # Whatever a resolver fails of, nobody may be left waiting: it found nothing.
            found = ()
        arrived = (host, found, is_known_not_to_exist, self._now() - started)
        with suppress(RuntimeError):  # The loop was closed in the meantime; nobody waits.
            self._loop.call_soon_threadsafe(self._arrive, *arrived)

    def _arrive(
        self, host: str, found: Sequence[str], is_known_not_to_exist: bool, took_s: float
    ) -> None:
        waiting = self._waiting.pop(host, None)
        if waiting is None:
            return
        pause_s = max(NEGATIVE_S, NEGATIVE_SHARE * took_s)
        if not found:
            answer = self._unresolved(host, is_known_not_to_exist, pause_s)
        elif allowed := self._allowed(found):
            answer = self._keep(host, allowed, None, self._ttl_s)
        else:
            # Which address it is stays unsaid: tenants must not read internal DNS through us.
            detail = f"{host} leads to an address that deliveries may not reach"
            answer = self._keep(host, (), Problem(Reason.BLOCKED, detail), pause_s)
        if not waiting.done():
            waiting.set_result(answer)

    def _allowed(self, found: Sequence[str]) -> tuple[str, ...]:
        distinct = tuple(dict.fromkeys(found))[:ADDRESSES_MAX]
        return tuple(text for text in distinct if self._is_allowed(text))

    def _is_allowed(self, text: str) -> bool:
        try:
            return self._policy.is_allowed(ip_address(text))
        except ValueError:
            return False

    def _unresolved(self, host: str, is_known_not_to_exist: bool, pause_s: float) -> Answer:
        old = self._answers.get(host)
        if old is not None and old.addresses and self._now() < old.usable_until:
            # A refresh that failed: the old answer serves to its end, without asking all the time.
            until = min(self._now() + pause_s, old.usable_until)
            return self._store(host, Answer(old.addresses, None, until, old.usable_until))
        why = "has no address" if is_known_not_to_exist else "could not be resolved just now"
        problem = Problem(Reason.DNS, f"the name {host} {why}; check the URL and its DNS records")
        return self._keep(host, (), problem, pause_s)

    def _keep(
        self, host: str, addresses: tuple[str, ...], problem: Problem | None, seconds: float
    ) -> Answer:
        now = self._now()
        usable_s = seconds * 2 if addresses else seconds
        return self._store(host, Answer(addresses, problem, now + seconds, now + usable_s))

    def _store(self, host: str, answer: Answer) -> Answer:
        # Taken out first, so that the oldest answer is the first in the dictionary.
        self._answers.pop(host, None)
        if len(self._answers) >= self._answers_max:
            del self._answers[next(iter(self._answers))]
        self._answers[host] = answer
        return answer
