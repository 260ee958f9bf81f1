"""The client: one POST from a request to a Reply or a Failure.

    post ─▶ address known and a connection idle? ──yes──▶ exchange ──▶ done          the hot path
                     │ no                                    │ was stale
                     ▼                                       ▼
            resolve + judge ─▶ idle? ─▶ dial (TCP, CONNECT, TLS) ─▶ exchange ─▶ done

On the hot path there is no task, no timer, no thread, and one await, after the request is written.
On the other one the sender is asked once more if it `may_send`, right before that. Two deadlines
bound every attempt: `connect_timeout_s` around name, TCP and TLS together, `delivery_timeout_s`
around all.
A connection that turns out to have been closed while it was idle is replaced once by a fresh one,
only when not a byte of a response had come; the receiver may have seen the request, which is then
a repetition with the same id. Nothing else is ever repeated here.
"""

import asyncio
import ssl

from ringback.clock import Clock
from ringback.config import Settings
from ringback.model import Timings
from ringback.rules.egress import Policy
from ringback.wire.deadlines import Deadlines
from ringback.wire.dial import ADDRESSES_TRIED_MAX, Dialler, Progress
from ringback.wire.exchange import Connection, Origin, Setup, milliseconds
from ringback.wire.pool import Pool
from ringback.wire.port import Failure, Reason, Reply, Request, Target
from ringback.wire.problem import Problem
from ringback.wire.proxy import proxy_of
from ringback.wire.resolve import Lookup, Resolver, system_lookup
from ringback.wire.tls import checked, delivery_context

_CALLED_OFF = Problem(Reason.CALLED_OFF, "the sender may not send any more")
_STOPPED = Problem(Reason.RESET, "the sender stopped before a response arrived")


class Client:
    """A `Wire`. Made and used inside one running event loop.

    `ssl_context` adds a private authority; it must verify (ConfigError otherwise). `lookup` stands
    in for the system's resolver; it may block, and what it answers is judged all the same.
    """

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        policy: Policy,
        *,
        ssl_context: ssl.SSLContext | None = None,
        lookup: Lookup = system_lookup,
    ) -> None:
        self._settings = settings
        self._now = now = clock.monotonic
        self._loop = loop = asyncio.get_running_loop()
        self._timeout_s = settings.delivery_timeout_s
        self._connect_s = min(settings.connect_timeout_s, settings.delivery_timeout_s)
        self._pool = Pool(settings, loop=loop, now=now)
        self._resolver = Resolver(settings, policy, now=now, lookup=lookup)
        self._dialler = Dialler(
            context=delivery_context() if ssl_context is None else checked(ssl_context),
            proxy=proxy_of(settings.proxy),
            now=now,
            make=self._make_connection,
        )
        self._hot: Deadlines[Connection] = Deadlines(
            self._timeout_s, Connection.expire, loop=loop, now=now
        )
        self._slow: set[Connection] = set()
        self._opening: set[asyncio.Timeout] = set()
        self._is_closed = False

    async def post(self, request: Request) -> Reply | Failure:
        """One attempt. Raises nothing but CancelledError, which closes its connection."""
        started = self._now()
        if self._is_closed:
            return self._failure(_STOPPED, started, Progress())
        target = request.target
        connection = self._idle(target, self._resolver.cached(target.host, started))
        if connection is None:
            return await self._post_slowly(request, started, may_reuse=True)
        self._hot.add(connection, started)
        try:
            outcome = await connection.send(request, started)
        except asyncio.CancelledError:
            connection.abort()
            raise
        finally:
            self._hot.discard(connection)
        if connection.is_stale:
            return await self._post_slowly(request, started, may_reuse=False)
        return outcome

    async def close(self) -> None:
        """Ends everything; attempts under way are answered with a Failure. Safe to repeat."""
        self._is_closed = True
        for limit in tuple(self._opening):
            limit.reschedule(self._loop.time())
        for connection in (*self._hot.everything(), *self._slow):
            connection.fail(_STOPPED.reason, _STOPPED.detail)
        self._hot.close()
        self._pool.close()
        self._resolver.close()
        # Transports close in the loop's next turns; sockets should be gone when this returns.
        for _ in range(2):
            await asyncio.sleep(0)

    async def _post_slowly(
        self, request: Request, started: float, *, may_reuse: bool
    ) -> Reply | Failure:
        while True:
            progress = Progress()
            opened = await self._open(request.target, started, progress, may_reuse=may_reuse)
            if isinstance(opened, Problem):
                return self._failure(opened, started, progress)
            if not request.may_send():
                opened.abort()
                return self._failure(_CALLED_OFF, started, progress)
            outcome = await self._exchange(opened, request, started, progress)
            if not opened.is_stale:
                return outcome
            may_reuse = False

    async def _open(
        self, target: Target, started: float, progress: Progress, *, may_reuse: bool
    ) -> Connection | Problem:
        """A connection, idle or new, within the connect deadline."""
        if self._is_closed:
            return _STOPPED
        deadline = min(self._now() + self._connect_s, started + self._timeout_s)
        try:
            async with asyncio.timeout(max(deadline - self._now(), 0)) as limit:
                self._opening.add(limit)
                try:
                    return await self._reach(target, deadline, progress, may_reuse=may_reuse)
                finally:
                    self._opening.discard(limit)
        except TimeoutError:
            if self._is_closed:
                return _STOPPED
            detail = f"no connection to {target.host} within {self._connect_s:g} s"
            return Problem(Reason.CONNECT_TIMEOUT, detail)

    async def _reach(
        self, target: Target, deadline: float, progress: Progress, *, may_reuse: bool
    ) -> Connection | Problem:
        addresses = self._resolver.cached(target.host, self._now())
        if not addresses:
            resolved = await self._resolver.resolve(target.host)
            if isinstance(resolved, Problem):
                return resolved
            addresses = resolved
            if addresses != (target.host,):
                progress.dns_at = self._now()
        if may_reuse and (connection := self._idle(target, addresses)) is not None:
            return connection
        return await self._dialler.dial(target, addresses, deadline=deadline, progress=progress)

    async def _exchange(
        self, connection: Connection, request: Request, started: float, progress: Progress
    ) -> Reply | Failure:
        left_s = max(started + self._timeout_s - self._now(), 0)
        timer = self._loop.call_later(left_s, connection.expire)
        self._slow.add(connection)
        try:
            return await connection.send(request, started, _setup(progress, started))
        except asyncio.CancelledError:
            connection.abort()
            raise
        finally:
            timer.cancel()
            self._slow.discard(connection)

    def _idle(self, target: Target, addresses: tuple[str, ...]) -> Connection | None:
        """A kept-alive connection to one of these addresses, opened for the same name."""
        for address in addresses[:ADDRESSES_TRIED_MAX]:
            # A plain tuple is equal to the `Origin`, and made in a tenth of the time.
            origin = (address, target.port, target.host, target.is_tls)
            if (connection := self._pool.take(origin)) is not None:
                return connection
        return None

    def _make_connection(self, origin: Origin) -> Connection:
        return Connection(
            origin,
            settings=self._settings,
            now=self._now,
            on_free=self._pool.put,
            on_lost=self._pool.forget,
        )

    def _failure(self, problem: Problem, started: float, progress: Progress) -> Failure:
        total_ms = milliseconds(self._now() - started)
        timings = Timings(*_setup(progress, started), None, total_ms)
        return Failure(problem.reason, problem.detail, timings)


def _setup(progress: Progress, started: float) -> Setup:
    return (
        None if progress.dns_at is None else milliseconds(progress.dns_at - started),
        None if progress.connect_at is None else milliseconds(progress.connect_at - started),
        None if progress.tls_at is None else milliseconds(progress.tls_at - started),
    )
