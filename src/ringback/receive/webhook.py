"""What every adapter does with a request, whatever the framework.

    handshake? ──► its answer, which proves us to the provider
    verified?  ──► the event, for the app's function or the inbox ──► the provider's receipt
    refused?   ──► its status and one word, nothing else; why is in the log

An adapter turns its framework's request into a `Call`, and a `Reply` into its framework's response.
What can be seen of a mistake when the app starts is raised then, as Misconfigured. Nothing is ever
acknowledged that was not verified and taken. Calls may come from many threads at once.

What needs a provider's certificate is proven under a lock, because it may be fetched: one fetch at
a time, and those who waited find it kept. Everything else is proven at once.
"""

import logging
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from inspect import isawaitable, iscoroutine
from threading import Lock
from typing import Final, Unpack

from msgspec import Struct

from ringback.errors import (
    InboxUnavailable,
    KeyNeeded,
    Misconfigured,
    PayloadTooLarge,
    VerificationError,
)
from ringback.receive.body import BODY_BYTES_MAX, BODY_S_MAX, Unread
from ringback.receive.documents import Documents, said, visit, with_documents
from ringback.receive.options import Options, check
from ringback.receive.verification import respond, scheme_of, verify
from ringback.sign.challenge import json_reply
from ringback.sign.event import VerifiedEvent
from ringback.sign.request import Headers
from ringback.sign.scheme import Reply, Scheme

MISTAKES_TOLD_MAX: Final = 16

logger: Final = logging.getLogger("ringback.receive")

Take = Callable[[VerifiedEvent], object]


class Call(Struct, frozen=True):
    """A request as the framework gave it: all headers, and the body as it came."""

    method: str
    query: str
    headers: Headers
    body: bytes


class Webhook:
    """One provider's webhooks, with what this app brings along.

    Raises Misconfigured for what can be known to be wrong before anything was received.
    """

    def __init__(self, provider: str | Scheme, **options: Unpack[Options]) -> None:
        self.scheme = scheme_of(provider)
        self.accepted = self.scheme.accepted
        self.body_bytes_max = options.get("body_bytes_max", BODY_BYTES_MAX)
        self.body_s_max = options.get("body_s_max", BODY_S_MAX)
        self.source = options.get("source")
        self._secrets = options.get("secrets", ())
        self._public_url = options.get("public_url")
        self._tolerance_s = options.get("tolerance_s")
        self._fetch = options.get("fetch", _fetch)
        self._on_secret = options.get("on_secret", self._warn_of_secret)
        self._now_s = options.get("now_s", time.time)
        self._documents = Documents()
        self._fetching = Lock()
        self._thread: ThreadPoolExecutor | None = None
        self._told: set[str] = set()
        check(self.scheme, options, self._now_s())

    def prove(self, call: Call) -> VerifiedEvent | Reply:
        """The event, or what to answer instead. May block: for a fetch, if one is needed."""
        try:
            proven = self._at_once(call)
            return self._with_fetches(call) if proven is None else proven
        except VerificationError as error:
            return self.refused(error)

    async def prove_async(self, call: Call) -> VerifiedEvent | Reply:
        """The same for an event loop, which a fetch does not block."""
        from asyncio import get_running_loop

        try:
            proven = self._at_once(call)
            if proven is None:
                thread = self._own_thread()
                proven = await get_running_loop().run_in_executor(thread, self._with_fetches, call)
            return proven
        except VerificationError as error:
            return self.refused(error)

    def take(self, call: Call, take: Take) -> object:
        """What `take` returns for the event; a Reply if it returns None, or is not reached.

        Raises what `take` raises, unless that says that the event is not kept.
        """
        proven = self.prove(call)
        if isinstance(proven, Reply):
            return proven
        try:
            taken = take(proven)
        except (InboxUnavailable, PayloadTooLarge) as error:
            return self.refused(error)
        if iscoroutine(taken):
            taken.close()
            raise TypeError("there is no event loop here: the function must not be async")
        return self.accepted if taken is None else taken

    async def take_async(self, call: Call, take: Take) -> object:
        """The same; what `take` returns is awaited if it can be."""
        proven = await self.prove_async(call)
        if isinstance(proven, Reply):
            return proven
        try:
            taken = take(proven)
            if isawaitable(taken):
                taken = await taken
        except (InboxUnavailable, PayloadTooLarge) as error:
            return self.refused(error)
        return self.accepted if taken is None else taken

    def refused(
        self, error: VerificationError | InboxUnavailable | PayloadTooLarge | Unread
    ) -> Reply:
        """The answer to what was refused. It says which kind of error it was; the log says why."""
        self._tell(error)
        return json_reply({"error": _word(error)}, error.status)

    # ---- details --------------------------------------------------------------------------------

    def _ask(self, call: Call, documents: Mapping[str, bytes]) -> VerifiedEvent | Reply:
        scheme, headers, body, method = self.scheme, call.headers, call.body, call.method
        now_s, tolerance_s, secrets = self._now_s(), self._tolerance_s, self._secrets
        url = f"{self._public_url or '/'}?{call.query}" if call.query else self._public_url
        reply = respond(
            scheme,
            headers,
            body,
            secrets=secrets,
            now_s=now_s,
            url=url,
            method=method,
            tolerance_s=tolerance_s,
            documents=documents,
        )
        if reply is not None:
            if reply.secret:
                self._on_secret(reply.secret)
            return reply
        if method != "POST":
            return NOT_ALLOWED
        return verify(
            scheme,
            headers,
            body,
            secrets=secrets,
            now_s=now_s,
            url=url,
            method=method,
            tolerance_s=tolerance_s,
            documents=documents,
        )

    def _at_once(self, call: Call) -> VerifiedEvent | Reply | None:
        """None if something must be fetched first."""
        try:
            proven = self._ask(call, self._documents.fresh(self._now_s()))
        except KeyNeeded:
            return None
        return None if isinstance(proven, Reply) and proven.fetch_url else proven

    def _with_fetches(self, call: Call) -> VerifiedEvent | Reply:
        with self._fetching:
            proven = with_documents(
                lambda documents: self._ask(call, documents),
                self._documents,
                fetch=self._fetch,
                now_s=self._now_s(),
            )
            if isinstance(proven, Reply) and proven.fetch_url:
                now_s = self._now_s()
                visit(proven.fetch_url, self._documents, fetch=self._fetch, now_s=now_s)
        return proven

    def _warn_of_secret(self, _: str) -> None:
        logger.warning(
            "%s: a secret came with a handshake, and nobody was told; to see it, give `on_secret`",
            self.scheme.title,
        )

    def _own_thread(self) -> ThreadPoolExecutor:
        """One: those who wait for a fetch must not fill the threads that the app waits for."""
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, "ringback-documents")
        return self._thread

    def _tell(self, error: VerificationError | InboxUnavailable | PayloadTooLarge | Unread) -> None:
        title = self.scheme.title
        if isinstance(error, Misconfigured):
            if str(error) not in self._told and len(self._told) < MISTAKES_TOLD_MAX:
                self._told.add(str(error))
                logger.error("%s: every request is refused with 500. %s", title, error)
        elif isinstance(error, KeyNeeded):
            logger.warning("%s: %s", title, said(error))
        else:
            logger.warning("%s: refused with %d. %s", title, error.status, error)


NOT_ALLOWED: Final = Reply(
    405,
    (("Allow", "POST"), ("Content-Type", "application/json")),
    b'{"error":"method_not_allowed"}',
)


def _word(error: Exception) -> str:
    """`KeyNeeded` → `key_needed`."""
    if isinstance(error, Unread):
        return error.word
    name = type(error).__name__
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)[1:]


def _fetch(url: str, /) -> bytes:
    """The default. Loaded when it is needed: most providers need no document."""
    from ringback.wire.fetch import fetch

    return fetch(url)
